package remedy_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

const kept = "file:///CANARY/one.sealed"

// safe is a secret in memory, with the faults that a test plants.
type safe struct {
	mu      sync.Mutex
	held    remedy.Held
	n       int
	puts    int
	away    bool               // nothing is answered
	forbids bool               // writes are denied
	loses   int                // so many answers to writes that were made do not arrive
	before  func(*remedy.Held) // somebody else writes just before a Put that is no try, once
	about   remedy.About
}

func (s *safe) Held(context.Context) (remedy.Held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return remedy.Held{}, rekey.Errorf(rekey.KindUnavailable, "the store is sealed")
	}
	return s.held, nil
}

func (s *safe) Put(_ context.Context, over remedy.Held, token rekey.Token, about remedy.About) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tried := token == over.Token || over.Token.IsZero() && s.n == 0
	if f := s.before; f != nil && !tried {
		s.before = nil
		f(&s.held)
	}
	switch {
	case s.away:
		return "", rekey.Errorf(rekey.KindUnavailable, "the store is sealed")
	case s.forbids:
		return "", rekey.Errorf(rekey.KindDenied, "the policy lacks update")
	case over.Version != s.held.Version:
		return "", rekey.Errorf(rekey.KindConflict, "another version is current now")
	}
	if s.n++; !tried {
		s.puts++
	}
	s.held.Token, s.held.Version, s.about = token, itoa(int64(s.n)), about
	if about.RunnerID != 0 {
		s.held.RunnerID = about.RunnerID
	}
	if s.loses > 0 && !tried {
		s.loses--
		return "", rekey.Errorf(rekey.KindUnavailable, "timed out")
	}
	return s.held.Version, nil
}

func (s *safe) Remove(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = remedy.Held{}
	return nil
}

// holding is a safe with a token in it.
func holding(token string, id int64) *safe {
	return &safe{n: 1, held: remedy.Held{Token: rekey.NewToken(token), Version: "1", RunnerID: rekey.RunnerID(id)}}
}

// into gives a target its secret, as a plan does that looked into it.
func (s *safe) into(t rekey.Target) rekey.Target {
	t.Store = &rekey.Deposit{Ref: kept, Version: s.held.Version, Swap: "atomic", Owner: "team-ci"}
	if !s.held.Token.IsZero() {
		t.Store.Holds = s.held.Token.Fingerprint()
	}
	return t
}

// keeping is an engine that reaches the safe.
func (w *world) keeping(s *safe) *remedy.Engine {
	e := w.engine()
	e.Secrets = func(ref string) (remedy.Secret, error) {
		if ref != kept {
			w.t.Errorf("the secret %s was asked for, want %s", ref, kept)
		}
		return s, nil
	}
	return e
}

func (w *world) applyKeeping(s *safe, t rekey.Target) rekey.Result {
	w.t.Helper()
	results, err := w.keeping(s).Apply(w.t.Context(), rekey.Plan{Targets: []rekey.Target{t}})
	if err != nil {
		w.t.Fatal(err)
	}
	return results[0]
}

func (w *world) resumeKeeping(s *safe) rekey.Result {
	w.t.Helper()
	results, err := w.keeping(s).Resume(w.t.Context())
	if err != nil || len(results) != 1 {
		w.t.Fatalf("got %d results and %v, want one operation resumed", len(results), err)
	}
	return results[0]
}

// wantKept: store and section have one token, which GitLab takes.
func (w *world) wantKept(s *safe) {
	w.t.Helper()
	now := w.sections()[0].Token
	if s.held.Token != now || !w.accepted(now) {
		w.t.Errorf("the store has %s, the section %s (good: %v), want one good token in both", s.held.Token, now, w.accepted(now))
	}
}

func TestTheStoreHasTheTokenFirst(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, remedyOf := range map[string]rekey.Remedy{"overlap": rekey.RemedyOverlap, "in-place": rekey.RemedyReset} {
		w := all.fresh()
		w.t = t
		_, old := w.served()
		s := holding(old.Token, old.ID)
		poll, first := w.onWrite, true
		w.onWrite = func() {
			if first && s.held.Token == rekey.NewToken(old.Token) {
				t.Errorf("%s: the config was written before the store", name)
			}
			first = false
			poll()
		}
		target := s.into(w.rotation(0))
		target.Remedy = remedyOf
		if r := w.applyKeeping(s, target); r.Status != rekey.StatusVerified {
			t.Errorf("%s: got %+v, want verified", name, r)
		}
		w.wantKept(s)
		if s.about.RunnerID != w.sections()[0].ID || s.about.Owner != "team-ci" || s.about.RotatedAt.IsZero() {
			t.Errorf("%s: %+v is kept beside the token, want runner %d of team-ci and when", name, s.about, w.sections()[0].ID)
		}
	}
}

// A store that takes no write, or holds something new, ends it before GitLab is asked.
func TestNothingIsIssuedForAStoreThatCannotTakeIt(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		remedy rekey.Remedy
		plant  func(*safe)
	}{
		"sealed, overlap":            {rekey.RemedyOverlap, func(s *safe) { s.away = true }},
		"sealed, in-place":           {rekey.RemedyReset, func(s *safe) { s.away = true }},
		"read only, overlap":         {rekey.RemedyOverlap, func(s *safe) { s.forbids = true }},
		"read only, in-place":        {rekey.RemedyReset, func(s *safe) { s.forbids = true }},
		"written since, overlap":     {rekey.RemedyOverlap, func(s *safe) { s.held = remedy.Held{Token: rekey.NewToken("glrt-CANARY00000000000001"), Version: "9"} }},
		"written since, in-place":    {rekey.RemedyReset, func(s *safe) { s.held = remedy.Held{Token: rekey.NewToken("glrt-CANARY00000000000001"), Version: "9"} }},
		"read only and new to store": {rekey.RemedyReset, func(s *safe) { s.forbids = true }},
	} {
		w := all.fresh()
		w.t = t
		before, old := w.served()
		s := holding(old.Token, old.ID)
		if strings.Contains(name, "new to store") {
			s.held = remedy.Held{}
		}
		target := s.into(w.rotation(0))
		target.Remedy = c.remedy
		c.plant(s)
		r := w.applyKeeping(s, target)
		after, _ := os.ReadFile(w.config)
		if r.Status != rekey.StatusFailed || w.calls["create"]+w.calls["reset"] != 0 || string(after) != string(before) || !w.accepted(rekey.NewToken(old.Token)) {
			t.Errorf("%s: got %+v after %v, want it failed with nothing asked of GitLab and nothing changed", name, r, w.calls)
		}
	}
}

// An answer that does not arrive, a writer that came between, a store that is away for a
// moment: looked at, and written at most once more.
func TestALostAnswerOfTheStoreIsLookedAfter(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, plant := range map[string]func(*safe, labtest.Issued){
		"the answer is lost": func(s *safe, _ labtest.Issued) { s.loses = 1 },
		"an agent brought the old token again meanwhile": func(s *safe, _ labtest.Issued) {
			s.before = func(h *remedy.Held) { h.Version += "a" }
		},
		"the secret is taken away": func(s *safe, _ labtest.Issued) { s.before = func(h *remedy.Held) { *h = remedy.Held{} } },
	} {
		w := all.fresh()
		w.t = t
		_, old := w.served()
		s := holding(old.Token, old.ID)
		target := s.into(w.rotation(0))
		plant(s, old)
		r := w.applyKeeping(s, target)
		if r.Status != rekey.StatusVerified || s.puts != 1 {
			t.Errorf("%s: got %+v with %d writes, want verified with one", name, r, s.puts)
			continue
		}
		w.wantKept(s)
	}
}

// Somebody else's value stays, unless it is of the same record and dead; once it is
// taken away the sealed token goes in.
func TestAnothersValueIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	other := w.Runner("instance", 0, labtest.M{"description": "other"})
	s := holding(old.Token, old.ID)
	target := s.into(w.rotation(0))
	s.before = func(h *remedy.Held) {
		*h = remedy.Held{Token: rekey.NewToken(other.Token), Version: "7", RunnerID: rekey.RunnerID(other.ID)}
	}
	r := w.applyKeeping(s, target)
	if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "somebody else wrote") || !strings.Contains(r.Next, "rekey secret rm") || s.held.Token != rekey.NewToken(other.Token) || len(w.sections()) != 1 {
		t.Fatalf("got %+v, want it open with the other token in the store and nothing delivered", r)
	}
	s.held = remedy.Held{}
	if r := w.resumeKeeping(s); r.Status != rekey.StatusVerified {
		t.Errorf("resumed: got %+v, want verified", r)
	}
	w.wantKept(s)
}

func TestADeadTokenOfTheSameRecordIsWrittenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	s := holding(old.Token, old.ID)
	target := s.into(w.rotation(0))
	target.Remedy = rekey.RemedyReset
	armed := false
	s.before = func(h *remedy.Held) {
		armed = true
		h.Token, h.Version = rekey.NewToken("glrt-CANARY00000000000002"), "8"
	}
	if r := w.applyKeeping(s, target); r.Status != rekey.StatusVerified || !armed {
		t.Errorf("got %+v (another rekey wrote: %v), want verified", r, armed)
	}
	w.wantKept(s)
}

// After a reset the config does not wait for a store that has gone.
func TestAfterAResetTheConfigIsServedThoughTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	s := holding(old.Token, old.ID)
	target := s.into(w.rotation(0))
	target.Remedy = rekey.RemedyReset
	s.before = func(*remedy.Held) { s.away = true } // the try went well
	r := w.applyKeeping(s, target)
	if r.Status != rekey.StatusOpen || !w.accepted(w.sections()[0].Token) || s.held.Token != rekey.NewToken(old.Token) {
		t.Fatalf("got %+v, section good: %v; want it open, the section served", r, w.accepted(w.sections()[0].Token))
	}
	s.away = false
	if r := w.resumeKeeping(s); r.Status != rekey.StatusVerified || w.calls["reset"] != 1 {
		t.Errorf("resumed: got %+v with %d resets, want verified with one", r, w.calls["reset"])
	}
	w.wantKept(s)
}

// Giving up puts back what the store held, and leaves what others wrote.
func TestAbortTakesTheTokenOutOfTheStore(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		plant func(*safe)
		want  func(s *safe, old rekey.Token) bool
	}{
		"the old token": {func(*safe) {}, func(s *safe, old rekey.Token) bool { return s.held.Token == old }},
		"nothing":       {func(s *safe) { s.held = remedy.Held{} }, func(s *safe, old rekey.Token) bool { return s.held.Token == old }}, // the try brought it
		"another's":     {func(*safe) {}, func(s *safe, _ rekey.Token) bool { return s.held.Version == "other" }},
	} {
		w := all.fresh()
		w.t = t
		before, old := w.served()
		s := holding(old.Token, old.ID)
		c.plant(s)
		w.deny["update"] = true // the new record cannot be dressed
		if r := w.applyKeeping(s, s.into(w.rotation(0))); r.Status != rekey.StatusOpen {
			t.Fatalf("%s: got %+v, want it open", name, r)
		}
		w.deny["update"] = false
		if name == "another's" {
			s.held = remedy.Held{Token: rekey.NewToken("glrt-CANARY00000000000003"), Version: "other"}
		}
		aborted, err := w.keeping(s).Abort(t.Context())
		after, _ := os.ReadFile(w.config)
		if err != nil || len(aborted.Undone) != 1 || !c.want(s, rekey.NewToken(old.Token)) || string(after) != string(before) {
			t.Errorf("%s: got %+v (%v), and the store holds %s; want what was there before", name, aborted, err, s.held.Token)
		}
	}
}

// An agent of the same host, with a state directory of its own, sees the store's new
// token before the rotation is over.
func TestAnAgentOfTheHostMayBringTheTokenMeanwhile(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, ends := range []bool{true, false} {
		w := all.fresh()
		w.t = t
		before, old := w.served()
		s := holding(old.Token, old.ID)
		target := s.into(w.rotation(0))
		poll, first := w.onWrite, true
		w.onWrite = func() {
			if first {
				first = false
				w.edit(old.Token, s.held.Token.Reveal())
			}
			poll()
		}
		w.deny["update"] = !ends
		if r := w.applyKeeping(s, target); ends != (r.Status == rekey.StatusVerified) {
			t.Fatalf("got %+v, want it verified (%v) or open", r, ends)
		}
		if ends {
			if sections := w.sections(); len(sections) != 1 || sections[0].Name != "one" {
				t.Errorf("the sections are %+v, want one", sections)
			}
			w.wantKept(s)
			continue
		}
		w.deny["update"] = false
		if _, err := w.keeping(s).Abort(t.Context()); err != nil || len(w.sections()) != 1 || w.sections()[0].Token != rekey.NewToken(old.Token) || s.held.Token != rekey.NewToken(old.Token) {
			t.Errorf("given up: %v; the sections are %+v, want the old token there and in the store; before:\n%s", err, w.sections(), before)
		}
	}
}

// Where managers elsewhere follow the store, an overlap waits for them; a reset is
// refused unless the operator says that agents deliver.
func TestAResetThatAgentsDeliverIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	w.polls(rekey.NewToken(old.Token), "s_ba9876543210")
	p := w.planner()
	p.Flags.Stored = true
	if plan := w.plan(p); len(plan.Targets) != 1 || !plan.Targets[0].Agents || plan.Targets[0].Remedy != rekey.RemedyOverlap {
		t.Errorf("got %+v, want an overlap that waits for the other manager", plan)
	}
	p.Flags.Strategy = rekey.RemedyReset
	if plan := w.plan(p); len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "s_ba9876543210") || !strings.Contains(plan.Left[0].Next, "--deliver-by-agent") {
		t.Errorf("got %+v, want the reset refused for the other manager", plan)
	}
	p.Flags.Agents = true
	plan := w.plan(p)
	if len(plan.Targets) != 1 || !plan.Targets[0].Agents {
		t.Fatalf("got %+v, want the reset, agents deliver", plan)
	}
	s := holding(old.Token, old.ID)
	if r := w.applyKeeping(s, s.into(plan.Targets[0])); r.Status != rekey.StatusVerified {
		t.Errorf("got %+v, want verified", r)
	}
	w.wantKept(s)
}

// What a plan already says of its steps stays when a secret comes between them.
func TestASecretKeepsThePlansWords(t *testing.T) {
	t.Parallel()
	plan := rekey.Plan{Targets: []rekey.Target{{Name: "one", Remedy: rekey.RemedyReset, Steps: []rekey.Step{
		{Kind: rekey.StepReset, Text: "reset it"}, {Kind: rekey.StepDeliver, Text: "edit it"}, {Kind: rekey.StepReload, Text: "SIGHUP to process 7"}, {Kind: rekey.StepProve, Text: "prove it"}}}}}
	err := remedy.Deposit(t.Context(), &plan, func(context.Context, rekey.Target) (remedy.Stored, error) {
		return remedy.Stored{Deposit: rekey.Deposit{Ref: kept}}, nil
	})
	var got []string
	for _, step := range plan.Targets[0].Steps {
		got = append(got, string(step.Kind)+": "+step.Text)
	}
	want := "try: write " + kept + " once more as it is, reset: reset it, store: put it into " + kept + ", deliver: edit it, reload: SIGHUP to process 7, prove: prove it"
	if err != nil || strings.Join(got, ", ") != want {
		t.Errorf("got %v (%v), want %s", got, err, want)
	}
}

// Two sections never share a secret, and what issues no token has none.
func TestEachTargetHasASecretOfItsOwn(t *testing.T) {
	t.Parallel()
	at := func(ref string) func(context.Context, rekey.Target) (remedy.Stored, error) {
		return func(_ context.Context, target rekey.Target) (remedy.Stored, error) {
			if target.Name == "refused" {
				return remedy.Stored{}, rekey.Errorf(rekey.KindDenied, "it may not be read").WithHint("ask for the policy")
			}
			return remedy.Stored{Deposit: rekey.Deposit{Ref: ref}}, nil
		}
	}
	plan := rekey.Plan{Targets: []rekey.Target{{Name: "one", Remedy: rekey.RemedyOverlap}, {Name: "two", Remedy: rekey.RemedyReset}}}
	if err := remedy.Deposit(t.Context(), &plan, at(kept)); rekey.KindOf(err) != rekey.KindInvalid || !strings.Contains(rekey.HintOf(err), "{name}") {
		t.Errorf("got %v, want two sections with one secret refused", err)
	}
	plan = rekey.Plan{Targets: []rekey.Target{{Name: "url", Remedy: rekey.RemedyURL}, {Name: "refused", Remedy: rekey.RemedyCreate}, {Name: "one", Remedy: rekey.RemedyOverlap}}}
	if err := remedy.Deposit(t.Context(), &plan, at(kept)); err != nil || len(plan.Targets) != 2 || plan.Targets[0].Store != nil || plan.Targets[1].Store == nil {
		t.Errorf("got %+v (%v), want the url mended without a store and the other with one", plan, err)
	}
	if len(plan.Left) != 1 || plan.Left[0].Next != "ask for the policy" {
		t.Errorf("%+v is left alone, want the one whose secret may not be read, with what to do", plan.Left)
	}
}
