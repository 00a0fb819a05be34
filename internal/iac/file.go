package iac

import (
	"bytes"
	"sort"
)

// deepest is how many texts within texts are read: a heredoc in a block scalar in
// a template is three.
const deepest = 8

// file is one file under examination: what its parsers saw.
type file struct {
	path    string
	raw     []byte
	format  Format
	sites   []site
	unread  []unread // texts that did not parse
	comment []Span   // where comments stand
	quiet   []Span   // texts for people: usage, messages
	lines   []int
	pins    []pinned
	budget  int    // bytes that nested texts may still take
	texts   []text // the texts that were read, the file first
	every   bool   // read nested texts that hold no literal too
	lean    bool   // keep only the sites that a judge looks at
}

func newFile(path string, raw []byte, format Format) *file {
	return &file{path: path, raw: raw, format: format, budget: 4*len(raw) + 1<<16}
}

func (f *file) see(s site) {
	if !f.lean || s.telling() {
		f.sites = append(f.sites, s)
	}
}

func (f *file) field(name, value view, path []string, set bool) {
	f.see(site{kind: siteField, name: name, value: value, path: path, set: set})
}

// unread is where a text begins that did not parse, and in which language. The
// parser's own words are not kept: they quote what may be a token.
type unread struct {
	line     int
	language string
}

// failed notes that a text did not parse in its own language and was read by
// patterns.
func (f *file) failed(v view, language string) {
	if bytes.IndexByte(v.text, '\n') < 0 {
		return // one line that is no command
	}
	f.unread = append(f.unread, unread{f.line(v.span().Start), language})
}

// line returns the number of the line, from 1, that a byte stands in.
func (f *file) line(at int) int {
	if f.lines == nil {
		f.lines = []int{0}
		for i, c := range f.raw {
			if c == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	}
	return sort.SearchInts(f.lines, at+1)
}

// column returns the byte's place in its line, from 1.
func (f *file) column(at int) int { return at - f.lines[f.line(at)-1] + 1 }

// lineText returns the text of a line.
func (f *file) lineText(n int) []byte {
	if n < 1 || n > len(f.lines) {
		return nil
	}
	rest := f.raw[f.lines[n-1]:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func within(spans []Span, at int) bool {
	for _, s := range spans {
		if at >= s.Start && at < s.End {
			return true
		}
	}
	return false
}

// read takes a text apart in its language. A parser that panics on it loses to the
// patterns: a scanner must not fall over somebody's file.
func (f *file) read(v view, format Format, depth int) {
	if depth > deepest || v.len() == 0 || v.len() > f.budget {
		return
	}
	f.budget -= v.len()
	f.texts = append(f.texts, text{v, format, depth})
	sites, unread := len(f.sites), len(f.unread)
	defer func() {
		if r := recover(); r != nil {
			f.sites, f.unread = f.sites[:sites], f.unread[:unread]
			f.failed(v, string(format))
			f.patterns(v, format, depth)
		}
	}()
	switch format {
	case FormatHCL:
		f.hcl(v, depth)
	case FormatYAML, FormatJSON:
		f.yaml(v, format, depth)
	case FormatShell:
		f.shell(v, depth)
	case FormatDockerfile:
		f.dockerfile(v, depth)
	case FormatTOML:
		f.toml(v)
	case FormatDotenv:
		f.dotenv(v)
	case FormatDocument:
		f.commands(v, format, depth)
	default:
		f.patterns(v, format, depth)
	}
}

// nested reads a text that stands inside another one, in the language it seems to
// be written in. hint is the name under which it stands.
func (f *file) nested(v view, hint string, depth int) {
	if v.len() < 12 || !f.every && !interesting(v.orig) {
		return
	}
	comments := len(f.comment)
	f.read(v, guess(v, hint), depth+1)
	if bytes.IndexByte(v.text, '\n') < 0 {
		f.comment = f.comment[:comments] // what a # begins in one line may be no comment outside it
	}
}
