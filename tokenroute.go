package rekey

import (
	"encoding/base64"
	"hash/crc32"
	"strconv"
	"strings"
)

// routable is a routable token taken apart. Version 0 ends in ".LL" and version
// 1 in ".01.LL", LL being the payload's length, both followed by a CRC-32 of
// everything before it; numbers are in base 36.
type routable struct {
	version int
	prefix  string // everything before the payload, a type hint included
	payload string // base64url, without padding
}

const (
	crcDigits    = 7
	lengthDigits = 2
	versionMark  = ".01"
	randomBytes  = 16
)

// parseRoutable takes v apart from its end, as GitLab does, and reports whether
// length and checksum hold. Nothing before the payload is judged.
func parseRoutable(v string) (routable, bool) {
	tail := len(v) - crcDigits - lengthDigits - 1
	if tail < 0 || v[tail] != '.' || checksum(v[:len(v)-crcDigits]) != v[len(v)-crcDigits:] {
		return routable{}, false
	}
	head, found := strings.CutSuffix(v[:tail], versionMark)
	n, err := strconv.ParseUint(v[tail+1:tail+1+lengthDigits], 36, 16)
	if err != nil || int(n) > len(head) {
		return routable{}, false
	}
	start := len(head) - int(n)
	r := routable{prefix: head[:start], payload: head[start:]}
	if found {
		r.version = 1
	}
	return r, true
}

// checksum returns the CRC-32 of text in base 36, padded to seven digits.
func checksum(text string) string {
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(text))), 36)
	return strings.Repeat("0", crcDigits-len(sum)) + sum
}

// Routable reports whether text is a routable token, of any kind and with any
// prefix, whose length and checksum hold.
func Routable(text string) bool {
	_, ok := parseRoutable(text)
	return ok
}

// scopeHint reads the runner type that a typed or routable token reveals.
func scopeHint(v string) Scope {
	r, ok := parseRoutable(v)
	if s := r.scope(); s != "" {
		return s
	}
	_, body := kindAndBody(v)
	if ok {
		_, body = kindAndBody(r.prefix)
	}
	if typeHint.MatchString(body) && (ok || len(body) >= 23) {
		return scopeOfType(body[1:2])
	}
	return ""
}

func scopeOfType(t string) Scope {
	return map[string]Scope{"1": ScopeInstance, "2": ScopeGroup, "3": ScopeProject}[t]
}

// scope reads the routing lines "t:", "p:" and "g:".
func (r routable) scope() Scope {
	keys := map[string]string{}
	for line := range strings.SplitSeq(r.routing(), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			keys[k] = v
		}
	}
	switch {
	case scopeOfType(keys["t"]) != "":
		return scopeOfType(keys["t"])
	case keys["p"] != "":
		return ScopeProject
	case keys["g"] != "":
		return ScopeGroup
	}
	return ""
}

// routing returns the routing string: in version 1 it follows the random bytes
// and its length follows it; in version 0 it comes first, then 16 random bytes
// and the byte 16. It returns "" where the payload is of neither form.
func (r routable) routing() string {
	raw, err := base64.RawURLEncoding.DecodeString(r.payload)
	if err != nil || len(raw) <= randomBytes {
		return ""
	}
	last, n := int(raw[len(raw)-1]), len(raw)-1-randomBytes
	switch {
	case r.version == 1 && last == n:
		return string(raw[randomBytes : len(raw)-1])
	case r.version == 0 && last == randomBytes:
		return string(raw[:n])
	}
	return ""
}
