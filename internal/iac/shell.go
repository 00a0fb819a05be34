package iac

import (
	"bytes"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"rekey/internal/lazyregexp"
)

// shell reads a shell script, also one that a template makes.
func (f *file) shell(v view, depth int) {
	v = continuing(unterraformed(untemplated(v)))
	parser := syntax.NewParser(syntax.KeepComments(true), syntax.Variant(syntax.LangBash))
	tree, err := parser.Parse(bytes.NewReader(v.text), "")
	if err != nil {
		f.failed(v, "shell")
		f.shellLines(v, depth)
		return
	}
	r := &shellReader{f: f, v: v, depth: depth}
	r.comments(tree)
	syntax.Walk(tree, r.visit)
	f.mentions(v, FormatShell)
}

// shellReader walks one syntax tree.
type shellReader struct {
	f     *file
	v     view
	depth int
	stack []syntax.Node
}

func (r *shellReader) node(n syntax.Node) view {
	return r.v.sub(int(n.Pos().Offset()), int(n.End().Offset()))
}

func (r *shellReader) comments(tree syntax.Node) {
	syntax.Walk(tree, func(n syntax.Node) bool {
		if c, ok := n.(*syntax.Comment); ok {
			r.f.comment = append(r.f.comment, r.node(c).span())
		}
		return true
	})
}

func (r *shellReader) visit(n syntax.Node) bool {
	if n == nil {
		r.stack = r.stack[:len(r.stack)-1]
		return true
	}
	switch n := n.(type) {
	case *syntax.Stmt:
		r.statement(n)
	case *syntax.BinaryCmd:
		r.pipe(n)
	case *syntax.Assign:
		if n.Name != nil && n.Value != nil {
			value := r.node(n.Value).unquote()
			r.f.field(r.node(n.Name), value, nil, true)
			if commandInText.Match(value.text) {
				r.f.nested(value.unescape(), "", r.depth)
			}
		}
		if n.Array != nil {
			r.array(n.Array)
		}
	}
	r.stack = append(r.stack, n)
	return true
}

// pipe finds answers that are printed into register, a token among them.
func (r *shellReader) pipe(n *syntax.BinaryCmd) {
	if n.Op != syntax.Pipe && n.Op != syntax.PipeAll {
		return
	}
	to, ok := n.Y.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	words := make([]word, 0, len(to.Args))
	for _, a := range to.Args {
		words = append(words, wordOf(r.node(a)))
	}
	if from, ok := n.X.Cmd.(*syntax.CallExpr); ok && registers(words) && len(from.Args) > 1 && speaks(wordOf(r.node(from.Args[0]))) {
		r.f.see(site{kind: siteCommand, words: words, text: "shell", stdin: r.node(from), hasIn: true})
	}
}

// commandInText is a command that is put together in a variable.
var commandInText = lazyregexp.New(`(?s)gitlab-runner.*\sregister\s`)

// array takes the elements of a bash array for the words of a command: so they
// are written to be used.
func (r *shellReader) array(a *syntax.ArrayExpr) {
	var words []word
	for _, e := range a.Elems {
		if e.Value != nil {
			words = append(words, wordOf(r.node(e.Value)))
		}
	}
	if len(words) > 0 {
		r.f.see(site{kind: siteCommand, words: words, text: "array"})
	}
}

func (r *shellReader) statement(st *syntax.Stmt) {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok {
		r.heredocs(st, nil)
		return
	}
	words := make([]word, 0, len(call.Args))
	for _, a := range call.Args {
		words = append(words, wordOf(r.node(a)))
	}
	if len(words) == 0 {
		return
	}
	if speaks(words[0]) {
		r.speech(st, call, words)
	} else {
		for _, w := range words[1:] {
			r.inner(w)
		}
	}
	r.heredocs(st, words)
}

// inner reads a word that is a script of its own: sh -c '…', ssh host "…".
func (r *shellReader) inner(w word) {
	if w.val.len() > 20 && bytes.ContainsAny(w.val.text, " \n") && interesting(w.val.orig) {
		r.f.nested(w.val.unescape(), "", r.depth)
	}
}

var speakers = map[string]bool{"echo": true, "printf": true, "logger": true, "log": true, "info": true, "warn": true, "print": true, "die": true, "error": true, "fail": true,
	"log_info": true, "log_error": true, "log_warn": true, "logit": true, "msg": true, "usage": true, "warning": true, "fatal": true, "err": true, "debug": true, "note": true}

func speaks(w word) bool { return speakers[w.val.String()] }

// speech is a command that prints. What it prints is for people, unless it goes
// into a file or another command.
func (r *shellReader) speech(st *syntax.Stmt, call *syntax.CallExpr, words []word) {
	if r.captured(st) {
		for _, w := range words[1:] {
			r.inner(w)
		}
		return
	}
	r.f.quiet = append(r.f.quiet, r.node(call).span())
	var shown []word
	for _, a := range call.Args[1:] {
		shown = append(shown, r.revealed(a)...)
	}
	r.f.see(site{kind: siteEcho, name: words[0].val, value: r.node(call), words: shown, bare: len(call.Args) == 2 && onlyVariable(call.Args[1]) && (r.inFunction() || returned.Match(r.v.text[call.End().Offset():]))})
}

// returned is what follows an echo that is a script's result.
var returned = lazyregexp.New(`^["']?\s*(?:&&|;|\n)\s*(?:exit|return)\b|^\s*$`)

// onlyVariable reports a word that is a variable and no more, as a function
// returns its result.
func onlyVariable(w *syntax.Word) bool {
	parts := w.Parts
	if len(parts) == 1 {
		if q, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = q.Parts
		}
	}
	if len(parts) != 1 {
		return false
	}
	_, ok := parts[0].(*syntax.ParamExp)
	return ok
}

// revealed returns the variables whose whole value a word shows.
func (r *shellReader) revealed(w *syntax.Word) []word {
	var found []word
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			return false
		case *syntax.ParamExp:
			if n.Param == nil || n.Length || n.Slice != nil || n.Repl != nil || n.Exp != nil && !strings.Contains(n.Exp.Op.String(), "-") {
				return false
			}
			found = append(found, word{view: r.node(n), val: r.node(n.Param)})
		}
		return true
	})
	return found
}

func (r *shellReader) inFunction() bool {
	for _, n := range r.stack {
		if _, ok := n.(*syntax.FuncDecl); ok {
			return true
		}
	}
	return false
}

// captured reports whether what a statement prints goes elsewhere than to the
// terminal or the log.
func (r *shellReader) captured(st *syntax.Stmt) bool {
	if redirected(st) {
		return true
	}
	for i, n := range r.stack {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst:
			return true
		case *syntax.Stmt:
			if redirected(n) {
				return true
			}
		case *syntax.BinaryCmd:
			inside := syntax.Node(st)
			if i+1 < len(r.stack) {
				inside = r.stack[i+1]
			}
			if (n.Op == syntax.Pipe || n.Op == syntax.PipeAll) && inside == syntax.Node(n.X) {
				return true
			}
		}
	}
	return false
}

func redirected(st *syntax.Stmt) bool {
	for _, d := range st.Redirs {
		out := d.Op == syntax.RdrOut || d.Op == syntax.AppOut || d.Op == syntax.RdrAll || d.Op == syntax.AppAll || d.Op == syntax.RdrClob
		if out && d.Word != nil && !strings.HasPrefix(d.Word.Lit(), "/dev/std") && d.Word.Lit() != "/dev/tty" && (d.N == nil || d.N.Value == "1") {
			return true
		}
	}
	return false
}

func (r *shellReader) heredocs(st *syntax.Stmt, words []word) {
	command := site{kind: siteCommand, words: words, text: "shell"}
	for _, d := range st.Redirs {
		if d.Op == syntax.WordHdoc && d.Word != nil && registers(words) {
			command.stdin, command.hasIn = r.node(d.Word), true
		}
		if d.Hdoc == nil {
			continue
		}
		body := r.node(d.Hdoc)
		switch {
		case registers(words):
			command.stdin, command.hasIn = body, true
		case len(words) > 0 && words[0].val.String() == "cat" && !r.captured(st):
			r.f.quiet = append(r.f.quiet, body.span()) // a usage text
		default:
			r.f.nested(body, heredocName(st, words), r.depth)
		}
	}
	if len(words) > 0 {
		r.f.see(command)
	}
}

// heredocName is the file that a heredoc is written to.
func heredocName(st *syntax.Stmt, words []word) string {
	for _, d := range st.Redirs {
		if d.Word != nil && d.Hdoc == nil {
			return strings.Trim(d.Word.Lit(), `"'`)
		}
	}
	if len(words) > 1 && words[0].val.String() == "tee" || len(words) > 2 {
		return words[len(words)-1].val.String()
	}
	return ""
}

var (
	continued  = lazyregexp.New("[\\\\`^][ \\t]*\\r?\\n")
	assignment = lazyregexp.New(`^\s*(?:export\s+|set\s+|local\s+|readonly\s+|declare\s+(?:-\w+\s+)*|\$(?:env:|script:|global:)?)?([A-Za-z_]\w*)\s*=\s*(.*)$`)
)

// shellLines reads a script that does not parse: line by line, continued lines
// joined.
func (f *file) shellLines(v view, depth int) {
	text := append([]byte(nil), v.text...)
	for _, m := range continued.FindAllIndex(text, -1) {
		for i := m[0]; i < m[1]; i++ {
			text[i] = ' '
		}
	}
	f.hashComments(v, text)
	joined := v.masked(text)
	for i := 0; i < len(text); {
		end := i + bytes.IndexByte(text[i:], '\n')
		if end < i {
			end = len(text)
		}
		f.shellLine(joined.sub(i, end), depth)
		i = end + 1
	}
	f.mentions(v, FormatShell)
}

func (f *file) shellLine(line view, depth int) {
	if m := assignment.FindSubmatchIndex(line.text); m != nil {
		f.field(line.sub(m[2], m[3]), line.sub(m[4], m[5]).trim().unquote(), nil, true)
	}
	words := splitWords(line)
	if len(words) == 0 {
		return
	}
	if speaks(words[0]) && !piped(words) && !bytes.ContainsAny(line.text, ">|") {
		f.quiet = append(f.quiet, line.span())
		f.see(site{kind: siteEcho, name: words[0].val, value: line, words: variablesIn(line)})
		return
	}
	f.see(site{kind: siteCommand, words: words, text: "shell", stdin: line, hasIn: piped(words)})
}

var shellVariable = lazyregexp.New(`\$\{?(?:env:)?([A-Za-z_]\w*)\}?`)

// variablesIn returns the variables that a line names.
func variablesIn(line view) []word {
	var found []word
	for _, m := range shellVariable.FindAllSubmatchIndex(line.orig, -1) {
		found = append(found, word{view: line.sub(m[0], m[1]), val: line.sub(m[2], m[3])})
	}
	return found
}

// splitWords splits a line as a shell does, with quotes and without expansion.
func splitWords(line view) []word {
	var words []word
	for i := 0; i < line.len(); {
		for i < line.len() && (blank(line.text[i]) || line.text[i] == ',' || line.text[i] == '(' || line.text[i] == ')' || line.text[i] == ';' || line.text[i] == '@') {
			i++
		}
		start := i
		var quote byte
		for i < line.len() {
			c := line.text[i]
			if quote == 0 && (blank(c) || c == ',' || c == ';' || c == ')') {
				break
			}
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case c == quote:
				quote = 0
			}
			i++
		}
		if i > start {
			words = append(words, wordOf(line.sub(start, i)))
		}
	}
	return words
}
