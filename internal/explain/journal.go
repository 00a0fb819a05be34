package explain

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"rekey"
)

const (
	longestLine  = 64 << 10 // bytes of a line that are looked at
	mostKinds    = 2048     // explanations kept apart
	mostKnown    = 512      // lines remembered
	mostSamples  = 5
	beside       = 50 // lines between a refusal and the rotation that explains it
	checkContext = 256
)

// Read explains a whole log in bounded memory, whatever its lines hold. Repeats are
// folded, and a line that only sums up another is joined to it. each, which may be
// nil, is called with every explanation when it is first seen, but for lines that
// another explains; what is counted and joined later stands in the summary. On an
// error the summary holds what was read until then.
func (c *Catalogue) Read(ctx context.Context, in io.Reader, each func(Explanation)) (Summary, error) {
	j := &journal{catalogue: c, each: each, kinds: map[string]*kind{}, known: map[string]explained{}}
	lines := bufio.NewReaderSize(in, longestLine)
	for {
		if j.sum.Lines%checkContext == 0 && ctx.Err() != nil {
			return j.summary(), ctx.Err()
		}
		line, cut, err := boundedLine(lines)
		if line != "" || err == nil {
			j.line(line, cut)
		}
		if errors.Is(err, io.EOF) {
			return j.summary(), nil
		}
		if err != nil {
			return j.summary(), fmt.Errorf("reading the log: %w", err)
		}
	}
}

// boundedLine returns the next line up to the size of the reader's buffer; the
// rest of a longer one is read and dropped.
func boundedLine(in *bufio.Reader) (line string, cut bool, err error) {
	part, err := in.ReadSlice('\n')
	line = string(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		cut = true
		_, err = in.ReadSlice('\n')
	}
	return line, cut, err
}

// kind is one folded explanation. Its raw runner tells neighbours apart and is
// never shown.
type kind struct {
	Explanation
	runner string
}

// journal folds the lines of one log.
type journal struct {
	catalogue *Catalogue
	each      func(Explanation)
	sum       Summary
	kinds     map[string]*kind
	order     []*kind
	rotated   int // line of the last successful rotation
	valid     int // line of the last successful verification
	known     map[string]explained
}

func (j *journal) line(text string, cut bool) {
	j.sum.Lines++
	if cut {
		j.sum.Cut++
	}
	r := j.catalogue.parse(text)
	e, line, ok := j.explain(r)
	if !ok {
		j.unknown(r)
		return
	}
	j.sum.Recognised++
	e.Count = 1
	e.First = Occurrence{Line: j.sum.Lines, Time: scrub(r.when)}
	e.Last = e.First
	if line != nil && j.join(e, line, r) {
		return
	}
	j.fold(e, r)
}

// explained is what the catalogue said of a line.
type explained struct {
	Explanation
	line *row
	ok   bool
}

// explain remembers what it said of the last lines: a log repeats itself, and
// scrubbing is most of the work. A correlation id does not make a line new.
func (j *journal) explain(r record) (Explanation, *row, bool) {
	key := r
	key.fields = slices.DeleteFunc(slices.Clone(r.fields), func(f field) bool { return f.key == "correlation_id" })
	text := r.level + " " + key.text()
	if known, ok := j.known[text]; ok {
		return known.Explanation, known.line, known.ok
	}
	e, line, ok := j.catalogue.explain(r)
	if len(text) <= longestText {
		if len(j.known) >= mostKnown {
			clear(j.known)
		}
		j.known[text] = explained{e, line, ok}
	}
	return e, line, ok
}

func (j *journal) unknown(r record) {
	if !r.grave() {
		return
	}
	j.sum.Unrecognised++
	if shown := shorten(r.shown(), 200); len(j.sum.Samples) < mostSamples && !slices.Contains(j.sum.Samples, shown) {
		j.sum.Samples = append(j.sum.Samples, shown)
	}
}

func (j *journal) fold(e Explanation, r record) {
	key := e.ID + "\x00" + e.Fields.Runner + "\x00" + e.Fields.URL
	k, known := j.kinds[key]
	switch {
	case known:
		k.Count++
		k.Last = e.Last
	case len(j.order) >= mostKinds:
		j.sum.Dropped++
		return
	default:
		k = &kind{Explanation: e, runner: r.get("runner")}
		j.kinds[key] = k
		j.order = append(j.order, k)
	}
	j.noteRotation(k)
	j.noteValid(k)
	if !known && j.each != nil && e.ID != "chart-attempt" {
		j.each(k.Explanation)
	}
}

// join attaches a consequence to the latest line that explains it.
func (j *journal) join(e Explanation, line *row, r record) bool {
	var found *kind
	for _, k := range j.order {
		if explains(k, line, r, j.sum.Lines) && (found == nil || k.Last.Line >= found.Last.Line) {
			found = k
		}
	}
	if found == nil {
		return false
	}
	found.addConsequence(e)
	return true
}

func explains(k *kind, line *row, r record, now int) bool {
	if k.Bearing == Fine || line.within > 0 && now-k.Last.Line > line.within {
		return false
	}
	if k.ID != line.id && k.Summarises && line.id != "poll-forced" || !slices.ContainsFunc(line.after, func(start string) bool { return strings.HasPrefix(k.ID, start) }) {
		return false
	}
	// The unhealthy line names its runner inside an address, whole or shortened.
	if k.runner != "" && strings.HasPrefix(line.id, "poll-") {
		return strings.Contains(r.message, k.runner)
	}
	return true
}

func (k *kind) addConsequence(e Explanation) {
	for i := range k.Consequences {
		if k.Consequences[i].ID == e.ID {
			k.Consequences[i].Count++
			return
		}
	}
	k.Consequences = append(k.Consequences, Consequence{ID: e.ID, Row: e.Row, Line: e.Line, Count: 1})
}

// noteRotation says where a refusal is only the poll that was under way while the
// runner rotated its token.
func (j *journal) noteRotation(k *kind) {
	const note = "A single refusal beside a successful rotation is normal: that poll was under way with the old token."
	switch {
	case k.ID == "reset-succeeded":
		j.rotated = k.Last.Line
		for _, other := range j.order {
			if other.ID == "poll-forbidden" && other.Count == 1 && j.rotated-other.Last.Line <= beside {
				other.Note = note
			}
		}
	case k.ID != "poll-forbidden":
	case k.Count == 1 && j.rotated > 0 && k.Last.Line-j.rotated <= beside:
		k.Note = note
	case k.Count > 1:
		k.Note = ""
	}
}

// noteValid says what it means that the server answered 200 and `register` failed
// all the same.
func (j *journal) noteValid(k *kind) {
	switch {
	case k.ID == "verify-valid":
		j.valid = k.Last.Line
	case k.ID == "register-glrt-panic" && j.valid > 0 && k.Last.Line-j.valid <= beside:
		k.Note = "`is valid` stands before it: what answered 200 is not GitLab's API (a sign-in page, a proxy), or a GitLab before 15.10 that returns no id."
		k.Causes = causes(rekey.WrongInstance, rekey.VersionSkew)
	}
}

// summary orders what was found: problems of the token first, then unclear ones,
// others and what is fine; within each by how often.
func (j *journal) summary() Summary {
	j.joinAttempts()
	for _, k := range j.order {
		j.sum.Explanations = append(j.sum.Explanations, k.Explanation)
	}
	rank := map[Bearing]int{OnToken: 0, Unclear: 1, NotToken: 2, Fine: 3}
	slices.SortStableFunc(j.sum.Explanations, func(a, b Explanation) int {
		return cmp.Or(rank[a.Bearing]-rank[b.Bearing], b.Count-a.Count)
	})
	return j.sum
}

// joinAttempts attaches the chart's attempts, which come before the line that
// explains them, to it.
func (j *journal) joinAttempts() {
	at := slices.IndexFunc(j.order, func(k *kind) bool { return k.ID == "chart-attempt" })
	if at < 0 {
		return
	}
	attempts := j.order[at]
	for _, k := range j.order {
		family := strings.HasPrefix(k.ID, "register-") || strings.HasPrefix(k.ID, "verify-")
		if family && k.Bearing != Fine && k.First.Line > attempts.First.Line {
			k.Consequences = append(k.Consequences, Consequence{ID: attempts.ID, Row: attempts.Row, Line: attempts.Line, Count: attempts.Count})
			j.order = slices.Delete(j.order, at, at+1)
			return
		}
	}
	if j.each != nil {
		j.each(attempts.Explanation)
	}
}
