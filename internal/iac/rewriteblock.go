package iac

import (
	"bytes"
	"slices"
	"strings"

	"rekey/internal/lazyregexp"
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

// pairHead is what may stand before the name of a pair on its line.
var pairHead = lazyregexp.New(`^( *)(- +)?(\{ *)?["']?\w+["']? *: +["']?$`)

// entry is where the entry of a list begins that a pair is; it has its lines for
// itself.
func (w *rewriter) entry(s site) (int, bool) {
	at := s.name.span().Start
	n := w.f.line(at)
	head := pairHead.FindSubmatch(w.f.raw[w.f.lines[n-1]:at])
	switch {
	case head == nil:
		return 0, false
	case len(head[2]) > 0:
		return w.f.lines[n-1] + len(head[1]), true
	case len(head[3]) > 0:
		return 0, false
	}
	for n--; n >= 1; n-- {
		text := w.f.lineText(n)
		left := bytes.TrimLeft(text, " ")
		indent := len(text) - len(left)
		if len(bytes.TrimSpace(left)) == 0 || indent >= len(head[1]) || left[0] == '#' {
			continue
		}
		key := len(text) - len(bytes.TrimLeft(left[1:], " "))
		return w.f.lines[n-1] + indent, left[0] == '-' && key == len(head[1])
	}
	return 0, false
}

// serverVariables takes the variables of the record out of the environment that a
// field stands in.
func (w *rewriter) serverVariables(s site, c *change) ([]string, bool) {
	var attributes []string
	for _, o := range w.f.sites {
		name := ""
		if o.kind == siteField && o.set && beside(o, s) {
			name = o.name.String()
		}
		if !serverVariables[name] {
			continue
		}
		line, own := w.withdrawn(o)
		if !own {
			return nil, false
		}
		if !slices.Contains(c.edits, line) {
			c.edits = append(c.edits, line)
			value := quotedIf(redacted(o.value.String(), nil))
			if value == "$" {
				value = `"$` + name + `"` // it is kept elsewhere
			}
			attributes = append(attributes, attribute(flagOf(name), value))
		}
	}
	return attributes, true
}

// withdrawn takes a variable out of its environment: its line, or, as a comment,
// its entry of a list.
func (w *rewriter) withdrawn(o site) (edit, bool) {
	if !o.pair {
		return w.ownLine(o)
	}
	at, ok := w.entry(o)
	if !ok {
		return edit{}, false
	}
	return w.commentedOut(at)
}

// variablesBeside takes out what belongs to the record beside CI_SERVER_TOKEN.
func (w *rewriter) variablesBeside(f Finding) {
	s, ok := w.names[f.Where]
	c := change{where: f.Where.Start}
	attributes, whole := w.serverVariables(s, &c)
	if !ok || !whole || len(c.edits) == 0 {
		w.decideLegacy(f)
		return
	}
	c.comment = []string{"with CI_SERVER_TOKEN these belong to the runner's record, where they are set once:", "glab api -X PUT runners/RUNNER_ID " + strings.Join(attributes, " ")}
	w.add(c)
}
