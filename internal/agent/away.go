package agent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rekey"
)

// due are the sections to look at now. Those whose secrets could be read come first;
// of the others those that failed least by themselves, and of these the one that was
// tried longest ago: whoever is not waited for in one pass has its turn in another.
func (a *Agent) due(now time.Time) []*track {
	var due []*track
	for _, t := range a.tracks {
		if !t.due.After(now) {
			due = append(due, t)
		}
	}
	slices.SortStableFunc(due, func(t, u *track) int {
		switch {
		case !t.lost && !u.lost:
			return 0
		case t.lost && u.lost:
			return cmp.Or(t.failed-u.failed, t.looked.Compare(u.looked))
		case t.lost:
			return 1
		}
		return -1
	})
	return due
}

// enough is how many sections in a row have to come to nothing for the others not to
// be waited for: one may be broken by itself, unless all were a moment ago.
func (a *Agent) enough() int {
	if a.away {
		return 1
	}
	return 2
}

// see reads one section's secret; nil where that cannot be done.
func (a *Agent) see(ctx context.Context, r *round, t *track) *look {
	if why := t.refused(); why != nil {
		a.become(t, Behind, EventBehind, why.Msg, why.Hint)
		return nil
	}
	if r.away != nil {
		a.absent(t, r.away, "")
		return nil
	}
	l := a.read(ctx, t)
	switch {
	case l.sight.Read != Away:
		r.back = r.back || t.lost
		r.read, r.silent = r.read+1, 0
		t.lost, t.failed, t.told = false, 0, false
		return l
	case ctx.Err() != nil:
		return nil
	case rekey.KindOf(l.err) != rekey.KindUnavailable: // the store is there, and has answered
		r.silent = 0
		r.failed, t.told = append(r.failed, t), true
		a.absent(t, l.err, EventAway)
		return nil
	}
	r.failed, r.lost = append(r.failed, t), l.err
	if r.silent++; r.silent >= a.enough() {
		r.away = l.err
	}
	a.absent(t, l.err, "") // told at the end of the pass: of the section, or of the store
	return nil
}

// absent is a section whose secret cannot be read now.
func (a *Agent) absent(t *track, err error, kind EventKind) {
	t.lost = true
	a.count(func(c *counts) { c.storeErrors++ })
	a.become(t, Degraded, kind, "the store cannot be read, and the config serves on: "+err.Error(), rekey.HintOf(err))
}

// settle puts off what could not be read: the store, if nothing of it can, else the
// sections that failed, each by itself.
func (a *Agent) settle(r *round, began time.Time) {
	whole := r.lost != nil && r.read == 0 && !slices.ContainsFunc(a.tracks, func(t *track) bool { return !t.lost && t.refused() == nil })
	switch {
	case whole && !a.away:
		a.away = true
		a.ports.Report(Event{Kind: EventAway, Text: "the store cannot be read, and the configs serve on: " + r.lost.Error(), Next: rekey.HintOf(r.lost)})
	case a.away && r.read > 0:
		a.away = false
		a.ports.Report(Event{Kind: EventBack, Text: "the store can be read again"})
	}
	if r.read > 0 {
		a.failing = 0
	}
	if whole {
		a.putOff(began)
	} else {
		a.putOffEach(r.failed, began)
	}
	if r.back {
		a.retry(began)
	}
}

// putOff has the whole store tried less and less often.
func (a *Agent) putOff(began time.Time) {
	again := began.Add(a.backoff(a.failing, awayFor))
	a.failing++
	for _, t := range a.tracks {
		if t.lost {
			t.due = again
		}
	}
}

// putOffEach has sections tried less and less often whose secrets cannot be read while
// others can, and tells of each once.
func (a *Agent) putOffEach(failed []*track, began time.Time) {
	for _, t := range failed {
		t.due = began.Add(a.backoff(t.failed, awayFor))
		t.failed++
		if !t.told {
			t.told = true
			a.tell(t, EventAway, t.why, t.next)
		}
	}
}

// retry has all tried at once that were put off before one of them could be read: what
// stood in its way may have stood in theirs.
func (a *Agent) retry(began time.Time) {
	for _, t := range a.tracks {
		if t.lost && t.looked.Before(began) {
			t.due = began
		}
	}
}
