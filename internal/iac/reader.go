package iac

import (
	"bytes"
	"io"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// chunkSize is how much of a file is in memory at once while it is searched.
	chunkSize = 256 << 10
	// parsedWhole is the size up to which a file is parsed. A larger one is read by
	// patterns, chunk by chunk.
	parsedWhole = 3 << 20
	// overlap is how much of a chunk is seen again with the next: longer than any
	// token or literal.
	overlap = 2 * longest
	// head is where a NUL byte makes a file binary.
	head = 8 << 10
)

var archives = map[string]bool{
	".zip": true, ".gz": true, ".tgz": true, ".tar": true, ".bz2": true, ".xz": true, ".zst": true, ".7z": true, ".rar": true, ".jar": true, ".war": true,
	".whl": true, ".deb": true, ".rpm": true, ".apk": true, ".iso": true, ".lz4": true, ".egg": true, ".nupkg": true, ".crx": true,
}

// opened is a file that is read.
type opened interface {
	io.ReadCloser
	io.ReaderAt
	size() int64
}

// reader reads files one after another, with one buffer.
type reader struct {
	run             *run
	buffer          []byte
	files, examined int
	bytes           int64
	found           []Finding
}

func (r *reader) file(name string) {
	if archives[strings.ToLower(path.Ext(name))] {
		r.run.skip(skippedArchive)
		return
	}
	in, err := openPlain(name)
	if err != nil {
		r.run.unreadable(name, err)
		return
	}
	defer in.Close()
	n, err := io.ReadFull(in, r.buffer)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		r.run.unreadable(name, err)
		return
	}
	text := r.buffer[:n]
	r.files++
	r.bytes += int64(n)
	if utf16Text(text) {
		rest, _ := io.ReadAll(io.LimitReader(in, parsedWhole))
		r.bytes += int64(len(rest))
		if text, _ = fromUTF16(append(bytes.Clone(text), rest...)); r.run.search.find(text) {
			r.examine(name, text)
		}
		return
	}
	if bytes.IndexByte(text[:min(n, head)], 0) >= 0 {
		r.run.skip(skippedBinary)
		r.files--
		return
	}
	if n == chunkSize {
		r.large(name, in, in.size(), n)
	} else if r.run.search.find(text) {
		r.examine(name, text)
	}
}

// large reads a file that is longer than the buffer, a chunk at a time, until one
// holds a literal: then it is parsed whole, when it is not too long for that, else
// its chunks are examined. The first bytes of it are in the buffer.
func (r *reader) large(name string, in io.ReaderAt, size int64, first int) {
	line, kept, examined, told := 0, first, false, false
	at := int64(first)
	for {
		n, err := readAt(in, r.buffer[kept:], at)
		at += int64(n)
		r.bytes += int64(n)
		chunk := r.buffer[:kept+n]
		last := err != nil
		next := len(chunk)
		if !last {
			next = len(chunk) - overlap
			if i := bytes.LastIndexByte(chunk[len(chunk)/2:next], '\n'); i >= 0 {
				next = len(chunk)/2 + i + 1
			}
		}
		if r.run.search.find(chunk) {
			if !examined && r.whole(name, in, size) {
				r.bytes += max(0, size-at)
				return
			}
			found := len(r.found)
			r.examineChunk(name, chunk, line, next, last)
			examined = true
			if !told && len(r.found) > found {
				told = true
				r.found = append(r.found, unparsed(name, r.found[found].Line, r.found[found].Format, "the file is too large to be parsed, and was read by patterns around what was found"))
			}
		}
		line += bytes.Count(chunk[:next], []byte("\n"))
		kept = copy(r.buffer, chunk[next:])
		if last {
			if err != io.EOF {
				r.run.unreadable(name, err)
			}
			break
		}
	}
	if examined {
		r.examined++
	}
}

// readAt fills the buffer as far as the file goes; io.EOF says that this was the end.
func readAt(in io.ReaderAt, buffer []byte, at int64) (int, error) {
	n, err := in.ReadAt(buffer, at)
	if n == len(buffer) && err == io.EOF {
		err = nil // the next read says so
	}
	return n, err
}

// whole examines a file that is not too long to be parsed, one after another:
// several syntax trees at once would take the memory that is promised.
func (r *reader) whole(name string, in io.ReaderAt, size int64) bool {
	if size < chunkSize || size > parsedWhole { // a file of /proc says that it is empty
		return false
	}
	r.run.parsing.Lock()
	defer r.run.parsing.Unlock()
	text := make([]byte, size)
	n, err := in.ReadAt(text, 0)
	if int64(n) != size || err != nil && err != io.EOF || words(text) > densest(formatOf(name, text)) {
		return false
	}
	r.examined++
	r.found = append(r.found, Examine(name, text, r.run.scan.Target)...)
	return true
}

// densest is how many words a large file may have to be parsed: a syntax tree takes
// a hundred times its text, that of HCL more.
func densest(f Format) int {
	if f == FormatHCL || f == FormatJSON {
		return 160_000
	}
	return 280_000
}

// words counts what a parser may make a node of.
func words(text []byte) int {
	n, apart := 0, true
	for _, c := range text {
		now := blank(c) || c == ',' || c == ';'
		if apart && !now || c == ',' {
			n++
		}
		apart = now
	}
	return n
}

// surrounding is how much of a large file is read on either side of a literal.
const surrounding = 4 << 10

// examineChunk reads what stands around the literals in a part of a large file, by
// patterns. What begins after next is seen again with the next chunk.
func (r *reader) examineChunk(name string, chunk []byte, line, next int, last bool) {
	format := formatOf(name, nil).byPatterns()
	for at := 0; ; {
		hit := r.run.search.next(chunk, at)
		if hit < 0 {
			return
		}
		start, end := lineStart(chunk, max(at, hit-surrounding)), hit
		for {
			further := r.run.search.next(chunk[:min(len(chunk), end+2*surrounding)], end)
			if further < 0 {
				break
			}
			end = further
		}
		end = lineEnd(chunk, min(len(chunk), end+surrounding))
		at = end
		before := line + bytes.Count(chunk[:start], []byte("\n"))
		for _, f := range examineAs(name, bytes.Clone(chunk[start:end]), format, r.run.scan.Target) {
			if !last && start+f.Where.Start >= next || f.Slug == NotParsed {
				continue
			}
			f.Line += before
			f.EndLine += before
			f.Fixable = false
			r.found = append(r.found, f)
		}
	}
}

// lineStart moves a place back to the start of its line, where that is near.
func lineStart(text []byte, at int) int {
	from := max(0, at-overlap)
	if i := bytes.LastIndexByte(text[from:at], '\n'); i >= 0 {
		return from + i + 1
	}
	return at
}

// lineEnd moves a place on to the end of its line, where that is near.
func lineEnd(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:min(len(text), at+overlap)], '\n'); i >= 0 {
		return at + i + 1
	}
	return at
}

// byPatterns is the format that reads a part of a file: a parser needs the whole.
func (f Format) byPatterns() Format {
	switch f {
	case FormatText, FormatDocument, FormatPython, FormatRuby, FormatScript, FormatPowerShell, FormatMakefile, FormatNix, FormatPuppet, FormatBatch:
		return f
	}
	return FormatUnknown
}

func (r *reader) examine(name string, text []byte) {
	r.examined++
	r.found = append(r.found, Examine(name, bytes.Clone(text), r.run.scan.Target)...)
}

// fromUTF16 turns what PowerShell writes on Windows into UTF-8. Lines stay the same.
func fromUTF16(text []byte) ([]byte, bool) {
	if !utf16Text(text) {
		return nil, false
	}
	big := text[0] == 0xfe
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i+1 < len(text); i += 2 {
		if big {
			units = append(units, uint16(text[i])<<8|uint16(text[i+1]))
		} else {
			units = append(units, uint16(text[i+1])<<8|uint16(text[i]))
		}
	}
	var out []byte
	for _, c := range utf16.Decode(units) {
		out = utf8.AppendRune(out, c)
	}
	return out, true
}

func utf16Text(text []byte) bool {
	return len(text) > 1 && (text[0] == 0xff && text[1] == 0xfe || text[0] == 0xfe && text[1] == 0xff)
}
