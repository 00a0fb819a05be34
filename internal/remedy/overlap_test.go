package remedy_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
)

// rotation plans an overlap of the section at index, whose record has the lab's
// attributes.
func (w *world) rotation(index int) rekey.Target {
	w.t.Helper()
	t := w.target(index, rekey.RemedyOverlap)
	r, err := gitLab{w}.Runner(w.t.Context(), t.RunnerID)
	if err != nil {
		w.t.Fatal(err)
	}
	t.Attributes = &rekey.Attributes{Scope: r.Scope, Description: r.Description, Tags: r.Tags, RunUntagged: r.RunUntagged, Projects: r.Projects}
	t.AllJobs = true
	return t
}

// served makes one record and its section, and a gitlab-runner that polls with
// every token of the config as soon as it was written.
func (w *world) served() (before []byte, record labtest.Issued) {
	w.t.Helper()
	record = w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}, "description": "build host"})
	w.write(section{"one", record.Token, record.ID})
	w.polls(rekey.NewToken(record.Token), ownSystem)
	w.onWrite = func() {
		for _, s := range w.sections() {
			w.polls(s.Token, ownSystem)
		}
	}
	before, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return before, record
}

func TestAnOverlapReplacesRecordAndSection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	r := w.apply(w.rotation(0))[0]
	if r.Status != rekey.StatusVerified || r.Proof.Level != rekey.ProofOnline {
		t.Fatalf("got %+v, want verified, the manager seen", r)
	}
	sections := w.sections()
	if len(sections) != 1 || sections[0].Name != "one" || sections[0].ID == rekey.RunnerID(old.ID) || sections[0].ID != r.RunnerID || !w.accepted(sections[0].Token) {
		t.Errorf("the sections are %+v, want one with the token of runner %d", sections, r.RunnerID)
	}
	records := w.records("runners/all")
	if len(records) != 1 || records[0].Description != "build host" || strings.Join(records[0].Tags, ",") != "deploy" || records[0].Paused {
		t.Errorf("the records are %+v, want one with the tags and the description of the old one", records)
	}
	if n := w.calls["create"] + w.calls["managers"] + w.calls["update"] + w.calls["runner"] + w.calls["delete"] + w.calls["list"] + w.calls["jobs"]; n > 9 {
		t.Errorf("%d requests (%v), want 9 at most", n, w.calls)
	}
}

// A manager of another host is online on the old record: it serves on, and so
// does the new one, until that host is gone.
func TestAnOverlapWaitsForEveryOnlineManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	target := w.rotation(0)
	w.polls(rekey.NewToken(old.Token), "s_ba9876543210")
	r := w.apply(target)[0]
	if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "s_ba9876543210") || !w.accepted(rekey.NewToken(old.Token)) || len(w.sections()) != 2 {
		t.Fatalf("got %+v and %d sections, want it open, and both records at work", r, len(w.sections()))
	}
	for _, s := range w.sections() {
		w.polls(s.Token, "s_ba9876543210") // the other host has got the new token too
	}
	if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v and %d sections, want it done", again, len(w.sections()))
	}
}

// A gitlab-runner that GitLab refused for a while, as in maintenance mode, asks again
// only after a reload: a resumption sees to it.
func TestAResumedOverlapReloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	poll := w.onWrite
	w.onWrite = nil
	if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open while the manager is not seen", r)
	}
	w.onReload = poll
	if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 {
		t.Errorf("the resumption got %+v and %d sections, want it done", again, len(w.sections()))
	}
}

func TestAnOverlapIsTakenBackWhileItCanBe(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, last := range map[string]rekey.StepKind{"proved": rekey.StepProve, "paused": rekey.StepPause, "swapped": rekey.StepSwap} {
		w := all.fresh()
		before, old := w.served()
		w.deny["delete"] = true
		if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen {
			t.Fatalf("%s: got %+v, want it open", name, r)
		}
		w.deny["delete"] = false
		w.cutJournals(func(r rekey.Record) bool { return r.Step == last && r.Phase == rekey.PhaseOutcome })
		text := w.undo()
		after, err := os.ReadFile(w.config)
		if err != nil || string(after) != string(before) {
			t.Errorf("%s: the config is\n%s\nwant\n%s\n%s", name, after, before, text)
		}
		records := w.records("runners/all")
		if len(records) != 1 || int64(records[0].ID) != old.ID {
			t.Errorf("%s: the records are %+v, want the old one", name, records)
			continue
		}
		if last != rekey.StepProve && (records[0].Paused || records[0].Description != "build host") {
			t.Errorf("%s: the old record is %+v, want it active and with its description", name, records[0])
		}
	}
}

// While the old record is drained gitlab-runner rotates its token by itself, or
// somebody takes the section away or gives it another token: one section is left,
// under its own name, or the rotation stops.
func TestTheOldSectionChangesUnderAnOverlap(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		change func(*world, labtest.Issued)
		done   bool
	}{
		"rotated by gitlab-runner": {func(w *world, old labtest.Issued) {
			var fresh labtest.Issued
			w.Must(201, "POST", "runners/"+itoa(old.ID)+"/reset_authentication_token", nil, &fresh)
			w.edit(old.Token, fresh.Token)
		}, true},
		"taken away": {func(w *world, old labtest.Issued) {
			w.cut(old)
		}, true},
		"another token, and no id": {func(w *world, old labtest.Issued) {
			w.edit(fmt.Sprintf("  id = %d\n", old.ID), "")
			w.edit(old.Token, dead)
		}, false},
	} {
		w := all.fresh()
		before, old := w.served()
		w.deny["update"] = true
		target := w.rotation(0)
		if r := w.apply(target)[0]; r.Status != rekey.StatusOpen || len(w.sections()) != 2 {
			t.Fatalf("%s: got %+v, want it open with two sections", name, r)
		}
		w.deny["update"] = false
		c.change(w, old)
		r := w.resume()[0]
		sections := w.sections()
		switch {
		case !c.done:
			if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "somebody changed the token") || len(sections) != 2 || len(w.records("runners/all")) != 2 {
				t.Errorf("%s: got %+v with %d sections, want it stopped and nothing deleted", name, r, len(sections))
			}
		case r.Status != rekey.StatusVerified || len(sections) != 1 || sections[0].Name != "one" || sections[0].ID != r.RunnerID || !w.accepted(sections[0].Token) || len(w.records("runners/all")) != 1:
			t.Errorf("%s: got %+v and the sections %+v, want one section of its old name with the new token\n%s", name, r, sections, before)
		}
	}
}

// Two runs with state directories of their own plan the same rotation: the second
// stops at the file, and giving it up leaves no record behind.
func TestASecondRekeyRotatesTheSameSection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	target := w.rotation(0)
	first := w.state
	w.deny["update"] = true
	if r := w.apply(target)[0]; r.Status != rekey.StatusOpen || len(w.sections()) != 2 {
		t.Fatalf("the first got %+v, want it open with two sections", r)
	}
	w.deny["update"] = false
	w.state = t.TempDir()
	r := w.apply(target)[0]
	if r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "another rekey") || !strings.Contains(r.Next, "--abort") || len(w.sections()) != 2 {
		t.Fatalf("the second got %+v and %d sections, want it stopped at the file", r, len(w.sections()))
	}
	if text := w.undo(); len(w.records("runners/all")) != 2 {
		t.Errorf("%d records are left, want the second run's gone: %s", len(w.records("runners/all")), text)
	}
	w.state = first
	if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 || len(w.records("runners/all")) != 1 {
		t.Errorf("the first goes on with %+v and %d sections, want it done", again, len(w.sections()))
	}
}

// cut takes the section of a record out of the config.
func (w *world) cut(r labtest.Issued) {
	w.t.Helper()
	data, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	parts := strings.SplitAfter(string(data), "[[runners]]")
	for i, part := range parts[1:] {
		if strings.Contains(part, r.Token) {
			parts[i] = strings.TrimSuffix(parts[i], "[[runners]]")
			parts[i+1] = ""
		}
	}
	if err := os.WriteFile(w.config, []byte(strings.Join(parts, "")), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// working gives the record a job, which runs until it is ended, and well.
func (w *world) working(r labtest.Issued) (end func()) {
	w.t.Helper()
	project, _ := w.Project("p", 0)
	w.CIConfig(project, "job:\n  tags: [deploy]\n  script: [echo]\n")
	w.Pipeline(project, nil)
	var job struct {
		ID    int64  `json:"id"`
		Token string `json:"token"`
	}
	a := w.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": string(ownSystem), "info": labtest.M{"name": "gitlab-runner"}})
	if a.Status != http.StatusCreated {
		w.t.Fatalf("no job was had: %d %s", a.Status, a.Body)
	}
	a.Decode(w.t, &job)
	return func() {
		w.t.Helper()
		if a := w.Call("PUT", "jobs/"+itoa(job.ID), "", labtest.M{"token": job.Token, "state": "success"}); a.Status != http.StatusOK {
			w.t.Errorf("the job that ran: %d %s, want it to end well", a.Status, a.Body)
		}
	}
}

// The jobs of the old record are waited for, and for no longer than was said.
func TestAnOverlapWaitsForJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	end := w.working(old)
	begun := w.clock.Now()
	r := w.apply(w.rotation(0))[0]
	if waited := w.clock.Now().Sub(begun); r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "still runs a job") || waited < time.Hour || waited > 2*time.Hour {
		t.Errorf("got %+v after %s, want it open after an hour", r, waited)
	}
	e, asked := w.engine(), 0
	e.WaitOn = func(t rekey.Target, waited time.Duration) bool { asked++; return asked < 3 && waited == time.Hour }
	begun = w.clock.Now()
	if again, err := e.Resume(t.Context()); err != nil || again[0].Status != rekey.StatusOpen || asked != 3 || w.clock.Now().Sub(begun) < 3*time.Hour {
		t.Errorf("asked %d times whether to wait on: %+v, %v, want it open after the third hour", asked, again, err)
	}
	end()
	if again := w.resume(); again[0].Status != rekey.StatusVerified || len(w.sections()) != 1 || len(w.records("runners/all")) != 1 {
		t.Errorf("the resumption got %+v, want it done", again)
	}
}

// Whatever answer is lost, the rotation comes to its end by itself or is resumed,
// with one record and one section.
func TestAnOverlapLosesNothingWithAnAnswer(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, call := range []string{"create", "managers", "update", "runner", "delete"} {
		w := all.fresh()
		w.served()
		target := w.rotation(0)
		w.lose[call] = true
		first := w.apply(target)[0]
		w.lose[call] = false
		w.resume()
		sections, records := w.sections(), w.records("runners/all")
		if len(sections) != 1 || len(records) != 1 || sections[0].ID != records[0].ID || !w.accepted(sections[0].Token) || w.marked() != 0 {
			t.Errorf("%s lost: first %+v; there are %d sections and %d records, want one of each that fit", call, first, len(sections), len(records))
		}
	}
}
