package remedy_test

import (
	"net/http"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

// A canary was asked for, and none could be had: the old record is kept, whatever
// stood in the way.
func TestNoRecordIsRetiredUnproved(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		plant    func(*world, *remedy.Options)
		retired  bool
		canaries []string
	}{
		"the record cannot be read":            {plant: func(w *world, _ *remedy.Options) { w.deny["runner"] = true }, canaries: []string{"acme/canary"}},
		"the project cannot be read":           {plant: func(w *world, _ *remedy.Options) { w.deny["project"] = true }, canaries: []string{"acme/canary"}},
		"a job is asked for, and no project":   {plant: func(_ *world, o *remedy.Options) { o.Proof = rekey.ProofJob }},
		"neither a job nor a project is named": {plant: func(*world, *remedy.Options) {}, retired: true},
	} {
		w := all.fresh()
		_, old := w.served()
		target := w.rotation(0)
		e := w.engine()
		c.plant(w, &e.Options)
		e.Options.Canaries = c.canaries
		results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
		if err != nil {
			t.Fatal(err)
		}
		if kept := w.accepted(rekey.NewToken(old.Token)); kept == c.retired || (results[0].Status == rekey.StatusOpen) == c.retired {
			t.Errorf("%s: got %+v, and the old record is there: %v", name, results[0], kept)
		}
	}
}

// afar is the rotation of a record whose host follows the store.
func (w *world) afar(s *safe, record labtest.Issued) rekey.Target {
	w.t.Helper()
	r, err := gitLab{w}.Runner(w.t.Context(), rekey.RunnerID(record.ID))
	if err != nil {
		w.t.Fatal(err)
	}
	t := s.into(rekey.Target{Config: kept, Name: "far", URL: w.URL, GitLab: w.URL, RunnerID: r.ID, Before: rekey.NewToken(record.Token).Fingerprint(),
		Causes: []rekey.Cause{}, Agents: true, Remedy: rekey.RemedyOverlap, AllJobs: true})
	t.Attributes = &rekey.Attributes{Scope: r.Scope, Description: r.Description, Tags: r.Tags, RunUntagged: r.RunUntagged}
	if !t.Afar() {
		w.t.Fatal("the target has a config")
	}
	return t
}

func TestACanaryThatFailsAfarKeepsTheOldRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}})
	s := holding(record.Token, record.ID)
	w.jobs = []remedy.Job{{ID: 1, Status: "failed", RunnerID: 2, Tags: []string{}}}
	e := w.keeping(s)
	e.Options.Canaries = []string{"acme/canary"}
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{w.afar(s, record)}})
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "not proved") || !w.accepted(rekey.NewToken(record.Token)) {
		t.Fatalf("got %+v, want it open, and the old record kept", r)
	}
	for _, r := range w.records("runners/all") {
		if strings.Join(r.Tags, ",") != "deploy" || r.Paused {
			t.Errorf("record %+v has not the tags that jobs of the host ask for", r)
		}
	}
	w.polls(s.held.Token, "s_ba9876543210") // the agent has brought it
	if again := w.resumeKeeping(s); again.Status != rekey.StatusVerified {
		t.Errorf("without a canary: got %+v, want it verified", again)
	}
	if records := w.records("runners/all"); len(records) != 1 || strings.Join(records[0].Tags, ",") != "deploy" {
		t.Errorf("the records are %+v, want the new one with its tags", records)
	}
}

// The old record dies while agents are waited for: giving up leaves the store the
// new token, which is the only good one.
func TestGivingUpAfarLeavesAGoodToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	s := holding(record.Token, record.ID)
	if r := w.applyKeeping(s, w.afar(s, record)); r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open: nobody was seen on the new record", r)
	}
	w.Must(204, "DELETE", "runners/"+itoa(record.ID), nil, nil)
	done, err := w.keeping(s).Abort(t.Context())
	if err != nil || len(done.Finished) != 1 || !w.accepted(s.held.Token) {
		t.Errorf("abort got %+v, %v, and the store's token is good: %v; want it to be", done, err, w.accepted(s.held.Token))
	}
}

// An agent has brought the token to its host: the record that was made is deleted
// once the agent has taken the host back, and not forgotten before.
func TestGivingUpAfarWaitsForTheAgents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	s := holding(record.Token, record.ID)
	if r := w.applyKeeping(s, w.afar(s, record)); r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open", r)
	}
	w.polls(s.held.Token, "s_ba9876543210")
	made := s.held.Token
	if done, err := w.keeping(s).Abort(t.Context()); err == nil || !w.accepted(made) {
		t.Errorf("abort got %+v, want it unfinished, and the record kept: a host uses it", done)
	}
	if s.held.Token != rekey.NewToken(record.Token) {
		t.Errorf("the store holds %s, want the token from before", s.held.Token)
	}
	for _, r := range w.records("runners/all") {
		if int64(r.ID) != record.ID {
			w.Must(204, "DELETE", "runners/"+itoa(int64(r.ID)), nil, nil)
		}
	}
	if done, err := w.keeping(s).Abort(t.Context()); err != nil || len(done.Undone) != 1 {
		t.Errorf("abort again got %+v, %v, want it ended: the record is gone", done, err)
	}
}

// The config does not follow after the old record was made to take jobs again: a
// resumption pauses it again.
func TestAFailedWayBackIsGoneForwardFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	w.deny["delete"] = true
	if r := w.apply(w.rotation(0))[0]; r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open", r)
	}
	w.noReplace = true
	if done, err := w.engine().Abort(t.Context()); err == nil {
		t.Fatalf("abort got %+v, want an error: the config cannot be written", done)
	}
	if first, err := (gitLab{w}).Runner(t.Context(), rekey.RunnerID(old.ID)); err != nil || first.Paused {
		t.Fatalf("runner %d is %+v, %v, want it to take jobs again", old.ID, first, err)
	}
	w.noReplace = false
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open: nothing may be deleted", r)
	}
	if first, err := (gitLab{w}).Runner(t.Context(), rekey.RunnerID(old.ID)); err != nil || !first.Paused {
		t.Errorf("runner %d is %+v, %v, want it paused again", old.ID, first, err)
	}
}

// Somebody edits the old record while both serve: the new one gets the same before
// the old one goes.
func TestWhatChangedSinceThePlanIsCarriedOver(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		edit labtest.M
		want func(rekey.Runner) bool
	}{
		"protected": {labtest.M{"access_level": "ref_protected"}, func(r rekey.Runner) bool { return r.AccessLevel == "ref_protected" }},
		"tags":      {labtest.M{"tag_list": []string{"deploy", "gpu"}}, func(r rekey.Runner) bool { return len(r.Tags) == 2 }},
		"untagged":  {labtest.M{"run_untagged": false}, func(r rekey.Runner) bool { return !r.RunUntagged }},
		"paused":    {labtest.M{"paused": true}, func(r rekey.Runner) bool { return r.Paused }},
	} {
		w := all.fresh()
		_, old := w.served()
		target := w.rotation(0)
		target.Attributes.AccessLevel = "not_protected"
		w.polls(rekey.NewToken(old.Token), "s_ba9876543210")
		if r := w.apply(target)[0]; r.Status != rekey.StatusOpen {
			t.Fatalf("%s: got %+v, want it open: a host is behind", name, r)
		}
		w.Must(http.StatusOK, "PUT", "runners/"+itoa(old.ID), c.edit, nil)
		for _, s := range w.sections() {
			w.polls(s.Token, "s_ba9876543210")
		}
		r := w.resume()[0]
		records := w.records("runners/all")
		if r.Status != rekey.StatusVerified || len(records) != 1 {
			t.Errorf("%s: got %+v and %d records, want it verified", name, r, len(records))
			continue
		}
		if got, err := (gitLab{w}).Runner(t.Context(), records[0].ID); err != nil || !c.want(got) || got.Description != "build host" {
			t.Errorf("%s: the new record is %+v, %v, want what the old one became", name, got, err)
		}
	}
}

// A record whose reset lost its answer is replaced: the old one is deleted once its
// jobs are done.
func TestAReplacedRecordEndsItsJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, old := w.served()
	end := w.working(old)
	target := w.rotation(0)
	target.Remedy, target.Causes = rekey.RemedyReset, []rekey.Cause{}
	w.lose["reset"] = true
	if r := w.apply(target)[0]; r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "still runs a job") || len(w.records("runners/all")) != 2 {
		t.Errorf("got %+v and %d records, want it open while the job runs", r, len(w.records("runners/all")))
	}
	end()
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified || len(w.records("runners/all")) != 1 {
		t.Errorf("got %+v and %d records, want the old one gone", r, len(w.records("runners/all")))
	}
}

// The reset's answer and the store are lost in one cut: the config gets the new
// record's token before the store does.
func TestTheConfigIsServedWhileTheStoreIsAwayToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", record.Token, record.ID})
	s := holding(record.Token, record.ID)
	target := s.into(w.target(0, rekey.RemedyReset))
	target.Causes = []rekey.Cause{}
	w.lose["reset"] = true
	s.before = func(*remedy.Held) { s.away = true }
	r := w.applyKeeping(s, target)
	if now := w.sections()[0].Token; r.Status != rekey.StatusOpen || now == rekey.NewToken(record.Token) || !w.accepted(now) {
		t.Errorf("got %+v and the section has %s, want a good token while the store is away", r, now)
	}
	s.away = false
	if again := w.resumeKeeping(s); again.Status != rekey.StatusVerified {
		t.Errorf("got %+v, want it verified", again)
	}
	w.wantKept(s)
}

// A further project is given a locked runner while its rotation is open: the new
// record serves that too, and is locked again.
func TestAProjectAddedSinceThePlanIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, path := w.Project("one", 0)
	second, other := w.Project("two", 0)
	third, _ := w.Project("three", 0)
	record := w.Runner("project", first, labtest.M{"tag_list": []string{"deploy"}})
	share := func(project int64) {
		w.Must(http.StatusOK, "PUT", "runners/"+itoa(record.ID), labtest.M{"locked": false}, nil)
		w.Must(http.StatusCreated, "POST", "projects/"+itoa(project)+"/runners", labtest.M{"runner_id": record.ID}, nil)
		w.Must(http.StatusOK, "PUT", "runners/"+itoa(record.ID), labtest.M{"locked": true}, nil)
	}
	share(second)
	w.write(section{"one", record.Token, record.ID})
	w.onWrite = func() {
		for _, s := range w.sections() {
			w.polls(s.Token, ownSystem)
		}
	}
	w.onWrite()
	target := w.rotation(0)
	target.Attributes.Locked = true
	target.Attributes.Projects = []rekey.Ref{{ID: first, Path: path}, {ID: second, Path: other}}
	target.Attributes.Owner = target.Attributes.Projects[0]
	w.polls(rekey.NewToken(record.Token), "s_ba9876543210")
	if r := w.apply(target)[0]; r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open: a host is behind", r)
	}
	share(third)
	for _, s := range w.sections() {
		w.polls(s.Token, "s_ba9876543210")
	}
	r := w.resume()[0]
	records := w.records("runners/all")
	if r.Status != rekey.StatusVerified || len(records) != 1 {
		t.Fatalf("got %+v and %d records, want it verified", r, len(records))
	}
	if got, err := (gitLab{w}).Runner(t.Context(), records[0].ID); err != nil || !got.Locked || len(got.Projects) != 3 {
		t.Errorf("the new record is %+v, %v, want it locked, and of three projects", got, err)
	}
}
