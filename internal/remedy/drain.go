package remedy

import (
	"context"
	"fmt"
	"time"

	"rekey"
)

// drain waits until no job runs on the old record. What cannot be told is
// unknown, not idle.
func (e *Engine) drain(ctx context.Context, op *operation) (any, string, error) {
	done := fmt.Sprintf("no job runs on runner %d", op.target.RunnerID)
	if op.idle {
		return nil, done, nil
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	limit := orDefault(e.Options.DrainTimeout, time.Hour)
	for p, told, away := e.patience(limit), false, false; ; {
		busy, err := e.busy(ctx, gl, op)
		silent := err != nil && !isStop(err) && rekey.KindOf(err) == rekey.KindUnavailable
		if silent != away && ctx.Err() == nil {
			away = silent
			e.tellAway(op, limit, silent, err)
		}
		switch {
		case err == nil && !busy:
			return nil, done, nil
		case err != nil && !silent:
			return nil, "", err
		}
		if busy && !told {
			told = true
			e.tell(op, rekey.StepDrain, fmt.Sprintf("runner %d still runs a job; waiting for it, %s at most", op.target.RunnerID, limit), nil)
		}
		if p.wait(ctx) {
			continue
		}
		if ctx.Err() != nil {
			return nil, "", interrupted(rekey.StepDrain)
		}
		if err == nil && e.WaitOn != nil && e.WaitOn(op.target, limit) {
			p = e.patience(limit)
			continue
		}
		if err == nil && !op.overlaps() {
			err = stop(fmt.Sprintf("run `rekey fix` again: it deletes runner %d once it is idle", op.target.RunnerID),
				"runner %d, which was replaced, still runs a job%s; runner %d serves", op.target.RunnerID, waited(limit), op.issued.ID)
		}
		if err == nil {
			err = stop("run `rekey rotate` again: it goes on waiting, and retires the record once it is idle",
				"runner %d still runs a job%s; it is paused, runner %d serves, and both sections stay until the job has ended", op.target.RunnerID, waited(limit), op.issued.ID)
		}
		return nil, "", err
	}
}

// waited is how long a job was waited for, "" where it was not.
func waited(limit time.Duration) string {
	if limit < time.Second {
		return ""
	}
	return fmt.Sprintf(" after %s", limit)
}

// tellAway says that GitLab has stopped answering, with what came instead, or that it
// answers again.
func (e *Engine) tellAway(op *operation, limit time.Duration, away bool, err error) {
	text := "GitLab answers again"
	if away {
		text = fmt.Sprintf("GitLab does not answer whether a job runs on runner %d; waiting for it, %s at most: %v", op.target.RunnerID, limit, err)
	}
	e.tell(op, rekey.StepDrain, text, nil)
}

// busy reports whether a job runs on the old record.
func (e *Engine) busy(ctx context.Context, gl GitLab, op *operation) (bool, error) {
	r, err := gl.Runner(ctx, op.target.RunnerID)
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		return false, nil
	case err != nil:
		return false, err
	case r.Busy != nil:
		return *r.Busy, nil
	}
	n, known, err := gl.RunningJobs(ctx, op.target.RunnerID)
	switch {
	case err != nil:
		return false, err
	case n > 0:
		return true, nil
	case !known || !op.target.AllJobs:
		return false, errUntold{stop("give `rekey rotate` the token of an administrator, who sees every job; runner "+fmt.Sprint(op.target.RunnerID)+" stays as it is until then",
			"whether jobs run on runner %d cannot be told: this user may not see them all", op.target.RunnerID)}
	}
	return false, nil
}

// errUntold says that nobody can tell whether jobs run.
type errUntold struct{ error }

func (e errUntold) Unwrap() error { return e.error }
