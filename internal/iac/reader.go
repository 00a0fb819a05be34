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
	// parsedWhole is the size up to which a file is parsed; a larger one is read by
	// patterns, chunk by chunk.
	parsedWhole = 1 << 20
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
	if decoded, ok := fromUTF16(text); ok {
		text = decoded
	} else if bytes.IndexByte(text[:min(n, head)], 0) >= 0 {
		r.run.skip(skippedBinary)
		r.files--
		return
	}
	if n < chunkSize {
		if r.run.search.find(text) {
			r.examine(name, text)
		}
		return
	}
	r.large(name, in, text)
}

// large reads a file that is longer than the buffer: whole, when it is not too
// long to parse, else chunk by chunk.
func (r *reader) large(name string, in io.Reader, first []byte) {
	rest, err := io.ReadAll(io.LimitReader(in, parsedWhole-int64(len(first))+1))
	r.bytes += int64(len(rest))
	if err != nil {
		r.run.unreadable(name, err)
		return
	}
	start := append(append(make([]byte, 0, len(first)+len(rest)), first...), rest...)
	if len(start) <= parsedWhole {
		if r.run.search.find(start) {
			r.examine(name, start)
		}
		return
	}
	r.chunks(name, io.MultiReader(bytes.NewReader(start), in), int64(len(start)))
}

// chunks reads a file of any size and examines the chunks that hold a literal.
func (r *reader) chunks(name string, in io.Reader, counted int64) {
	line, kept, examined := 0, 0, false
	var total int64
	for {
		n, err := io.ReadFull(in, r.buffer[kept:])
		total += int64(n)
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
			examined = true
			r.examineChunk(name, chunk, line, next, last)
		}
		line += bytes.Count(chunk[:next], []byte("\n"))
		kept = copy(r.buffer, chunk[next:])
		if last {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				r.run.unreadable(name, err)
			}
			break
		}
	}
	r.bytes += max(0, total-counted)
	if examined {
		r.examined++
	}
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
	if len(text) < 2 || !(text[0] == 0xff && text[1] == 0xfe || text[0] == 0xfe && text[1] == 0xff) {
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
