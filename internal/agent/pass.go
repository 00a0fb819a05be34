package agent

import (
	"context"
	"fmt"
	"maps"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// round is one pass under way.
type round struct {
	again   time.Time         // when all are looked at next
	down    map[string]string // GitLabs that were silent a moment ago, and what they said
	away    error             // why the store cannot be read; who comes later is not waited for
	silent  int               // sections in a row of which the store told nothing
	failed  []*track          // whose secrets could not be read
	lost    error             // the last of those reasons that may be the whole store's
	read    int               // secrets that were read
	back    bool              // one of them could not be read before
	deliver []*look
	acted   bool
}

// pass looks at every section that is due, and does what follows.
func (a *Agent) pass(ctx context.Context) {
	now := a.opts.Now()
	due := a.due(now)
	r := &round{again: now.Add(jittered(a.opts.Interval)), down: map[string]string{}}
	for _, t := range due {
		if ctx.Err() != nil {
			return
		}
		a.at("reading the store", hangs)
		t.due, t.soon = r.again, false
		if l := a.see(ctx, r, t); l != nil && ctx.Err() == nil {
			a.follow(ctx, r, l, a.decide(ctx, l, r.down))
		}
	}
	if len(due) == 0 || ctx.Err() != nil {
		return
	}
	if len(r.deliver) > 0 {
		a.deliver(ctx, r.deliver)
	}
	a.settle(r, now)
	a.at("keeping what was agreed", hangs)
	a.save()
	a.mu.Lock()
	a.passed = a.opts.Now()
	a.mu.Unlock()
	if r.acted || a.opts.Now().Sub(a.rested) >= restless {
		a.rested = a.opts.Now()
		a.ports.Rest()
	}
	a.first = true
}

// follow does what was decided. Deliveries wait for the end of the pass: all go in one
// go.
func (a *Agent) follow(ctx context.Context, r *round, l *look, d Decision) {
	if ctx.Err() != nil {
		return
	}
	switch d.Action {
	case InStep:
		kind := EventBack
		if l.state == Degraded && a.away {
			kind = "" // told for the store as a whole
		}
		a.agree(l.track, l.sight.Config.Fingerprint(), "")
		if a.completable(ctx, l, r.down) {
			l.last = Decision{Action: Deliver, Why: "this host has a system id now, so that GitLab tells id and expiry"}
			r.deliver, r.acted = append(r.deliver, l), true
			return
		}
		a.stepped(l.track, kind)
	case Deliver:
		if l.last = d; l.Keeper != "" {
			a.kept(l)
			return
		}
		r.deliver, r.acted = append(r.deliver, l), true
	case Push:
		r.acted = true
		a.push(ctx, l, d)
	default:
		a.fruitless(l, d)
	}
}

func (a *Agent) stepped(t *track, kind EventKind) {
	t.tries, t.pair, t.doubted = 0, pair{}, pair{}
	a.become(t, Stepped, kind, "", "")
}

// kept is a config that a tool writes.
func (a *Agent) kept(l *look) {
	a.become(l.track, Behind, EventBehind, fmt.Sprintf("the store has a new token, but %s is written by %s, which would undo an edit", l.Config, l.Keeper),
		l.KeeperNext+". Or --patch-managed delivers it all the same")
}

// agree remembers what both hold.
func (a *Agent) agree(t *track, token, replaced rekey.Fingerprint) {
	was := a.agreed[t.key()]
	if was.Token == token && (replaced == "" || was.Replaced == replaced) {
		return
	}
	a.agreed[t.key()] = Agreed{Token: token, Replaced: replaced}
	a.unsaved[t.key()] = true
}

// incomplete remembers whether the config still lacks id and expiry of the token.
func (a *Agent) incomplete(t *track, is bool) {
	if was := a.agreed[t.key()]; was.Incomplete != is {
		was.Incomplete = is
		a.agreed[t.key()], a.unsaved[t.key()] = was, true
	}
}

// completable reports whether GitLab would now tell what it could not when the token
// was delivered. A section that a person wrote without an id stays as it is.
func (a *Agent) completable(ctx context.Context, l *look, down map[string]string) bool {
	return a.agreed[l.key()].Incomplete && l.Keeper == "" && a.ports.Named(l.Config) && a.ask(ctx, l, l.sight.Config, down) == rekey.Valid
}

func (a *Agent) save() {
	if len(a.unsaved) == 0 {
		return
	}
	changed := map[Key]Agreed{}
	for key := range a.unsaved {
		changed[key] = a.agreed[key]
	}
	if err := a.ports.Memory.Save(changed); err != nil {
		return // the next pass tries again; until then GitLab decides
	}
	clear(a.unsaved)
}

// push writes the config's token into the store, if that is as it was read. What the
// store refuses is tried less and less often, as GitLab is asked first each time.
func (a *Agent) push(ctx context.Context, l *look, d Decision) {
	if d.Over && l.doubted != l.pair() {
		l.doubted, l.due, l.soon = l.pair(), a.opts.Now().Add(doubtFor), true
		return
	}
	a.at("writing into the store", hangs)
	features, err := a.ports.Store.Features(ctx, l.ref)
	if err == nil && !features.Write {
		a.fruitless(l, Decision{Action: Stuck, Why: d.Why + ", and the store can only be read"})
		return
	}
	expect := secretstore.Current(l.version)
	if l.absent {
		expect = secretstore.Absent()
	}
	var version secretstore.Version
	if err == nil {
		version, err = a.ports.Store.Put(context.WithoutCancel(ctx), l.ref, l.sight.Config, secretstore.Put{If: expect,
			Meta: secretstore.Metadata{RunnerID: l.RunnerID, RotatedAt: l.ObtainedAt, NextDue: l.ExpiresAt}})
	}
	switch {
	case err == nil:
		a.count(func(c *counts) { c.pushed++ })
		l.seen = version
		a.tell(l.track, EventPushed, fmt.Sprintf("wrote %s into %s, version %s, because %s", l.sight.Config, l.ref, version, d.Why), "")
		a.agree(l.track, l.sight.Config.Fingerprint(), "")
		a.stepped(l.track, "")
	case rekey.KindOf(err) == rekey.KindConflict: // somebody else wrote it: that is read, and judged again
		l.due, l.soon = a.opts.Now().Add(jittered(shortly)), true
		a.tell(l.track, EventNote, err.Error()+"; it is read again", "")
	default:
		a.count(func(c *counts) { c.failed++ })
		l.asked, l.err = true, err
		a.fruitless(l, Decision{Action: Wait, Why: d.Why + ", which could not be written"})
	}
}

// deliver hands the tokens on, all in one go.
func (a *Agent) deliver(ctx context.Context, all []*look) {
	var list []Delivery
	for _, l := range all {
		list = append(list, Delivery{Section: l.Section, New: l.sight.Store, From: l.ref})
	}
	a.at("delivering", hangs+time.Duration(len(list))*each)
	for i, done := range a.ports.Deliver(ctx, list) {
		a.delivered(ctx, all[i], done)
	}
}

func (a *Agent) delivered(ctx context.Context, l *look, done Delivered) {
	switch {
	case done.Err == nil && !done.Moved:
		a.count(func(c *counts) { c.delivered++ })
		a.tell(l.track, EventDelivered, fmt.Sprintf("delivered version %s of %s (%s) into %s, because %s: %s", l.version, l.ref, l.sight.Store, l.Config, l.last.Why, done.Text), "")
		replaced := l.sight.Config.Fingerprint()
		if l.sight.Config == l.sight.Store { // completed
			replaced = ""
		}
		a.agree(l.track, l.sight.Store.Fingerprint(), replaced)
		a.incomplete(l.track, done.Incomplete)
		l.Token = l.sight.Store
		a.stepped(l.track, "")
	case done.Moved:
		l.due, l.soon = a.opts.Now().Add(shortly), true
	case ctx.Err() != nil:
	default:
		a.count(func(c *counts) { c.failed++ })
		l.asked, l.err = true, done.Err
		a.fruitless(l, Decision{Action: Wait, Why: "the store's token could not be delivered"})
		if rekey.KindOf(done.Err) == rekey.KindConflict { // another rekey is at work
			l.due, l.until, l.soon = a.opts.Now().Add(jittered(4*shortly)), time.Time{}, true
		}
	}
}

// recall reads what was agreed before this process.
func (a *Agent) recall() {
	a.agreed = map[Key]Agreed{}
	known, err := a.ports.Memory.Load()
	if err != nil {
		a.ports.Report(Event{Kind: EventNote, Text: "what was agreed before cannot be read: where config and store differ, GitLab decides: " + err.Error()})
		return
	}
	maps.Copy(a.agreed, known)
}
