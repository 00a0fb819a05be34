package configtoml

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// The keys that can be edited, in the order in which gitlab-runner writes them.
const (
	fieldName = iota
	fieldURL
	fieldID
	fieldToken
	fieldObtained
	fieldExpires
	fieldCount
)

var fieldKeys = [fieldCount]string{"name", "url", "id", "token", "token_obtained_at", "token_expires_at"}

// layout is where things stand in the bytes of a document.
type layout struct {
	unknown  bool // the position parser disagrees with the acceptor
	sections []place
	blocks   []block
	wrong    *mistake // the first known key with a value of another type
	failed   int      // offset where the position parser gave up, -1 when it did not
	key      string   // how the file writes the section name: runners
	inline   bool     // runners = [{…}]
}

type mistake struct {
	offset int
	reason string
}

type span struct{ start, end int }

// place is where one section stands.
type place struct {
	line   int
	header span // of the header's line without its ending, or of '{'
	fields [fieldCount]field
	indent string // of the first key; "" with no key yet
	keys   int    // how many keys stand directly in the section
}

// field is where one value stands; line 0 means that the key is absent.
type field struct {
	line  int
	value span
	kind  unstable.Kind
}

// block is a run of lines that starts with a [header]; owner is the section it
// belongs to, or -1.
type block struct {
	owner int
	start int // of the header's line
	last  int // where the line of its last expression ends
}

// line returns the line of section i's header, 1 when it is unknown.
func (l *layout) line(i int) int {
	if i < len(l.sections) {
		return l.sections[i].line
	}
	return 1
}

// extents returns the lines of each section, as far as they are together.
func (l *layout) extents() []span {
	spans := make([]span, len(l.sections))
	previous := -1
	for _, b := range l.blocks {
		switch {
		case b.owner < 0:
		case spans[b.owner].end == 0:
			spans[b.owner] = span{b.start, b.last}
		case previous == b.owner:
			spans[b.owner].end = b.last
		}
		previous = b.owner
	}
	return spans
}

// locator walks over the expressions of a file.
type locator struct {
	layout
	data    []byte
	base    int // offset of the parser's input in data
	inRoot  bool
	inOwn   bool // directly in a [[runners]]
	counted int  // offset up to which lines were counted
	lines   int
}

// locate returns the layout, as far as it got.
func locate(data []byte, base int) *layout {
	l := &locator{layout: layout{failed: -1}, data: data, base: base, inRoot: true}
	var p unstable.Parser
	p.Reset(data[base:])
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			l.enter(e)
		case unstable.KeyValue:
			l.keyValue(e)
		}
	}
	if err := p.Error(); err != nil {
		l.failed = base
		if e := (*unstable.ParserError)(nil); errors.As(err, &e) && len(e.Highlight) > 0 {
			l.failed += int(p.Range(e.Highlight).Offset)
		}
	}
	return &l.layout
}

func (l *locator) enter(e *unstable.Node) {
	path, first := keyOf(e)
	at := l.base + int(first.Raw.Offset)
	b := block{owner: -1, start: l.lineStart(at), last: l.lineEnd(at)}
	l.inRoot, l.inOwn = false, false
	if strings.EqualFold(path[0], "runners") {
		if len(path) == 1 && e.Kind == unstable.ArrayTable {
			l.inOwn = true
			l.key = string(l.data[at : at+int(first.Raw.Length)])
			l.sections = append(l.sections, place{line: l.lineOf(at), header: span{b.start, trimEnding(l.data, b.last)}})
		}
		b.owner = len(l.sections) - 1
		if b.owner < 0 || len(path) == 1 && e.Kind == unstable.Table {
			l.mistake(at, "expected [[runners]], with two brackets on each side")
		}
		for _, t := range sectionTypes {
			if len(path) > 1 && strings.EqualFold(path[1], t.key) {
				l.mistake(at, "expected "+t.expected+" as the value of "+t.key+", not a section of that name")
			}
		}
	}
	l.blocks = append(l.blocks, b)
}

func (l *locator) keyValue(e *unstable.Node) {
	path, first := keyOf(e)
	at := l.base + int(first.Raw.Offset)
	end := l.base + int(e.Raw.Offset+e.Raw.Length)
	if n := len(l.blocks); n > 0 {
		l.blocks[n-1].last = l.lineEnd(end)
	}
	switch {
	case l.inOwn:
		s := &l.sections[len(l.sections)-1]
		if s.keys++; s.keys == 1 {
			s.indent = string(l.data[l.lineStart(at):at])
		}
		l.field(s, path, e.Value(), sectionTypes)
	case l.inRoot && len(path) == 1 && strings.EqualFold(path[0], "runners"):
		l.inlineRunners(e.Value(), at)
	case l.inRoot:
		l.field(nil, path, e.Value(), globalTypes)
	}
}

// inlineRunners is runners = [{…}, {…}].
func (l *locator) inlineRunners(value *unstable.Node, at int) {
	l.inline = true
	if value.Kind != unstable.Array {
		l.mistake(at, "expected [[runners]] sections")
		return
	}
	for tables := value.Children(); tables.Next(); {
		table := tables.Node()
		if table.Kind != unstable.InlineTable {
			l.mistake(at, "expected [[runners]] sections")
			return
		}
		start := l.base + int(table.Raw.Offset)
		s := place{line: l.lineOf(start), header: span{start, start + 1}}
		for pairs := table.Children(); pairs.Next(); {
			pair := pairs.Node()
			if pair.Kind != unstable.KeyValue {
				continue
			}
			s.keys++
			path, _ := keyOf(pair)
			l.field(&s, path, pair.Value(), sectionTypes)
		}
		l.sections = append(l.sections, s)
	}
}

// field notes where a known key's value stands and whether its type is right; s
// is nil at the top of the file.
func (l *locator) field(s *place, path []string, value *unstable.Node, types []keyType) {
	for _, t := range types {
		if !strings.EqualFold(path[0], t.key) {
			continue
		}
		v := span{l.base + int(value.Raw.Offset), l.base + int(value.Raw.Offset+value.Raw.Length)}
		if len(path) > 1 || !t.accepts(value) {
			l.mistake(v.start, "expected "+t.expected+" as the value of "+t.key)
			return
		}
		for i, key := range fieldKeys {
			if s != nil && key == t.key {
				s.fields[i] = field{line: l.lineOf(v.start), value: v, kind: value.Kind}
			}
		}
		return
	}
}

func (l *locator) mistake(offset int, reason string) {
	if l.wrong == nil {
		l.wrong = &mistake{offset, reason}
	}
}

// lineOf counts on from the last question; offsets mostly rise.
func (l *locator) lineOf(offset int) int {
	if offset < l.counted {
		l.counted, l.lines = 0, 0
	}
	l.lines += bytes.Count(l.data[l.counted:offset], []byte("\n"))
	l.counted = offset
	return l.lines + 1
}

func (l *locator) lineStart(offset int) int {
	return max(bytes.LastIndexByte(l.data[:offset], '\n')+1, l.base)
}

func (l *locator) lineEnd(offset int) int { return lineEnd(l.data, offset) }

// lineEnd returns the offset behind the line's ending.
func lineEnd(data []byte, offset int) int {
	if i := bytes.IndexByte(data[offset:], '\n'); i >= 0 {
		return offset + i + 1
	}
	return len(data)
}

// trimEnding returns end without the line ending before it.
func trimEnding(data []byte, end int) int {
	if end > 0 && data[end-1] == '\n' {
		end--
		if end > 0 && data[end-1] == '\r' {
			end--
		}
	}
	return end
}

func keyOf(e *unstable.Node) (path []string, first *unstable.Node) {
	for keys := e.Key(); keys.Next(); {
		k := keys.Node()
		if first == nil {
			first = k
		}
		path = append(path, string(k.Data))
	}
	return path, first
}
