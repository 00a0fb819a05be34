package remedy_test

import (
	"context"
	"os"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

func TestATokenThatWasWrittenOverIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	w.onWrite = func() { // gitlab-runner was about to write the whole file
		w.onWrite = nil
		w.write(section{"one", dead, record.ID})
	}
	if r := w.apply(w.target(0, rekey.RemedyReset)); r[0].Status != rekey.StatusOpen {
		t.Errorf("got %+v, want an open repair", r[0])
	}
	r := w.resume()
	if len(r) != 1 || r[0].Status != rekey.StatusVerified || !w.accepted(w.sections()[0].Token) || w.calls["reset"] != 1 {
		t.Errorf("got %+v after %d resets, want verified after 1", r, w.calls["reset"])
	}
}

func TestARunnerThatRotatesItsTokenBeforeTheProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.apply(w.target(0, rekey.RemedyCreate))
	w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepReload })
	s := w.sections()[0]
	var rotated labtest.Issued
	w.MustAs("", 201, "POST", "runners/reset_authentication_token", labtest.M{"token": s.Token.Reveal()}, &rotated)
	w.write(section{"one", rotated.Token, int64(s.ID)})
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified || w.marked() != 0 {
		t.Errorf("got %+v and %d marked records, want verified and none", r, w.marked())
	}
}

func TestAnInterruptDuringTheCanaryLeavesTheProofOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	ctx, interrupt := context.WithCancel(t.Context())
	w.jobs = []remedy.Job{{ID: 1, Status: "pending"}}
	w.onJobs = func() { _ = w.clock.Sleep(ctx, 5*time.Second); interrupt() }
	e := w.engine()
	e.Options.Canaries = []string{"acme/canary"}
	r, err := e.Apply(ctx, rekey.Plan{Targets: []rekey.Target{w.target(0, rekey.RemedyCreate)}})
	if err != nil || r[0].Status != rekey.StatusOpen {
		t.Fatalf("got %+v, %v, want an open repair", r, err)
	}
	if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified {
		t.Errorf("got %+v, want the proof made up for", again)
	}
}

func TestAJobThatNamesNoHostProvesNoSharedRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, 0})
	w.jobs = []remedy.Job{{ID: 1, Status: "success", RunnerID: rekey.RunnerID(made.ID)}}
	if r := w.applyGiven(made.Token, w.target(0, rekey.RemedyGiven)); r[0].Status != rekey.StatusVerified {
		t.Errorf("got %s, want verified: another host of the record may have run the job", r[0].Status)
	}
}

func TestARefusalAfterTheDeliveryIsAskedAgainByTheNextRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	w.lag = true
	if r := w.apply(w.target(0, rekey.RemedyReset)); r[0].Status != rekey.StatusOpen {
		t.Errorf("got %+v, want an open repair", r[0])
	}
	w.lag = false
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified || w.calls["reset"] != 1 {
		t.Errorf("got %+v after %d resets, want verified after 1", r, w.calls["reset"])
	}
}

func TestARefusalForGoodLeavesNoMarker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.lag = true
	w.apply(w.target(0, rekey.RemedyCreate))
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusFailed || w.marked() != 0 {
		t.Errorf("got %+v and %d marked records, want failed and none", r, w.marked())
	}
	if _, err := os.Stat(w.config); err != nil {
		t.Error(err)
	}
}

func TestAnOldContactDoesNotProveAnAssignment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project, path := w.Project("one", 0)
	_, other := w.Project("two", 0)
	record := w.Runner("project", project, labtest.M{"run_untagged": true})
	w.write(section{"one", record.Token, record.ID})
	w.Call("POST", "jobs/request", "", labtest.M{"token": record.Token, "system_id": string(ownSystem), "info": labtest.M{"name": "gitlab-runner"}})
	w.clock.now = w.clock.now.Add(time.Hour)
	target := w.target(0, rekey.RemedyAssign)
	target.AssignTo = other
	r := w.apply(target)
	if r[0].Proof.Level != rekey.ProofVerified {
		t.Errorf("got the level %q (%v), want verified: the manager's contact is an hour older than the change (%s)", r[0].Proof.Level, r[0].Proof.Evidence, path)
	}
}

func TestOnlyWhatNobodyCanAskEndsWithoutAVerification(t *testing.T) {
	t.Parallel()
	const verify = "POST https://gitlab.example.com/api/v4/runners/verify"
	for name, c := range map[string]struct {
		request           string
		nameless, noTouch bool
		want              rekey.Status
	}{
		"no system id before 18.7":       {nameless: true, want: rekey.StatusDelivered},
		"no touch":                       {noTouch: true, want: rekey.StatusDelivered},
		"the budget ran out":             {request: verify, want: rekey.StatusOpen},
		"and there is no system id":      {request: verify, nameless: true, want: rekey.StatusOpen},
		"not asked, and nobody says why": {want: rekey.StatusOpen},
	} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		w.nameless = c.nameless
		w.unasked = &rekey.Answer{Kind: rekey.AnswerNotAsked, Request: c.request, Message: "planted"}
		e := w.engine()
		e.Options.NoTouch = c.noTouch
		r, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{w.target(0, rekey.RemedyCreate)}})
		if err != nil || r[0].Status != c.want {
			t.Errorf("%s: got %+v, %v, want %s", name, r, err, c.want)
		}
	}
}

func TestAnotherJobsEndIsNotTheCanarys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	asked := 0
	w.onJobs = func() {
		made := w.records("runners/all")[0]
		canary := remedy.Job{ID: 2, Status: "pending", Tags: made.Tags, WebURL: "canary"}
		if asked++; asked > 1 {
			canary.Status, canary.RunnerID, canary.SystemID = "success", made.ID, ownSystem
		}
		lint := remedy.Job{ID: 1, Status: "failed", RunnerID: made.ID, SystemID: ownSystem, Tags: []string{"lint"}}
		w.jobs = []remedy.Job{lint, canary}
	}
	e := w.engine()
	e.Options.Canaries = []string{"acme/canary"}
	r, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{w.target(0, rekey.RemedyCreate)}})
	if err != nil || r[0].Status != rekey.StatusFixed || r[0].Proof.JobURL != "canary" {
		t.Errorf("got %+v, %v, want it proved by the canary's own job", r, err)
	}
}

// A proof goes as far as was asked and no further, and what was not reached is not
// said to be.
func TestTheProofThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked, want rekey.ProofLevel
		polls, job  bool
		canary      bool
	}{
		{asked: "", want: rekey.ProofJob, polls: true, job: true, canary: true},
		{asked: rekey.ProofVerified, want: rekey.ProofVerified, polls: true, job: true},
		{asked: rekey.ProofOnline, want: rekey.ProofOnline, polls: true, job: true},
		{asked: rekey.ProofOnline, want: rekey.ProofVerified, job: true},
		{asked: rekey.ProofJob, want: rekey.ProofJob, polls: true, job: true, canary: true},
		{asked: rekey.ProofJob, want: rekey.ProofVerified, canary: true},
	} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		if c.polls {
			w.onWrite = func() { w.polls(w.sections()[0].Token, ownSystem) }
		}
		looked := false
		w.onJobs = func() {
			looked = true
			if c.job {
				w.jobs = []remedy.Job{{ID: 1, Status: "success", RunnerID: w.sections()[0].ID, SystemID: ownSystem}}
			}
		}
		w.jobs = []remedy.Job{{ID: 1, Status: "pending"}}
		e := w.engine()
		e.Options.Canaries, e.Options.Proof = []string{"acme/canary"}, c.asked
		r, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{w.target(0, rekey.RemedyCreate)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := r[0].Proof; got.Level != c.want || looked != c.canary {
			t.Errorf("asked %q: reached %q (%s), a job was looked at: %v; want %q and %v", c.asked, got.Level, got.Missing, looked, c.want, c.canary)
		}
		if short := !c.want.AtLeast(c.asked); short != (r[0].Next != "") || short && r[0].Status == rekey.StatusFixed {
			t.Errorf("asked %q: got status %q and next %q, want a next step: %v, and nothing called fixed", c.asked, r[0].Status, r[0].Next, short)
		}
	}
}
