package agent

import (
	"context"
	"strings"
	"time"

	"rekey"
)

const (
	// glance is how often the configs are looked at from outside.
	glance = time.Second
	// writing is how long a config may be unreadable before that is told: gitlab-runner
	// truncates it and writes.
	writing = 5 * time.Second
	// mostWatched bounds the secrets that are watched, each by a request that stays
	// open; more are polled.
	mostWatched = 32
	// mostRounds bounds how often Once looks again.
	mostRounds = 8
)

// Run keeps in step until ctx ends; what is under way is ended at a safe point first.
// A value from now makes it look at everything at once. ready is called after the
// first pass, which may have found the store away.
func (a *Agent) Run(ctx context.Context, now <-chan struct{}, ready func()) {
	a.begin(ctx)
	tick := time.NewTicker(min(glance, a.opts.Interval))
	defer tick.Stop()
	watches := newWatches(ctx, a)
	defer watches.end()
	for {
		a.at("looking at the configs", hangs)
		a.glance()
		a.pass(ctx)
		if ready != nil {
			ready()
			ready = nil
		}
		a.at("asking what the store can do", hangs)
		watches.tend()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case c := <-watches.changed:
			watches.heard(c)
		case <-now:
			a.everything()
		}
	}
}

// Once makes one pass, looking again at what changed under it. It returns nil when all
// sections are in step, and else an error that says why not. It looks at none where one
// that was asked for is nowhere.
func (a *Agent) Once(ctx context.Context) error {
	a.once = true
	a.begin(ctx)
	for round := 1; ; round++ {
		a.glance()
		if err := a.nowhere(); err != nil {
			return err
		}
		a.pass(ctx)
		wait, again := a.soonest()
		if !again || round == mostRounds || !sleep(ctx, wait) {
			break
		}
	}
	return a.verdict(ctx)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// begin finishes what an earlier process left open.
func (a *Agent) begin(ctx context.Context) {
	a.began = a.opts.Now()
	a.recall()
	a.at("finishing what an earlier run began", resuming)
	a.ports.Deliver(ctx, nil)
}

// soonest is how long to wait for what passes at once.
func (a *Agent) soonest() (wait time.Duration, any bool) {
	for _, t := range a.tracks {
		if !t.soon {
			continue
		}
		if d := t.due.Sub(a.opts.Now()); !any || d < wait {
			wait, any = d, true
		}
	}
	return max(0, wait), any
}

// verdict is the end of Once.
func (a *Agent) verdict(ctx context.Context) error {
	if ctx.Err() != nil {
		return rekey.Errorf(rekey.KindUnavailable, "interrupted: whether all is in step is not known").WithHint("run `rekey agent --once` again")
	}
	for path, why := range a.trouble {
		return rekey.Errorf(rekey.KindUnavailable, "%s: %s", path, why).WithHint("mend the file, or name another with --config")
	}
	if len(a.tracks) == 0 {
		return rekey.Errorf(rekey.KindUnavailable, "there is no section to keep in step in %s", strings.Join(a.opts.Configs, ", ")).
			WithHint("a section whose token is a ${VARIABLE} is left alone; --section NAME chooses one by name")
	}
	var first *track
	behind := 0
	for _, t := range a.tracks {
		if t.state != Stepped {
			if behind++; first == nil {
				first = t
			}
		}
	}
	if first == nil {
		return nil
	}
	return rekey.Errorf(rekey.KindUnavailable, "%d of %d sections not in step: %s: %s", behind, len(a.tracks), first.shown(), first.why).WithHint("%s", first.next)
}

// everything makes all due, and forgets what was put off.
func (a *Agent) everything() {
	for _, f := range a.files {
		f.stamp = Stamp{}
	}
	a.failing = 0
	for _, t := range a.tracks {
		t.due, t.until, t.tries, t.failed = time.Time{}, time.Time{}, 0, 0
	}
}

// glance reads the configs that look different from outside.
func (a *Agent) glance() {
	read := false
	for _, path := range a.opts.Configs {
		f := a.files[path]
		if f == nil {
			f = &file{}
			a.files[path] = f
		}
		stamp, err := a.ports.Files.Stamp(path)
		if err == nil && stamp == f.stamp {
			continue
		}
		var sections []Section
		if err == nil {
			sections, err = a.ports.Files.Sections(path)
		}
		a.heard(path, f, err)
		if err != nil {
			f.stamp = Stamp{} // it is read at each glance until it is whole
			continue
		}
		f.stamp = stamp
		a.adopt(path, sections, a.opts.Now())
		read = true
	}
	if read {
		a.lookFor()
	}
}

// heard tells of a config that stays unreadable, and of one that is whole again.
func (a *Agent) heard(path string, f *file, err error) {
	now := a.opts.Now()
	switch {
	case err == nil && f.told:
		f.told = false
		a.ports.Report(Event{Kind: EventConfig, Config: path, Text: "the config can be read again"})
		fallthrough
	case err == nil:
		f.since = time.Time{}
	case f.since.IsZero():
		f.since = now
	}
	if err != nil && !f.told && (!a.first || now.Sub(f.since) >= writing) {
		f.told = true
		a.ports.Report(Event{Kind: EventConfig, Config: path, Text: "the config cannot be read: " + err.Error(), Next: rekey.HintOf(err)})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.trouble, path)
	if err != nil {
		a.trouble[path] = err.Error()
	}
}
