package iac

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// Rewriting is what becomes of one file. Before and After may hold tokens: Diff
// shows them without.
type Rewriting struct {
	Path          string
	Before, After []byte
	Fixed         int       // findings that are gone in After
	Left          []Finding // what a further audit of After reports
	Notes         []string  // what is to be done outside the file, and what a comment could not say
	Refused       string    // why a change was not made, "" where all were

	tokens []rekey.Token
	keep   []rekey.Token
}

// Changed reports whether the file is to be written.
func (r Rewriting) Changed() bool { return !bytes.Equal(r.Before, r.After) }

// Secrets are the literals that the rewriting takes out of the file.
func (r Rewriting) Secrets() []rekey.Token { return slices.Clone(r.tokens) }

// Keep are those of Secrets that somebody still needs: no registration tokens.
func (r Rewriting) Keep() []rekey.Token { return slices.Clone(r.keep) }

// RewriteOptions say what a rewriting may count on.
type RewriteOptions struct {
	Target Target
	// Reference is where literals are kept from now on, such as vault://…; "" where
	// nobody has put them anywhere.
	Reference string
	// Beside are the texts of the other files of a Terraform module, which may
	// declare a variable already.
	Beside [][]byte
}

// Rewrite changes what can be changed in one text without a guess, and puts a
// comment where a decision is needed. Every change is a splice at positions that a
// parser gave; the result is parsed again, and what would change anything else is
// refused and said. raw stays as it is; Rewrite does no I/O. Rewriting After again
// changes nothing.
func Rewrite(path string, raw []byte, o RewriteOptions) Rewriting {
	r := rewriteOnce(path, raw, o)
	if r.Changed() && rewriteOnce(path, r.After, o).Changed() {
		r = Rewriting{Path: path, Before: raw, After: raw, Refused: "a second run would change it again"}
		r.Left = Examine(path, raw, o.Target)
	}
	return r
}

func rewriteOnce(path string, raw []byte, o RewriteOptions) Rewriting {
	r := Rewriting{Path: path, Before: raw, After: raw}
	found := Examine(path, raw, o.Target)
	format := formatOf(path, raw)
	if _, wide := fromUTF16(raw); wide {
		r.Refused, r.Left = "it is UTF-16, and its bytes are not those that were read", found
		return r
	}
	if !slices.ContainsFunc(found, fixable) && !(format == FormatHCL && bytes.Contains(raw, []byte(legacyResource+"."))) {
		r.Left = found
		return r
	}
	if r.Refused = refusal(found, raw, format); r.Refused != "" {
		r.Left = found
		return r
	}
	w := newRewriter(path, raw, format, found, o)
	w.all()
	w.settle(&r)
	r.Left = Examine(path, r.After, o.Target)
	r.Fixed = gone(found, r.Left)
	return r
}

// fixable reports a finding that Rewrite has something to say of.
func fixable(f Finding) bool { return f.Fixable && f.Suppressed == "" }

func refusal(found []Finding, raw []byte, format Format) string {
	switch {
	case format == FormatText || format == FormatDocument:
		return "a text for people is not rewritten"
	case bytes.Contains(raw, []byte{0}):
		return "it holds NUL bytes"
	case slices.ContainsFunc(found, func(f Finding) bool { return f.Slug == NotParsed }):
		return "a part of it does not parse in its own language"
	case byAccident(raw, format):
		return "it is a template: what its bytes mean is known when it is rendered"
	}
	return ""
}

// gone counts the findings of before that are no more in after.
func gone(before, after []Finding) int {
	left := map[Slug]int{}
	for _, f := range after {
		if f.Suppressed == "" && f.Fixable {
			left[f.Slug]++
		}
	}
	n := 0
	for _, f := range before {
		if f.Suppressed != "" || !f.Fixable {
			continue
		}
		if left[f.Slug] > 0 {
			left[f.Slug]--
			continue
		}
		n++
	}
	return n
}

// change is what mends one place: the edits that belong together, and the comment
// that tells what to do beside them.
type change struct {
	where   int // the byte it is about
	edits   []edit
	comment []string // lines of an instruction, "" for none
	token   rekey.Token
	keep    bool // the token is still needed
}

// rewriter collects the changes of one file.
type rewriter struct {
	f       *file
	j       *judge
	o       RewriteOptions
	found   []Finding
	changes []change
	said    map[string]bool // instructions given, so that one stands once in a file
	notes   []string
	tries   int
	before  []part
	names   map[Span]site
	decided []Span          // where an instruction speaks for all that is found
	tops    map[string]bool // what is put at the top or the end of the file once
}

func newRewriter(path string, raw []byte, format Format, found []Finding, o RewriteOptions) *rewriter {
	f := newFile(path, raw, format)
	f.read(whole(raw), format, 0)
	j := &judge{f: f, target: o.Target}
	j.prepare()
	w := &rewriter{f: f, j: j, o: o, found: found, said: map[string]bool{}, tops: map[string]bool{}, names: map[Span]site{}}
	for _, s := range f.sites {
		if s.kind == siteField {
			w.names[s.name.span()] = s
		}
	}
	w.before = outline(path, raw, format)
	return w
}

// all makes the changes of every finding, each place once.
func (w *rewriter) all() {
	w.resources()
	for _, f := range w.found {
		if fixable(f) && !w.covered(f.Where) && !within(w.decided, f.Where.Start) {
			w.one(f)
		}
	}
}

func (w *rewriter) one(f Finding) {
	switch {
	case len(f.Command) > 0, f.Slug == Legacy && strings.HasPrefix(w.bytes(f.Where), "-"):
		w.command(f)
	case f.Slug == Hardcoded:
		w.literal(f.Where, f.Secret())
	case f.Slug == RegistrationAsRun:
		w.registrationAsRun(f)
	default:
		w.field(f)
	}
}

// covered reports a place that a change takes care of already.
func (w *rewriter) covered(s Span) bool {
	return slices.ContainsFunc(w.changes, func(c change) bool {
		return slices.ContainsFunc(c.edits, func(e edit) bool { return s.Start < e.at.End && s.End > e.at.Start })
	})
}

func (w *rewriter) add(c change) {
	if len(c.edits) == 0 && (len(c.comment) == 0 || w.instructed(c.where) || w.stands(c.comment[0])) {
		return
	}
	w.changes = append(w.changes, c)
}

// decide leaves a place as it is and says in a comment what somebody has to decide.
func (w *rewriter) decide(at int, lines ...string) {
	if w.said[lines[0]] || w.instructed(at) || w.stands(lines[0]) {
		return
	}
	w.said[lines[0]] = true
	w.add(change{where: at, comment: lines})
}

// settle puts the changes together, all at once where that holds, else as many as
// do, one after another.
func (w *rewriter) settle(r *Rewriting) {
	if w.try(r, w.changes) {
		return
	}
	good := w.grow(r, nil, w.changes)
	if !w.try(r, good) {
		r.After, r.tokens, r.keep = r.Before, nil, nil
	}
	r.Notes = append(r.Notes, w.notes...)
}

// mostTries is how often the changes of one file are put together differently: a
// file in which hardly one holds is left to a person.
const mostTries = 200

// grow adds as many of more to good as hold together, by halves.
func (w *rewriter) grow(r *Rewriting, good, more []change) []change {
	if len(more) == 0 {
		return good
	}
	if with := slices.Concat(good, more); w.tries < mostTries && w.try(r, with) {
		return with
	}
	if len(more) > 1 {
		return w.grow(r, w.grow(r, good, more[:len(more)/2]), more[len(more)/2:])
	}
	c := more[0]
	if len(c.comment) > 0 {
		w.notes = append(w.notes, fmt.Sprintf("line %d: %s", w.f.line(c.where), strings.Join(c.comment, " ")))
		c.comment = nil
		if with := slices.Concat(good, []change{c}); len(c.edits) > 0 && w.tries < mostTries && w.try(r, with) {
			return with
		}
	}
	if len(c.edits) > 0 {
		r.Refused = fmt.Sprintf("line %d: the change would have touched more than it meant to", w.f.line(c.where))
	}
	return good
}

// try applies changes; the result stands in r when it is what was meant.
func (w *rewriter) try(r *Rewriting, changes []change) bool {
	w.tries++
	var edits []edit
	var tokens, keep []rekey.Token
	var notes []string
	for _, c := range changes {
		edits = append(edits, c.edits...)
		if !c.token.IsZero() && !slices.Contains(tokens, c.token) {
			tokens = append(tokens, c.token)
			if c.keep {
				keep = append(keep, c.token)
			}
		}
		if len(c.comment) == 0 {
			continue
		}
		if e, ok := w.commentAt(c.where, c.comment); ok {
			edits = append(edits, e)
		} else {
			notes = append(notes, fmt.Sprintf("line %d: %s", w.f.line(c.where), strings.Join(c.comment, " ")))
		}
	}
	after, sorted, err := splice(r.Before, merged(edits))
	if err != nil || !w.holds(after, sorted) {
		return false
	}
	r.After, r.tokens, r.keep, r.Notes = after, tokens, keep, notes
	return true
}

// merged joins what is put in at one place.
func merged(edits []edit) []edit {
	var out []edit
	at := map[int]int{}
	for _, e := range edits {
		if e.old == "" {
			if i, ok := at[e.at.Start]; ok {
				if !strings.Contains(out[i].new, e.new) {
					out[i].new += e.new
				}
				continue
			}
			at[e.at.Start] = len(out)
		}
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// holds reports whether the new text is the old one but for the edits: it parses,
// its other nodes are where they were, and nothing graver is found in it.
func (w *rewriter) holds(after []byte, edits []edit) bool {
	f := newFile(w.f.path, after, w.f.format)
	f.read(whole(after), w.f.format, 0)
	if len(f.unread) > 0 {
		return false
	}
	if !intact(w.before, outline(w.f.path, after, w.f.format), shift{edits}) {
		return false
	}
	return !slices.ContainsFunc(Examine(w.f.path, after, w.o.Target), func(now Finding) bool {
		return now.Severity.AtLeast(rekey.Warning) && now.Suppressed == "" && !slices.ContainsFunc(w.found, func(was Finding) bool { return was.Slug == now.Slug })
	})
}
