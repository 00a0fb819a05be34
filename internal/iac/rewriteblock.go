package iac

import (
	"bytes"
	"slices"
	"strings"
)

// place is where a field stands among its like: for an entry of a list that has a
// name and a value under names of their own, the list.
func place(s site) []string {
	if n := len(s.path) - 1; s.pair && n >= 0 && number.MatchString(s.path[n]) {
		return s.path[:n]
	}
	return s.path
}

// beside reports fields of one mapping, or of one list of names and values.
func beside(a, b site) bool { return a.pair == b.pair && slices.Equal(place(a), place(b)) }

// commentedOut turns an entry of a YAML mapping or list, with all that belongs to
// it, into comments. It reports false where other text stands before it on its line.
func (w *rewriter) commentedOut(at int) (edit, bool) {
	first := w.f.line(at)
	start := w.f.lines[first-1]
	column := at - start
	if w.f.format != FormatYAML || strings.TrimSpace(string(w.f.raw[start:at])) != "" {
		return edit{}, false
	}
	var b strings.Builder
	last := w.lastLine(first, column)
	for n := first; n <= last; n++ {
		text := string(w.f.lineText(n))
		switch {
		case n == first:
			b.WriteString("# " + text[column:])
		case strings.TrimSpace(text) == "":
			b.WriteString("\n" + text)
		case len(text) < column:
			return edit{}, false
		default:
			b.WriteString("\n" + text[:column] + "# " + text[column:])
		}
	}
	end := w.f.lines[last-1] + len(w.f.lineText(last))
	return edited(w.f.raw, Span{at, end}, b.String()), true
}

// lastLine is the last line of what begins at a column of a line: those below are
// indented further, or are a list at the column of its key.
func (w *rewriter) lastLine(first, column int) int {
	last := first
	list := w.f.lineText(first)[column] != '-'
	for n := first + 1; n <= len(w.f.lines); n++ {
		text := bytes.TrimRight(w.f.lineText(n), " \t\r")
		if len(text) == 0 {
			continue
		}
		indent := len(text) - len(bytes.TrimLeft(text, " "))
		if indent < column || indent == column && (!list || !bytes.HasPrefix(text[indent:], []byte("-"))) {
			break
		}
		last = n
	}
	return last
}

// entry is where the entry of a list begins that a pair is.
func (w *rewriter) entry(s site) (int, bool) {
	at := s.name.span().Start
	n := w.f.line(at)
	column := at - w.f.lines[n-1]
	for ; n >= 1; n-- {
		text := w.f.lineText(n)
		indent := len(text) - len(bytes.TrimLeft(text, " "))
		if indent < column && bytes.HasPrefix(text[indent:], []byte("- ")) {
			return w.f.lines[n-1] + indent, true
		}
		if len(bytes.TrimSpace(text)) > 0 {
			column = min(column, indent)
		}
	}
	return 0, false
}
