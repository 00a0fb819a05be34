package remedy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
)

func (w *world) bytes() string {
	w.t.Helper()
	data, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// Three repairs were made in one replacement of the file, and two of them have
// ended: giving up the third leaves those as they are.
func TestGivingUpOneOfABatchLeavesTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"a", dead + "a", 0}, section{"b", dead + "b", 0}, section{"c", dead + "c", 0})
	before := w.bytes()
	w.apply(w.target(0, rekey.RemedyCreate), w.target(1, rekey.RemedyCreate), w.target(2, rekey.RemedyCreate))
	done := w.sections()
	open := false
	w.cutJournals(func(r rekey.Record) bool {
		if r.Step == rekey.StepBegin {
			open = strings.Contains(string(r.Data), `"name":"b"`)
		}
		return !open || r.Step == rekey.StepReload
	})
	aborted := w.abort()
	after := w.sections()
	if len(aborted.Undone) != 1 || after[0].Token != done[0].Token || after[2].Token != done[2].Token || after[1].Token != rekey.NewToken(dead+"b") {
		t.Fatalf("%+v left\n%s\nwant the tokens of a and c as they were, and that of b put back", aborted, w.bytes())
	}
	if !w.accepted(after[0].Token) || !w.accepted(after[2].Token) || len(w.records("runners/all")) != 2 {
		t.Errorf("%d records are left, want those of a and c", len(w.records("runners/all")))
	}
	if got, want := sectionText(w.bytes(), "b"), sectionText(before, "b"); got != want {
		t.Errorf("section b is\n%s\nwant the bytes of before\n%s", got, want)
	}
}

func sectionText(config, name string) string {
	for _, part := range strings.Split(config, "[[runners]]") {
		if strings.Contains(part, `name = "`+name+`"`) {
			return part
		}
	}
	return ""
}

// The record from before is gone, or its token is dead, when an open overlap is to
// be given up: the new one is all that serves, and stays.
func TestThereIsNoWayBackToADeadToken(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		last rekey.StepKind
		kill func(*world, rekey.RunnerID)
	}{
		"deleted before the pause": {rekey.StepSettle, func(w *world, id rekey.RunnerID) {
			w.Must(204, "DELETE", "runners/"+itoa(int64(id)), nil, nil)
		}},
		"deleted behind the pause": {rekey.StepPause, func(w *world, id rekey.RunnerID) {
			w.Must(204, "DELETE", "runners/"+itoa(int64(id)), nil, nil)
		}},
		"reset": {rekey.StepSettle, func(w *world, id rekey.RunnerID) {
			w.Must(201, "POST", "runners/"+itoa(int64(id))+"/reset_authentication_token", nil, nil)
		}},
	} {
		w := all.fresh()
		_, old := w.served()
		w.deny["delete"], w.deny["update"] = true, c.last == rekey.StepSettle
		if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen {
			t.Fatalf("%s: got %+v, want it open", name, r)
		}
		w.deny["delete"], w.deny["update"] = false, false
		w.cutJournals(func(r rekey.Record) bool {
			return r.Step == c.last && r.Phase == rekey.PhaseOutcome || r.Step == rekey.StepDeliver
		})
		c.kill(w, rekey.RunnerID(old.ID))
		between := w.bytes()
		done, err := w.engine().Undo(t.Context(), "")
		if rekey.KindOf(err) != rekey.KindConflict || len(done) != 1 || w.bytes() != between {
			t.Errorf("%s: undo got %+v, %v, want a conflict, and the config as it was", name, done, err)
		}
		aborted := w.abort()
		sections := w.sections()
		last := sections[len(sections)-1]
		for _, s := range sections {
			if w.accepted(s.Token) {
				last = s
			}
		}
		if len(aborted.Undone) != 0 || len(aborted.Finished) != 1 || !w.accepted(last.Token) {
			t.Errorf("%s: abort got %+v with the sections %+v, want the rotation brought to its end", name, aborted, sections)
		}
		if s := aborted.Finished[0].Status; s != rekey.StatusVerified || len(sections) != 1 || sections[0].Name != "one" {
			t.Errorf("%s: it ended %s (%s) with %d sections, want it verified with one", name, s, aborted.Finished[0].Reason, len(sections))
		}
	}
}

// A job still runs on the old record, whose token is dead: giving up brings the
// rotation as far as it can be brought without waiting for it.
func TestGivingUpWaitsForNoJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	w.working(old)
	w.deny["update"] = true
	if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen || len(w.sections()) != 2 {
		t.Fatalf("got %+v, want it open with two sections", r)
	}
	w.deny["update"] = false
	w.Must(201, "POST", "runners/"+itoa(old.ID)+"/reset_authentication_token", nil, nil)
	begun := w.clock.Now()
	aborted := w.abort()
	if len(aborted.Finished) != 1 || !strings.Contains(aborted.Finished[0].Reason, "still runs a job; it is paused") || w.clock.Now().Sub(begun) > time.Minute {
		t.Errorf("got %+v after %s, want it open, and no wait for the job", aborted, w.clock.Now().Sub(begun))
	}
}

// While GitLab does not let the old record take jobs again the config does not go
// back to it.
func TestTheConfigGoesBackToARecordThatTakesJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, old := w.served()
	w.deny["delete"] = true
	if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open", r)
	}
	w.deny["delete"], w.deny["update"] = false, true
	between := w.bytes()
	if done, err := w.engine().Abort(t.Context()); err == nil || w.bytes() != between || !strings.Contains(rekey.HintOf(err), "rekey fix --abort") {
		t.Errorf("abort got %+v, %v (%s), want an error and the config as it was", done, err, rekey.HintOf(err))
	}
	if done, err := w.engine().Undo(t.Context(), ""); err == nil || w.bytes() != between || !strings.Contains(rekey.HintOf(err), "rekey fix --undo") {
		t.Errorf("undo got %+v, %v (%s), want an error and the config as it was", done, err, rekey.HintOf(err))
	}
	w.deny["update"] = false
	w.abort()
	records := w.records("runners/all")
	if w.bytes() != string(before) || len(records) != 1 || int64(records[0].ID) != old.ID || records[0].Paused {
		t.Errorf("the records are %+v and the config\n%s\nwant the old one at work and the config as before", records, w.bytes())
	}
}

// gitlab-runner rotated the old section's token while both were there: that one
// comes back, not the one from before.
func TestATokenThatGitLabRunnerRenewedComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	w.deny["update"] = true
	if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen || len(w.sections()) != 2 {
		t.Fatalf("got %+v, want it open with two sections", r)
	}
	var fresh struct {
		Token string `json:"token"`
	}
	w.Must(201, "POST", "runners/"+itoa(old.ID)+"/reset_authentication_token", nil, &fresh)
	w.edit(old.Token, fresh.Token)
	w.deny["update"], w.deny["delete"] = false, true
	if r := w.resume(); r[0].Status != rekey.StatusOpen || len(w.sections()) != 1 {
		t.Fatalf("got %+v, want it open behind the swap", r)
	}
	w.deny["delete"] = false
	text := w.undo()
	if s := w.sections(); len(s) != 1 || s[0].Token != rekey.NewToken(fresh.Token) || s[0].ID != rekey.RunnerID(old.ID) || s[0].Name != "one" {
		t.Errorf("undo left %+v, want the token that gitlab-runner got by itself\n%s", s, text)
	}
}

// A swap in place was cut short, so that the file does not parse: the resumption
// and the way back begin from what was there before the swap.
func TestATornSwap(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		w := newWorld(t)
		before, old := w.served()
		w.deny["delete"] = true
		if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen || len(w.sections()) != 1 {
			t.Fatalf("got %+v, want it open behind the swap", r)
		}
		w.deny["delete"] = false
		w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepSwap && r.Phase == rekey.PhaseIntent })
		swapped := w.bytes()
		if err := os.WriteFile(w.config, []byte(swapped+"\n[[runners]]\n  name = \"on"), 0o600); err != nil {
			t.Fatal(err)
		}
		if back {
			if text := w.undo(); w.bytes() != string(before) {
				t.Errorf("undo left\n%s\nwant\n%s\n%s", w.bytes(), before, text)
			}
			continue
		}
		if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified || w.bytes() != swapped {
			t.Errorf("the resumption got %+v and left\n%s\nwant\n%s", r, w.bytes(), swapped)
		}
		if records := w.records("runners/all"); len(records) != 1 || int64(records[0].ID) == old.ID {
			t.Errorf("the records are %+v, want the new one alone", records)
		}
	}
}

// Two operations share a config with each other only by way of a third: all are of
// one lane, and none is lost.
func TestAnOperationThatJoinsTwoLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two, three := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	var paths []string
	for range 3 {
		paths = append(paths, t.TempDir()+"/config.toml")
	}
	a, b, c := paths[0], paths[1], paths[2]
	put := func(path string, sections ...section) { w.config = path; w.write(sections...) }
	y, x, z := section{"y", one.Token, one.ID}, section{"x", two.Token, two.ID}, section{"z", three.Token, three.ID}
	put(a, y)
	put(b, x, z)
	put(c, y, z)
	reset := func(path string, index int, also rekey.Place) rekey.Target {
		w.config = path
		t := w.target(index, rekey.RemedyReset)
		if also.Config != "" {
			also.Name, also.Before = t.Name, t.Before
			t.Also = []rekey.Place{also}
		}
		return t
	}
	results := w.apply(reset(a, 0, rekey.Place{Config: c, Index: 0}), reset(b, 0, rekey.Place{}), reset(b, 1, rekey.Place{Config: c, Index: 1}))
	for i, r := range results {
		if r.Status != rekey.StatusVerified {
			t.Errorf("operation %d: got %+v, want it verified", i, r)
		}
	}
	for _, path := range paths {
		for _, s := range w.sectionsOf(path) {
			if !w.accepted(s.Token) {
				t.Errorf("%s: section %s has a token that GitLab refuses", path, s.Name)
			}
		}
	}
}

// A token that expires, and of which nobody knows when it was obtained, is due a
// week before its end: gitlab-runner leaves it alone.
func TestAnUndatedTokenIsDueBeforeItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", record.Token, record.ID})
	w.edit(executorLine, "  token_expires_at = "+w.clock.now.Add(10*24*time.Hour).UTC().Format(time.RFC3339)+"\n"+executorLine)
	p := w.planner()
	p.Flags.Due = true
	for _, c := range []struct {
		later time.Duration
		due   bool
	}{{0, false}, {2 * 24 * time.Hour, false}, {4 * 24 * time.Hour, true}, {20 * 24 * time.Hour, true}} {
		at := w.clock.now.Add(c.later)
		p.Now = func() time.Time { return at }
		if plan := w.plan(p); len(plan.Targets)+len(plan.Left) > 0 != c.due {
			t.Errorf("after %s: got %+v, want it due: %v", c.later, plan, c.due)
		}
	}
}

// A journal of a later rekey is not ended by one that does not know its remedy; one
// that has ended stands in nobody's way.
func TestTheJournalOfALaterRekeyIsLeft(t *testing.T) {
	t.Parallel()
	for _, ended := range []bool{false, true} {
		w := newWorld(t)
		w.served()
		w.deny["delete"] = !ended
		w.apply(w.rotation(0))
		files, err := filepath.Glob(filepath.Join(w.state, "operations", "*.journal"))
		if err != nil || len(files) != 1 {
			t.Fatalf("the journals are %v, %v, want one", files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		later := strings.Replace(string(data), `"remedy":"overlap"`, `"remedy":"tomorrow"`, 1)
		if later == string(data) {
			t.Fatal("the journal names no remedy")
		}
		if err := os.WriteFile(files[0], []byte(later), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := w.engine().Resume(t.Context())
		if refused := rekey.KindOf(err) == rekey.KindConflict && err != nil && strings.Contains(err.Error(), "later rekey"); refused == ended {
			t.Errorf("ended %v: the resumption got %+v, %v", ended, r, err)
		}
		if done, err := w.engine().Undo(t.Context(), ""); rekey.KindOf(err) != rekey.KindConflict {
			t.Errorf("ended %v: undo got %+v, %v, want a conflict", ended, done, err)
		}
		if now, err := os.ReadFile(files[0]); err != nil || string(now) != later {
			t.Errorf("ended %v: the journal was written to (%v)", ended, err)
		}
	}
}

// An in-place write that made the file shorter was killed before the length was set:
// the newlines behind it go, forward and back.
func TestAPaddedConfigIsMended(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		before := w.bytes()
		w.apply(w.target(0, rekey.RemedyCreate))
		done := w.bytes()
		w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepDeliver && r.Phase == rekey.PhaseIntent })
		if err := os.WriteFile(w.config, []byte(done+"\n\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if back {
			if w.undo(); w.bytes() != before {
				t.Errorf("undo left\n%q\nwant\n%q", w.bytes(), before)
			}
			continue
		}
		if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified || w.bytes() != done {
			t.Errorf("the resumption got %+v and left\n%q\nwant\n%q", r, w.bytes(), done)
		}
	}
}
