package iac

import (
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// gap is what may stand between two words of a command, and be taken out with one:
// blanks, continued lines, the marks of a list.
var gap = lazyregexp.New("^(?:[\\s,\"'\\\\`^]|- )*$")

// command mends a call of gitlab-runner register: the flag of the token, and the
// arguments that belong to the runner's record.
func (w *rewriter) command(f Finding) {
	s, ok := w.commandAt(f)
	if !ok {
		w.decideLegacy(f)
		return
	}
	flags := flagsOf(s.words)
	var token *flag
	for i, one := range flags {
		if isTokenFlag(one.name) && (token == nil || one.where.span() == f.Where) {
			token = &flags[i]
		}
	}
	if token == nil || both(flags) || registrationValue(token.value.String()) {
		w.decideLegacy(f)
		return
	}
	c := change{where: s.words[0].span().Start}
	if token.name != "token" && token.name != "t" {
		c.edits = append(c.edits, edited(w.f.raw, token.where.span(), "--token"))
	}
	moved, whole := w.takeOut(s, flags, &c)
	if !whole {
		w.decideLegacy(f)
		return
	}
	c.comment = w.once(w.creation(token.value.String(), moved, f.Slug))
	w.add(c)
	if secret := w.secretAt(token.value.span()); !secret.IsZero() {
		w.literal(token.value.span(), secret)
	}
}

// registrationValue reports an expression that is a registration token by what it
// reads: under another name it would be one still.
func registrationValue(text string) bool {
	return strings.Contains(text, "runners_token") || strings.Contains(text, "runners_registration_token")
}

// both reports a command that is given a token by either flag: one of them goes,
// and which is not known.
func both(flags []flag) bool {
	n := 0
	for _, f := range flags {
		if isTokenFlag(f.name) {
			n++
		}
	}
	return n > 1
}

// commandAt is the command that has the finding's flag.
func (w *rewriter) commandAt(f Finding) (site, bool) {
	for _, s := range w.f.sites {
		if s.kind != siteCommand {
			continue
		}
		for _, one := range flagsOf(s.words) {
			if one.where.span() == f.Where {
				return s, true
			}
		}
	}
	return site{}, false
}

// secretAt is the literal that a finding saw at a place.
func (w *rewriter) secretAt(s Span) rekey.Token {
	for _, f := range w.found {
		if f.Slug == Hardcoded && f.Where == s {
			return f.Secret()
		}
	}
	return rekey.Token{}
}

// takeOut removes the server-side arguments and returns them. It reports false
// where one cannot be taken out without touching something else.
func (w *rewriter) takeOut(s site, flags []flag, c *change) ([]flag, bool) {
	var moved []flag
	for _, one := range flags {
		if !serverArguments[one.name] {
			continue
		}
		first := w.wordIndex(s, one.where.span())
		last := first
		if next := first + 1; next < len(s.words) && one.given && s.words[next].val.span() == one.value.span() {
			if boolean[one.name] && !truth.MatchString(one.value.String()) {
				one.value, one.given = one.value.sub(0, 0), false
			} else {
				last = next
			}
		}
		if first < 0 {
			return nil, false
		}
		e, ok := w.removal(s, first, last)
		if !ok {
			return nil, false
		}
		c.edits = append(c.edits, e)
		moved = append(moved, one)
	}
	c.edits = joinRemovals(c.edits, w.f.raw)
	return moved, true
}

var (
	boolean = map[string]bool{"locked": true, "run-untagged": true, "paused": true}
	truth   = lazyregexp.New(`(?i)^(?:true|false|1|0|t|f)$`)
)

func (w *rewriter) wordIndex(s site, where Span) int {
	for i, word := range s.words {
		if at := word.span(); at.Start <= where.Start && where.End <= at.End {
			return i
		}
	}
	return -1
}

// removal takes the words from first to last out, with what stands before them.
func (w *rewriter) removal(s site, first, last int) (edit, bool) {
	end := w.wordEnd(s, last)
	start := w.quotedStart(s, first)
	switch {
	case first > 0:
		start = w.wordEnd(s, first-1)
	case last+1 < len(s.words):
		end = w.quotedStart(s, last+1)
	}
	if start > end {
		return edit{}, false
	}
	between := ""
	for i := max(first, 1); i <= last; i++ {
		from, to := max(w.wordEnd(s, i-1), s.words[i-1].span().End), s.words[i].span().Start
		if from > to {
			return edit{}, false
		}
		between += string(w.f.raw[from:to])
	}
	return edited(w.f.raw, Span{start, end}, ""), gap.MatchString(between)
}

// wordEnd is where a word ends for the shell that reads it: patterns split a,b.
func (w *rewriter) wordEnd(s site, i int) int {
	end := w.quotedEnd(s, i)
	if w.f.format != FormatMakefile && w.f.format != FormatPowerShell && w.f.format != FormatBatch {
		return end
	}
	if strings.Contains(s.words[i].String(), "$(") && end < len(w.f.raw) && w.f.raw[end] == ')' {
		end++
	}
	for end+1 < len(w.f.raw) && !blank(w.f.raw[end]) && !strings.ContainsRune("\"')]};", rune(w.f.raw[end])) && !blank(w.f.raw[end+1]) {
		end++
		for end < len(w.f.raw) && wordByte(w.f.raw[end]) {
			end++
		}
	}
	return end
}

// quotedEnd is the end of a word with the quote of a list around it.
func (w *rewriter) quotedEnd(s site, i int) int {
	at := s.words[i].span()
	if w.quoted(at) {
		return at.End + 1
	}
	return at.End
}

func (w *rewriter) quotedStart(s site, i int) int {
	at := s.words[i].span()
	if w.quoted(at) {
		return at.Start - 1
	}
	return at.Start
}

func (w *rewriter) quoted(at Span) bool {
	if at.Start == 0 || at.End >= len(w.f.raw) {
		return false
	}
	q := w.f.raw[at.Start-1]
	return (q == '"' || q == '\'') && w.f.raw[at.End] == q
}

// joinRemovals makes one edit of removals that touch.
func joinRemovals(edits []edit, raw []byte) []edit {
	var out []edit
	for _, e := range edits {
		if n := len(out) - 1; n >= 0 && e.new == "" && out[n].new == "" && out[n].at.End == e.at.Start && out[n].old != "" {
			out[n] = edited(raw, Span{out[n].at.Start, e.at.End}, "")
			continue
		}
		out = append(out, e)
	}
	return out
}

// creation is the instruction to make the record first, with the arguments that
// belong to it.
func (w *rewriter) creation(value string, moved []flag, slug Slug) []string {
	attributes := make([]string, 0, len(moved))
	for _, f := range moved {
		attributes = append(attributes, attribute(f.name, w.shown(f)))
	}
	if slug == LegacyArgs || isGLRT(value) {
		if len(attributes) == 0 {
			return nil
		}
		return []string{"with --token these belong to the runner's record, where they are set once:",
			"glab api -X PUT runners/RUNNER_ID " + strings.Join(attributes, " ")}
	}
	if name, in := variableIn(value); in {
		return recordLines("its glrt- token is what "+name+" has to hold from now on", attributes)
	}
	return recordLines("--token takes its glrt- token", attributes)
}

// once is an instruction that did not stand in the file before, word for word.
func (w *rewriter) once(lines []string) []string {
	key := strings.Join(lines, "\n")
	if w.said[key] {
		return nil
	}
	w.said[key] = true
	return lines
}

// recordLines tell how a record is made; who it is for is not known here.
func recordLines(then string, attributes []string) []string {
	return []string{
		"create the runner once, before this; " + then + ":",
		strings.TrimRight("glab api -X POST user/runners -f runner_type=TYPE "+strings.Join(attributes, " "), " "),
		"TYPE: instance_type, or group_type -f group_id=ID, or project_type -f project_id=ID",
	}
}

func attribute(name, value string) string {
	if value == "" {
		value = "true"
	}
	return fmt.Sprintf("-f %s=%s", strings.ReplaceAll(name, "-", "_"), value)
}

// shown is the value of an argument for a comment: on one line, and without a
// token.
func (w *rewriter) shown(f flag) string {
	at := f.value.span()
	text := f.value.String()
	if at.Start > 0 && w.f.raw[at.Start-1] == '"' || strings.ContainsAny(text, " ,;") {
		text = `"` + text + `"`
	}
	return redacted(strings.Join(strings.Fields(text), " "), nil)
}

// variableIn is the variable that a value consists of.
func variableIn(value string) (string, bool) {
	m := onlyReference.FindStringSubmatch(value)
	if m == nil {
		return "", false
	}
	return m[1] + m[2] + m[3], true
}

var onlyReference = lazyregexp.New(`^(?:\$\{(?:env:)?([\w.]+)[^}]*\}|\$(?:env:)?(\w+)|\{\{-?\s*(\w[\w.]*)[^}]*\}\})$`)
