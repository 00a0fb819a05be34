package iac

import (
	"bytes"
	"strings"
)

// mark begins every comment that a rewriting leaves.
const mark = "rekey: "

// commentStart is how a comment to the end of the line begins, "" where the format
// has none.
func (f Format) commentStart() string {
	switch f {
	case FormatJSON, FormatText, FormatDocument:
		return ""
	case FormatScript:
		return "//"
	case FormatBatch:
		return "REM"
	}
	return "#"
}

// commentAt puts lines above the statement that a place belongs to.
func (w *rewriter) commentAt(at int, lines []string) (edit, bool) {
	start := w.f.format.commentStart()
	if start == "" {
		return edit{}, false
	}
	line := w.statementLine(w.f.line(at))
	text := w.f.lineText(line)
	indent := string(text[:len(text)-len(bytes.TrimLeft(text, " \t"))])
	if w.f.format == FormatMakefile {
		indent = ""
	}
	ending := "\n"
	if bytes.HasSuffix(text, []byte("\r")) {
		ending = "\r\n"
	}
	var b strings.Builder
	for i, l := range lines {
		lead := mark
		if i > 0 {
			lead = "  "
		}
		for _, part := range wrapped(l, !strings.HasPrefix(l, "glab ")) {
			b.WriteString(indent + start + " " + lead + part + ending)
			lead = "  "
		}
	}
	return inserted(w.f.lines[line-1], b.String()), true
}

// commentWidth is how long a line of an instruction is at most; a command is not
// broken.
const commentWidth = 96

func wrapped(line string, prose bool) []string {
	if !prose {
		return []string{line}
	}
	var lines []string
	for len(line) > commentWidth {
		i := strings.LastIndexByte(line[:commentWidth], ' ')
		if i < 0 {
			break
		}
		lines, line = append(lines, line[:i]), line[i+1:]
	}
	return append(lines, line)
}

// stands reports an instruction that an earlier rewriting left in the file.
func (w *rewriter) stands(line string) bool {
	return bytes.Contains(w.f.raw, []byte(mark+wrapped(line, true)[0]))
}

// statementLine is the first line of the statement that a line continues.
func (w *rewriter) statementLine(line int) int {
	for line > 1 {
		before := bytes.TrimRight(w.f.lineText(line-1), " \t\r")
		if !continues(before) && !w.inside(line) {
			break
		}
		line--
	}
	return line
}

// continues reports a line that the next one belongs to.
func continues(line []byte) bool {
	if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
		return false
	}
	for _, end := range []string{`\`, "`", "&&", "||", "|", "^"} {
		if bytes.HasSuffix(line, []byte(end)) {
			return true
		}
	}
	return false
}

// inside reports a line that begins within one string or folded text, where a
// comment would be part of it.
func (w *rewriter) inside(line int) bool {
	at := w.f.lines[line-1]
	for _, t := range w.f.texts {
		s := t.v.span()
		if t.depth == 0 || at < s.Start || at >= s.End {
			continue
		}
		if bytes.IndexByte(bytes.TrimSpace(t.v.text), '\n') < 0 {
			return true // lines of the file that are one line of the text
		}
	}
	for _, p := range w.before {
		if at > p.at.Start && at < p.at.End && (strings.HasSuffix(p.kind, "*syntax.SglQuoted") || strings.HasSuffix(p.kind, "*syntax.DblQuoted")) && !w.scriptAt(at, p.at) {
			return true
		}
	}
	return false
}

// scriptAt reports whether a place in a quoted string is in a script of its own.
func (w *rewriter) scriptAt(at int, in Span) bool {
	for _, t := range w.f.texts {
		s := t.v.span()
		if s.Start >= in.Start && s.End <= in.End && at > s.Start && at < s.End {
			return true
		}
	}
	return false
}

// instructed reports whether a comment of an earlier rewriting stands above.
func (w *rewriter) instructed(at int) bool {
	start := w.f.format.commentStart()
	if start == "" {
		return false
	}
	for line := w.statementLine(w.f.line(at)) - 1; line >= 1; line-- {
		text := bytes.TrimLeft(w.f.lineText(line), " \t")
		if !bytes.HasPrefix(text, []byte(start)) {
			return false
		}
		if bytes.HasPrefix(text, []byte(start+" "+mark)) {
			return true
		}
	}
	return false
}
