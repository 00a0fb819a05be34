package remedy_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/remedy"
)

// serving is a GitLab that says of a paused record what looks says, look after look.
type serving struct {
	gitLab
	looks func(n int) (busy bool, err error)
	n     *int
}

func (g serving) Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error) {
	r, err := g.gitLab.Runner(ctx, id)
	return g.seen(r, err)
}

func (g serving) UpdateRunner(ctx context.Context, id rekey.RunnerID, edit rekey.RunnerEdit) (rekey.Runner, error) {
	r, err := g.gitLab.UpdateRunner(ctx, id, edit)
	return g.seen(r, err)
}

func (g serving) seen(r rekey.Runner, err error) (rekey.Runner, error) {
	if err != nil || !r.Paused {
		return r, err
	}
	busy, err := g.looks(*g.n)
	*g.n++
	r.Busy = &busy
	return r, err
}

func (w *world) serving(looks func(n int) (bool, error)) *remedy.Engine {
	w.t.Helper()
	e, n := w.engine(), 0
	e.GitLab = func(string) remedy.GitLab { return serving{gitLab{w}, looks, &n} }
	return e
}

// Whoever ends rekey while it waits for jobs is told that, not that the time is over.
func TestAnInterruptEndsTheWaitForJobs(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, err := range map[string]error{"a job runs": nil, "GitLab is away": rekey.Errorf(rekey.KindUnavailable, "connection refused")} {
		w := all.fresh()
		w.served()
		ctx, cancel := context.WithCancel(t.Context())
		e := w.serving(func(n int) (bool, error) {
			switch {
			case n == 0: // the pause itself
				return true, nil
			case n == 3:
				cancel()
			}
			return true, err
		})
		e.WaitOn = func(rekey.Target, time.Duration) bool {
			t.Errorf("%s: asked whether to wait on after an interrupt", name)
			return false
		}
		results, failed := e.Apply(ctx, rekey.Plan{Targets: []rekey.Target{w.rotation(0)}})
		cancel()
		if failed != nil || len(results) != 1 || results[0].Status != rekey.StatusOpen || !strings.Contains(results[0].Reason, "interrupted before the step") || !strings.Contains(results[0].Next, "resume") {
			t.Errorf("%s: got %+v, %v, want it open, interrupted", name, results, failed)
		}
		if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified {
			t.Errorf("%s: the resumption got %+v, want it done", name, again)
		}
	}
}

// A GitLab that goes away while jobs are waited for is told once, and once that it is
// back; the wait goes on.
func TestGitLabIsAwayDuringTheWaitForJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	e := w.serving(func(n int) (bool, error) {
		if n >= 2 && n <= 5 {
			return false, rekey.Errorf(rekey.KindUnavailable, "connection refused")
		}
		return n < 7, nil
	})
	var told []string
	e.Report = func(ev remedy.Event) {
		if ev.Step == rekey.StepDrain {
			told = append(told, ev.Text)
		}
	}
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{w.rotation(0)}})
	if err != nil || results[0].Status != rekey.StatusVerified {
		t.Fatalf("got %+v, %v, want it done", results, err)
	}
	for i, want := range []string{"still runs a job", "GitLab does not answer", "answers again", "no job runs"} {
		if len(told) != 4 || !strings.Contains(told[i], want) {
			t.Fatalf("told %q, want four lines, number %d with %q", told, i+1, want)
		}
	}
	if !strings.Contains(told[1], "connection refused") {
		t.Errorf("told %q, want what came instead of an answer", told[1])
	}
}

// Where a job keeps a record from being deleted, the command is given again when the
// job has ended: no user token is missing.
func TestTheWayBackWaitsForAJobOnTheNewRecord(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for command, back := range map[string]func(*remedy.Engine) error{
		"`rekey fix --abort`":       func(e *remedy.Engine) error { _, err := e.Abort(t.Context()); return err },
		"`rekey fix --undo --run 2": func(e *remedy.Engine) error { _, err := e.Undo(t.Context(), ""); return err },
	} {
		w := all.fresh()
		_, old := w.served()
		w.deny["delete"] = true
		w.apply(w.rotation(0))
		w.deny["delete"] = false
		w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepProve && r.Phase == rekey.PhaseOutcome })
		busy := true
		e := w.serving(func(int) (bool, error) { return busy, nil })
		err := back(e)
		hint := rekey.HintOf(err)
		if err == nil || !strings.Contains(err.Error(), "a job runs on it") || !strings.Contains(hint, command) || !strings.Contains(hint, "when no job runs on it any more") || strings.Contains(hint, "user token") {
			t.Errorf("%s: got %v (%s), want the command again when the job has ended", command, err, hint)
		}
		busy = false
		if err := back(e); err != nil {
			t.Errorf("%s, the job has ended: %v", command, err)
		}
		if records := w.records("runners/all"); len(records) != 1 || !slices.ContainsFunc(records, func(r rekey.Runner) bool { return int64(r.ID) == old.ID }) {
			t.Errorf("%s: the records are %+v, want the old one", command, records)
		}
	}
}
