package iac

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
)

// trackedFiles reads which files git tracks, and as "folder/" where they are, from the index of the repository at
// root; nil where there is none that can be read. A file that was committed is read
// even where .gitignore names it: that is where secrets hide.
func trackedFiles(root string) map[string]bool {
	raw, err := os.ReadFile(filepath.Join(root, ".git", "index"))
	if err != nil || len(raw) < 12 || string(raw[:4]) != "DIRC" {
		return nil
	}
	version := binary.BigEndian.Uint32(raw[4:])
	count := int(binary.BigEndian.Uint32(raw[8:]))
	if version < 2 || version > 4 || count > len(raw)/62 {
		return nil
	}
	tracked := make(map[string]bool, count)
	rest, last := raw[12:], ""
	for range count {
		name, size, ok := indexEntry(rest, version, last)
		if !ok {
			return tracked
		}
		tracked[name] = true
		for i := strings.LastIndexByte(name, '/'); i > 0 && !tracked[name[:i+1]]; i = strings.LastIndexByte(name[:i], '/') {
			tracked[name[:i+1]] = true
		}
		rest, last = rest[size:], name
	}
	return tracked
}

// indexEntry reads one entry of git's index format (gitformat-index): 62 bytes,
// two more where extended, and the path; from version 4 on with the part that it
// shares with the last one left out.
func indexEntry(raw []byte, version uint32, last string) (string, int, bool) {
	const fixed = 62
	if len(raw) < fixed {
		return "", 0, false
	}
	start := fixed
	if raw[60]&0x40 != 0 {
		start += 2
	}
	if start > len(raw) {
		return "", 0, false
	}
	prefix := ""
	if version == 4 {
		cut, n := indexVarint(raw[start:])
		if n == 0 || cut > len(last) {
			return "", 0, false
		}
		prefix, start = last[:len(last)-cut], start+n
	}
	end := bytes.IndexByte(raw[start:], 0)
	if end < 0 {
		return "", 0, false
	}
	size := start + end + 1
	if version < 4 {
		size = (start + end + 8) / 8 * 8
	}
	if size > len(raw) {
		return "", 0, false
	}
	return prefix + string(raw[start:start+end]), size, true
}

// indexVarint reads the offset encoding of git's packs.
func indexVarint(raw []byte) (value, size int) {
	for i, c := range raw {
		if i > 4 {
			return 0, 0
		}
		if i > 0 {
			value++
		}
		value = value<<7 | int(c&0x7f)
		if c&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}
