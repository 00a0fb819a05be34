package remedy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

// release is a Secret and the pods of a Deployment, with a controller that makes
// the pods anew when it is asked how far it is. A pod asks for jobs once it is ready.
type release struct {
	w       *world
	token   rekey.Token
	mark    string // of the Deployment's template
	pods    []releasePod
	stuck   bool  // no new pod gets ready
	busy    int   // how often old pods are still there when one looks
	denied  error // what a change comes to
	lost    bool  // a change is carried out, and its answer lost
	onGive  func()
	rolled  int
	systems int
	silent  int  // further pods, ready, that were made of the old Secret
	falling bool // the new pods were ready, and end one after the other
}

type releasePod struct{ mark, system string }

const releaseConfig = "k8s://ci/main/secret/main#runner-token"

// released makes a record, a release with its token, and a pod that serves.
func (w *world) released() *release {
	w.t.Helper()
	record := w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}, "description": "cluster"})
	r := &release{w: w, token: rekey.NewToken(record.Token)}
	r.start("")
	return r
}

func (r *release) start(mark string) {
	r.systems++
	p := releasePod{mark, fmt.Sprintf("r_%012d", r.systems)}
	r.w.polls(r.token, rekey.SystemID(p.system))
	r.pods = append(r.pods, p)
}

func (r *release) target(id rekey.RunnerID) rekey.Target {
	r.w.t.Helper()
	record, err := gitLab{r.w}.Runner(r.w.t.Context(), id)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return rekey.Target{Config: releaseConfig, Host: "k8s://ci/main?context=test", Name: "main", URL: r.w.URL, GitLab: r.w.URL, RunnerID: id, Before: r.token.Fingerprint(), Remedy: rekey.RemedyRollout,
		Attributes: &rekey.Attributes{Scope: record.Scope, Description: record.Description, Tags: record.Tags, RunUntagged: record.RunUntagged}, AllJobs: true}
}

// engine is a new process.
func (r *release) engine() *remedy.Engine {
	e := r.w.engine()
	e.Options.RolloutWait, e.Options.DrainTimeout = time.Minute, time.Minute
	e.Workloads = func(_ context.Context, t rekey.Target) (remedy.Workload, error) {
		if t.Host != "k8s://ci/main?context=test" || t.Config != releaseConfig {
			r.w.t.Errorf("got the target %s at %s, want the release's own", t.Config, t.Host)
		}
		return r, nil
	}
	return e
}

func (r *release) rotate() rekey.Result {
	r.w.t.Helper()
	results, err := r.engine().Apply(r.w.t.Context(), rekey.Plan{Targets: []rekey.Target{r.target(r.w.records("runners/all")[0].ID)}})
	if err != nil {
		r.w.t.Fatal(err)
	}
	return results[0]
}

func (r *release) resume() []rekey.Result {
	r.w.t.Helper()
	results, err := r.engine().Resume(r.w.t.Context())
	if err != nil {
		r.w.t.Fatal(err)
	}
	return results
}

func (r *release) Held(context.Context) (rekey.Token, error) { return r.token, nil }

func (r *release) Check(context.Context) error { return r.denied }

func (r *release) Give(_ context.Context, expect, next rekey.Token) (string, error) {
	switch {
	case r.w.dies("give", false):
		return "", errDead
	case r.denied != nil:
		return "", r.denied
	case r.token != expect:
		return "", rekey.Errorf(rekey.KindConflict, "another token")
	}
	r.token = next
	if r.w.dies("give", true) {
		return "", errDead
	}
	if r.onGive != nil {
		r.onGive()
	}
	if r.lost {
		return "", rekey.Errorf(rekey.KindUnavailable, "the answer was lost")
	}
	return "patched", nil
}

func (r *release) Roll(_ context.Context, mark string) (string, error) {
	if r.w.dies("roll", false) {
		return "", errDead
	}
	if r.mark != mark {
		r.mark, r.rolled = mark, r.rolled+1
	}
	if r.w.dies("roll", true) {
		return "", errDead
	}
	if r.lost {
		return "", rekey.Errorf(rekey.KindUnavailable, "the answer was lost")
	}
	return "rolled out", nil
}

func (r *release) Rolled(_ context.Context, mark string) (remedy.Rolled, error) {
	if r.w.kill != nil && r.w.kill.dead {
		return remedy.Rolled{}, errDead
	}
	now := remedy.Rolled{Wanted: 1}
	if r.stuck {
		now.Others, now.Problem = len(r.pods), "pod main-2: ImagePullBackOff"
		return now, nil
	}
	if r.pods[len(r.pods)-1].mark != r.mark {
		r.start(r.mark)
	}
	if last := r.pods[len(r.pods)-1]; len(r.pods) > 1 && r.busy <= 0 {
		r.pods = []releasePod{last}
	}
	r.busy--
	if r.falling {
		return now, nil
	}
	for _, p := range r.pods {
		if p.mark == mark {
			now.Ready += 1 + r.silent
			now.Wanted = now.Ready
		} else {
			now.Others++
		}
	}
	return now, nil
}

// whole fails the test unless one record is left, as the first was, and the pods
// have its token.
func (r *release) whole(what string, old rekey.RunnerID) {
	r.w.t.Helper()
	records := r.w.records("runners/all")
	if len(records) != 1 || records[0].ID == old || records[0].Description != "cluster" || strings.Join(records[0].Tags, ",") != "deploy" || records[0].Paused {
		r.w.t.Errorf("%s: the records are %+v, want one new one as the old one was", what, records)
	}
	if !r.w.accepted(r.token) || len(r.pods) != 1 || r.pods[0].mark != r.mark || r.mark == "" {
		r.w.t.Errorf("%s: the Secret's token is accepted: %t, the pods %+v, the rollout %q; want one pod of it", what, r.w.accepted(r.token), r.pods, r.mark)
	}
}

func TestARolloutReplacesRecordSecretAndPods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old := w.records("runners/all")[0].ID
	r.busy = 2
	r.onGive = func() {
		if all := w.records("runners/all"); len(all) != 2 || all[0].RunUntagged && all[1].RunUntagged {
			t.Errorf("when the Secret was changed the records were %+v, want the first and a second one that no job reaches", all)
		}
	}
	got := r.rotate()
	if got.Status != rekey.StatusVerified || got.Proof.Level != rekey.ProofOnline {
		t.Fatalf("got %+v, want verified, a pod seen", got)
	}
	r.whole("a rotation", old)
	if r.rolled != 1 {
		t.Errorf("got %d rollouts, want 1", r.rolled)
	}
	w.noToken(r.token)
}

// noToken fails the test when a journal shows a token.
func (w *world) noToken(token rekey.Token) {
	w.t.Helper()
	store, err := remedy.ReadStore(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := store.Summaries()
	if text := fmt.Sprintf("%+v", all); err != nil || strings.Contains(text, token.Reveal()) || !strings.Contains(text, "rollout") {
		w.t.Errorf("got the summaries %s (%v), want the rollout and no token", text, err)
	}
}

// TestARolloutSurvivesAKillAtEveryAct kills before and behind everything that changes
// GitLab or the cluster: all that happens, happens through those ports.
func TestARolloutSurvivesAKillAtEveryAct(t *testing.T) {
	t.Parallel()
	first := newWorld(t)
	killed := 0
	for at := 1; ; at++ {
		ended := false
		for _, behind := range []bool{false, true} {
			w := first.fresh()
			r := w.released()
			old := w.records("runners/all")[0].ID
			w.kill = &killer{at: at, behind: behind}
			r.rotate()
			what := fmt.Sprintf("killed at act %d (%s, behind it: %t)", at, w.kill.act, behind)
			if ended = !w.kill.dead; ended {
				break
			}
			w.kill.restore(w)
			w.kill = nil
			killed++
			if got := r.resume(); len(got) != 1 || got[0].Status != rekey.StatusVerified {
				// Nothing had been begun: there is nothing to go on with.
				if again := r.rotate(); at > 1 || len(got) != 0 || again.Status != rekey.StatusVerified {
					t.Errorf("%s: resuming gave %+v, want verified", what, got)
				}
			}
			r.whole(what, old)
		}
		if ended {
			break
		}
	}
	if killed < 10 {
		t.Errorf("killed %d times, want two for each of create, give, roll, settle, pause and delete", killed)
	}
}

// killer ends a process at an act: from then on nothing happens any more, and the
// journals are what they were at that moment.
type killer struct {
	at, acts     int
	behind, dead bool
	act          string
	journals     map[string][]byte
}

// dies is asked before and behind each act.
func (w *world) dies(name string, behind bool) bool {
	if w.kill == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kill
	if !behind {
		k.acts++
	}
	if !k.dead && k.acts == k.at && k.behind == behind {
		k.dead, k.act, k.journals = true, name, map[string][]byte{}
		files, _ := w.journals()
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				w.t.Error(err)
			}
			k.journals[file] = data
		}
	}
	return k.dead
}

func (k *killer) restore(w *world) {
	w.t.Helper()
	for file, data := range k.journals {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

var errDead = errors.New("the process is gone")

func TestARolloutThatNeverGetsReadyChangesNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old, token := w.records("runners/all")[0].ID, r.token
	r.stuck = true
	got := r.rotate()
	if got.Status != rekey.StatusOpen || !strings.Contains(got.Reason, "ImagePullBackOff") || !strings.Contains(got.Next, "rekey rotate") {
		t.Errorf("got %+v, want open, with the pod's own reason", got)
	}
	if first, err := (gitLab{w}).Runner(t.Context(), old); err != nil || first.Paused || !w.accepted(token) || !w.accepted(r.token) {
		t.Errorf("runner %d is %+v (%v), want it active and both tokens good", old, first, err)
	}
	r.stuck = false
	if again := r.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || r.rolled != 1 {
		t.Errorf("got %+v after %d rollouts, want verified by the same rollout", again, r.rolled)
	}
	r.whole("resumed", old)
}

// New pods that were ready once, and fall over since, do not take the old record's
// place, though one was seen on the new record.
func TestPodsThatFallOverHoldTheOldRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old := w.records("runners/all")[0].ID
	w.deny["update"] = true
	if got := r.rotate(); got.Status != rekey.StatusOpen || r.rolled != 1 {
		t.Fatalf("got %+v after %d rollouts, want it open behind one", got, r.rolled)
	}
	w.deny["update"], r.falling = false, true
	if again := r.resume(); len(again) != 1 || again[0].Status != rekey.StatusOpen || !strings.Contains(again[0].Reason, "0 are ready") {
		t.Errorf("got %+v, want it open: no new pod is ready", again)
	}
	if first, err := (gitLab{w}).Runner(t.Context(), old); err != nil || first.Paused {
		t.Errorf("runner %d is %+v (%v), want it active", old, first, err)
	}
	r.falling = false
	if again := r.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified {
		t.Errorf("got %+v, want verified", again)
	}
	r.whole("resumed", old)
}

// TestAPodOfTheOldSecretHoldsTheOldRecord: it is new, and has the old token.
func TestAPodOfTheOldSecretHoldsTheOldRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old := w.records("runners/all")[0].ID
	r.silent = 1
	got := r.rotate()
	if got.Status != rekey.StatusOpen || !strings.Contains(got.Reason, "1 of 2 new pods were seen") {
		t.Errorf("got %+v, want open: one pod has the old token", got)
	}
	if first, err := (gitLab{w}).Runner(t.Context(), old); err != nil || first.Paused {
		t.Errorf("runner %d is %+v (%v), want it active", old, first, err)
	}
	w.polls(r.token, "r_000000000099") // that pod was deleted, and another made
	if again := r.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified {
		t.Errorf("got %+v, want verified", again)
	}
}

func TestARolloutIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old, token := w.records("runners/all")[0].ID, r.token
	r.stuck = true
	r.rotate()
	r.stuck = false
	undone, err := r.engine().Undo(t.Context(), "")
	if err != nil || len(undone) != 1 || !strings.Contains(undone[0].Text, "the old token is back") {
		t.Fatalf("got %+v (%v), want the old token back", undone, err)
	}
	if records := w.records("runners/all"); len(records) != 1 || records[0].ID != old || records[0].Paused || r.token != token {
		t.Errorf("the records are %+v and the Secret has its old token: %t; want all as before", records, r.token == token)
	}
	if again := r.resume(); len(again) != 0 {
		t.Errorf("got %+v, want nothing to go on with", again)
	}
}

func TestARolloutThatMayNotBeMakesNoRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	r.denied = rekey.Errorf(rekey.KindDenied, `the right deployments.apps "patch" is missing`).WithHint("a Role")
	got := r.rotate()
	if got.Status != rekey.StatusFailed || !strings.Contains(got.Reason, `"patch"`) || got.Next != "a Role" || len(w.records("runners/all")) != 1 {
		t.Errorf("got %+v and the records %+v, want the right named and no second record", got, w.records("runners/all"))
	}
}

func TestARolloutAnswersWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old := w.records("runners/all")[0].ID
	r.lost = true
	got := r.rotate()
	if got.Status != rekey.StatusOpen {
		t.Errorf("got %+v, want open: whether pods are made anew is not known", got)
	}
	r.lost = false
	r.resume()
	r.whole("answers lost", old)
	if r.rolled != 1 {
		t.Errorf("got %d rollouts, want 1", r.rolled)
	}
}

// TestATokenPutBackIsGivenAgain: Helm or Argo CD put the old one back before the old
// record is deleted.
func TestATokenPutBackIsGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.released()
	old, token := w.records("runners/all")[0].ID, r.token
	r.busy = 1000 // the old pod stays
	if got := r.rotate(); got.Status != rekey.StatusOpen || !strings.Contains(got.Reason, "old pods") {
		t.Fatalf("got %+v, want open while the old pod ends its jobs", got)
	}
	r.token, r.busy = token, 0
	got := r.resume()
	if len(got) != 1 || got[0].Status != rekey.StatusOpen || !strings.Contains(got[0].Reason, "somebody wrote") {
		t.Fatalf("got %+v, want that somebody wrote the Secret, and the old record kept", got)
	}
	if got := r.resume(); len(got) != 1 || got[0].Status != rekey.StatusVerified || r.rolled != 2 {
		t.Errorf("got %+v after %d rollouts, want verified after a second one", got, r.rolled)
	}
	r.whole("put back", old)
}
