package agent

import (
	"context"
	"sync"

	"rekey/internal/secretstore"
)

// watches are the open watches of secrets: each a goroutine that mostly sleeps, for
// stores that can watch. The secrets are polled all the same, so a watch that is lost
// costs time and nothing else.
type watches struct {
	agent   *Agent
	ctx     context.Context // of all watches, one for the whole run
	cancel  context.CancelFunc
	running sync.WaitGroup
	changed chan changed
	open    int
	asked   bool // whether the store can watch
	can     bool
}

// changed is the end of one watch.
type changed struct {
	ref secretstore.Ref
	err error
}

func newWatches(ctx context.Context, a *Agent) *watches {
	w := &watches{agent: a, changed: make(chan changed)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w
}

// tend opens watches where there is none.
func (w *watches) tend() {
	a, ctx := w.agent, w.ctx
	if len(a.tracks) == 0 || w.asked && !w.can {
		return
	}
	if !w.asked {
		features, err := a.ports.Store.Features(ctx, a.tracks[0].ref)
		w.asked, w.can = err == nil, err == nil && features.Watch
		if !w.can {
			return
		}
	}
	now := a.opts.Now()
	for _, t := range a.tracks {
		if t.watching || t.seen == "" || t.refused() != nil || t.watch.After(now) || w.open == mostWatched {
			continue
		}
		t.watching = true
		w.open++
		ref, since := t.ref, t.seen
		w.running.Go(func() {
			err := a.ports.Store.Watch(ctx, ref, since)
			select {
			case w.changed <- changed{ref, err}:
			case <-ctx.Done():
			}
		})
	}
}

// heard has a secret looked at that changed; not again at once, should a store end its
// watches for what a look does not see.
func (w *watches) heard(c changed) {
	w.open--
	now := w.agent.opts.Now()
	for _, t := range w.agent.tracks {
		if t.ref != c.ref {
			continue
		}
		t.watching = false
		if c.err != nil {
			t.watch = now.Add(jittered(w.agent.opts.Interval))
			continue
		}
		if t.due = t.looked.Add(shortly); t.due.Before(now) {
			t.due = now
		}
		t.watch = t.due
	}
}

// end closes the watches and waits for them.
func (w *watches) end() {
	w.cancel()
	w.running.Wait()
}
