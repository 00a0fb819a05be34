package remedy_test

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

// Two rotations of one config at one time: one of them works, the other is told
// who does, and changes nothing.
func TestTwoControllersOnOneRunner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	unlock, err := host{w}.Lock(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.apply(target)[0]; r.Status != rekey.StatusFailed || !strings.Contains(r.Reason, "another rekey") || w.calls["create"] != 0 {
		t.Errorf("got %+v after %d creations, want it refused before any", r, w.calls["create"])
	}
	unlock()
	// The other one comes between the proof and the swap.
	w.onWrite = func() {
		for _, s := range w.sections() {
			w.polls(s.Token, ownSystem)
		}
		w.mu.Lock()
		w.locked[w.config] = true
		w.mu.Unlock()
	}
	r := w.applyLocked(target, w.config)
	if r.Status != rekey.StatusOpen || len(w.sections()) != 2 || !w.accepted(rekey.NewToken(old.Token)) {
		t.Errorf("got %+v and %d sections, want it open with both", r, len(w.sections()))
	}
	w.onWrite = nil
	delete(w.locked, w.config)
	if again := w.resume(); again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v, want it done", again)
	}
}

// applyLocked applies while somebody takes the config's lock as soon as it was
// given back for the first time.
func (w *world) applyLocked(target rekey.Target, path string) rekey.Result {
	w.t.Helper()
	e := w.engine()
	e.Host = stealing{host{w}, path}
	results, err := e.Apply(w.t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil {
		w.t.Fatal(err)
	}
	return results[0]
}

type stealing struct {
	host
	path string
}

// Lock gives the lock once; what unlocks it leaves it to somebody else.
func (s stealing) Lock(path string) (func(), error) {
	_, err := s.host.Lock(path)
	return func() {}, err
}

// Right after right is taken from the user token: whatever was begun stays valid,
// is said, and is finished with a token that may.
func TestAUserTokenRevokedHalfWay(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, call := range []string{"create", "managers", "update", "runner", "delete"} {
		w := all.fresh()
		_, old := w.served()
		target := w.rotation(0)
		w.deny[call] = true
		r := w.apply(target)[0]
		if call == "create" {
			if r.Status != rekey.StatusFailed || len(w.records("runners/all")) != 0+1 {
				t.Errorf("create: got %+v, want it failed, and nothing made", r)
			}
			continue
		}
		w.deny[call] = false
		if r.Status == rekey.StatusOpen && !strings.Contains(r.Reason, "denied") {
			t.Errorf("%s: the reason is %q, want the denial", call, r.Reason)
		}
		for _, s := range w.sections() {
			if !w.accepted(s.Token) {
				t.Errorf("%s: a section holds a token that is refused", call)
			}
		}
		w.resume()
		if s := w.sections(); len(s) != 1 || !w.accepted(s[0].Token) || s[0].Token == rekey.NewToken(old.Token) || len(w.records("runners/all")) != 1 {
			t.Errorf("%s: after the resumption there are %d sections and %d records, want one of each", call, len(s), len(w.records("runners/all")))
		}
	}
}

// The disk is full, or the right to write is gone, at the first edit or the
// second: both records serve until there is room.
func TestADiskThatFillsUp(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, writes := range map[string]int{"at the addition": 0, "at the swap": 1} {
		w := all.fresh()
		_, old := w.served()
		target := w.rotation(0)
		polled, n := w.onWrite, 0
		w.noReplace = writes == 0
		w.onWrite = func() {
			polled()
			n++
			w.noReplace = n >= writes
		}
		r := w.apply(target)[0]
		if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "no room") || !w.accepted(rekey.NewToken(old.Token)) {
			t.Errorf("%s: got %+v, want it open for want of room, and the old token good", name, r)
		}
		w.noReplace, w.onWrite = false, polled
		if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 || len(w.records("runners/all")) != 1 {
			t.Errorf("%s: the resumption got %+v, want it done", name, again)
		}
	}
}

// gitlab-runner writes the file between our reading and our writing, at either
// edit: the edit is computed anew, and what it wrote stays.
func TestAFileThatChangesUnderTheEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	target := w.rotation(0)
	e := w.engine()
	e.Host = &scribbling{host: host{w}}
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil || results[0].Status != rekey.StatusVerified {
		t.Fatalf("got %+v, %v, want verified", results, err)
	}
	data, err := os.ReadFile(w.config)
	if err != nil || strings.Count(string(data), "# written meanwhile") != 2 || len(w.sections()) != 1 {
		t.Errorf("the config is\n%s\nwant the two comments that came meanwhile, and one section", data)
	}
}

// scribbling is a host on which every second replacement comes too late.
type scribbling struct {
	host
	n int
}

// Replace finds the file changed every other time.
func (s *scribbling) Replace(path string, expect, next []byte) (string, error) {
	if s.n++; s.n%2 == 1 {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append(data, "# written meanwhile\n"...), 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return s.host.Replace(path, expect, next)
}

// gitlab-runner truncates its config and writes: whoever reads in between sees
// nothing, or half of it, and concludes nothing from it.
func TestAConfigThatIsReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	target := w.rotation(0)
	e := w.engine()
	e.Host = &torn{host: host{w}}
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil || results[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("got %+v, %v and %d sections, want it verified and one section", results, err, len(w.sections()))
	}
}

// torn is a host on which every third look sees nothing or half of the config.
type torn struct {
	host
	n atomic.Int32
}

func (h *torn) Read(path string) ([]byte, error) {
	data, err := h.host.Read(path)
	switch h.n.Add(1) % 6 {
	case 1:
		return nil, err
	case 4:
		return data[:len(data)/2], err
	}
	return data, err
}

// gitlab-runner saves the config it has in memory after the swap: the old section
// is back. The old record is not deleted under it.
func TestAnOldSectionThatComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	polled, n := w.onWrite, 0
	var both []byte
	w.onWrite = func() {
		polled()
		data, err := os.ReadFile(w.config)
		if err != nil {
			t.Error(err)
		}
		if n++; n == 1 {
			both = data
		} else if err := os.WriteFile(w.config, both, 0o600); err != nil {
			t.Error(err)
		}
	}
	r := w.apply(target)[0]
	if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "undid it") || !w.accepted(rekey.NewToken(old.Token)) {
		t.Errorf("got %+v, want it open and the old token good", r)
	}
	w.onWrite = polled
	if again := w.resume(); again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v, want it done", again)
	}
}

// The host goes away while its jobs are waited for: the config cannot be read at
// the swap. Both records are there until it is back.
func TestAHostThatIsGoneDuringTheDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	e := w.engine()
	e.Report = func(ev remedy.Event) {
		if ev.Step == rekey.StepDrain {
			w.unread = true
		}
	}
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil || results[0].Status != rekey.StatusOpen || !w.accepted(rekey.NewToken(old.Token)) {
		t.Errorf("got %+v, %v, want it open, and the old token good", results, err)
	}
	w.unread = false
	if again := w.resume(); again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v, want it done", again)
	}
}

// The canary stays pending: the old record serves on, and the next run, its canary
// at work, goes on from there.
func TestACanaryThatIsStuck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	w.jobs = []remedy.Job{{ID: 1, Status: "pending"}}
	with := func(e *remedy.Engine) *remedy.Engine {
		e.Options.Canaries = []string{"infra/canary"}
		return e
	}
	results, err := with(w.engine()).Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil || results[0].Status != rekey.StatusOpen || !strings.Contains(results[0].Reason, "still pending") || !w.accepted(rekey.NewToken(old.Token)) {
		t.Fatalf("got %+v, %v, want it open because of the canary", results, err)
	}
	if r, _ := (gitLab{w}).Runner(t.Context(), rekey.RunnerID(old.ID)); r.Paused {
		t.Error("the old record is paused, want it to serve")
	}
	for _, s := range w.sections() {
		if int64(s.ID) != old.ID {
			w.jobs = []remedy.Job{{ID: 1, Status: "success", RunnerID: s.ID, SystemID: ownSystem}}
		}
	}
	again, err := with(w.engine()).Resume(t.Context())
	if err != nil || again[0].Status != rekey.StatusFixed || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v, %v, want it proved by a job", again, err)
	}
}

// The clock jumps, forward or back, while a job is waited for and the file is left
// to settle: nothing is deleted early, and nothing waits for ever.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, jump := range map[string]time.Duration{"forward": 48 * time.Hour, "back": -48 * time.Hour} {
		w := all.fresh()
		w.served()
		target := w.rotation(0)
		e := w.engine()
		e.Report = func(ev remedy.Event) {
			if ev.Step == rekey.StepPause || ev.Step == rekey.StepSwap {
				w.clock.mu.Lock()
				w.clock.now = w.clock.now.Add(jump)
				w.clock.mu.Unlock()
			}
		}
		begun := time.Now()
		results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
		if err != nil || results[0].Status != rekey.StatusVerified || len(w.sections()) != 1 || time.Since(begun) > time.Minute {
			t.Errorf("%s: got %+v, %v, want it done", name, results, err)
		}
	}
}

// An interrupt at any step leaves what the next run finishes.
func TestAnInterruptAtEveryStep(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, step := range rekey.StepsOf(rekey.RemedyOverlap) {
		w := all.fresh()
		w.served()
		target := w.rotation(0)
		ctx, cancel := context.WithCancel(t.Context())
		e := w.engine()
		e.Report = func(ev remedy.Event) {
			if ev.Step == step {
				cancel()
			}
		}
		results, err := e.Apply(ctx, rekey.Plan{Targets: []rekey.Target{target}})
		cancel()
		if err != nil || step != rekey.StepRetire && results[0].Status == rekey.StatusFailed {
			t.Errorf("%s: got %+v, %v", step, results, err)
		}
		w.resume()
		if s := w.sections(); len(s) != 1 || !w.accepted(s[0].Token) || len(w.records("runners/all")) != 1 {
			t.Errorf("%s: after the resumption there are %d sections and %d records, want one of each", step, len(s), len(w.records("runners/all")))
		}
	}
}

// A record in the old one's place that lacks an assignment is told of.
func TestAnAssignmentThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, _ := w.Project("one", 0)
	two, _ := w.Project("two", 0)
	r := w.Runner("project", one, labtest.M{"tag_list": []string{"deploy"}, "description": "x"})
	w.Must(201, "POST", "projects/"+itoa(two)+"/runners", labtest.M{"runner_id": r.ID}, nil)
	w.write(section{"one", r.Token, r.ID})
	target := w.rotation(0)
	target.Attributes.Owner = target.Attributes.Projects[0]
	w.deny["assign"] = true
	got := w.apply(target)[0]
	if got.Status != rekey.StatusOpen || !strings.Contains(got.Reason, "two") || !w.accepted(rekey.NewToken(r.Token)) {
		t.Errorf("got %+v, want it open: the new record does not serve the second project", got)
	}
	w.deny["assign"] = false
	if again := w.resume(); again[0].Status != rekey.StatusVerified || len(w.records("runners/all")[0].Projects) != 2 {
		t.Errorf("the resumption got %+v, want both projects served", again)
	}
}

// Between a reset and its edit gitlab-runner is refused: an interrupt there does
// not leave the host like that.
func TestAnInterruptBehindAResetStillDelivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	target.Remedy = rekey.RemedyReset
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := w.engine()
	e.Report = func(ev remedy.Event) {
		if ev.Step == rekey.StepReset {
			cancel()
		}
	}
	results, err := e.Apply(ctx, rekey.Plan{Targets: []rekey.Target{target}})
	if s := w.sections()[0]; err != nil || results[0].Status != rekey.StatusOpen || s.Token == rekey.NewToken(old.Token) || !w.accepted(s.Token) {
		t.Errorf("got %+v, %v and the token %s, want it open, and the new token in the file", results, err, s.Token)
	}
	if again := w.resume(); again[0].Status != rekey.StatusVerified {
		t.Errorf("the resumption got %+v, want it done", again)
	}
}
