package remedy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// retire deletes the record that a replacement made superfluous, unless somebody
// uses it after all.
func (e *Engine) retire(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if op.overlaps() {
		return e.retireOld(ctx, op, gl)
	}
	others, err := e.otherManagers(ctx, gl, op)
	if op.target.Agents { // each was seen on the new record
		others, err = e.behind(ctx, gl, op)
	}
	if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return nil, "", err
	}
	if len(others) > 0 {
		return nil, "", rekey.Errorf(rekey.KindConflict, "runner %d, which was replaced, is in use by %s", op.target.RunnerID, strings.Join(others, ", ")).
			WithHint("move those hosts to another record, then run `rekey fix` again: it deletes runner %d", op.target.RunnerID)
	}
	if err := e.servesAll(ctx, op, gl); err != nil {
		return nil, "", err
	}
	if _, _, err := e.drain(ctx, op); err != nil && (!errors.As(err, new(errUntold)) || len(op.target.Causes) == 0) { // one that was refused before has had no job since
		return nil, "", err
	}
	if err := gl.DeleteRunner(ctx, op.target.RunnerID); err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return nil, "", err
	}
	return nil, fmt.Sprintf("deleted runner %d, which the new record replaces", op.target.RunnerID), nil
}

// servesAll fails while the new record lacks an assignment of the old one, which
// is what tells the projects that are missing.
func (e *Engine) servesAll(ctx context.Context, op *operation, gl GitLab) error {
	a := op.target.Attributes
	for _, again := range []bool{true, false} {
		got, err := gl.Runner(ctx, op.issued.ID)
		if err != nil {
			return err
		}
		missing := unassigned(got, a)
		if len(missing) == 0 {
			return nil
		}
		if again {
			if err := e.assignAgain(ctx, op, gl); err != nil {
				return err
			}
			continue
		}
		var names []string
		for _, p := range missing {
			names = append(names, named(p))
		}
		return rekey.Errorf(rekey.KindConflict, "runner %d, which was replaced, is kept: runner %d is not assigned to %s", op.target.RunnerID, op.issued.ID, strings.Join(names, ", ")).
			WithHint("have runner %d assigned there by a maintainer of those projects, then run `rekey fix` again: it deletes runner %d", op.issued.ID, op.target.RunnerID)
	}
	return nil
}

// assignAgain makes the assignments of a record that was settled: a locked one
// takes none.
func (e *Engine) assignAgain(ctx context.Context, op *operation, gl GitLab) error {
	a := op.target.Attributes
	for _, locked := range []bool{false, true} {
		if a.Locked {
			if _, err := gl.UpdateRunner(ctx, op.issued.ID, rekey.RunnerEdit{Locked: &locked}); err != nil {
				return err
			}
		}
		if !locked {
			e.assignAll(ctx, op, gl)
		}
	}
	return nil
}

// retireOld deletes the record that was rotated: once its section is gone for
// good, so that no gitlab-runner asks with its token any more, and no job and no
// manager is left on it.
func (e *Engine) retireOld(ctx context.Context, op *operation, gl GitLab) (any, string, error) {
	if err := e.quiet(ctx, op); err != nil {
		return nil, "", err
	}
	if op.handedOver.IsZero() || e.Clock.Now().Sub(op.handedOver) > time.Minute {
		behind, err := e.behind(ctx, gl, op)
		if err != nil {
			return nil, "", err
		}
		if len(behind) > 0 {
			return nil, "", rekey.Errorf(rekey.KindConflict, "runner %d has come to be used by %s: it is kept, paused", op.target.RunnerID, strings.Join(behind, ", ")).
				WithHint("give those hosts another record, then run `rekey rotate` again: it deletes runner %d", op.target.RunnerID)
		}
	}
	op.idle = false // since then a job may have begun that had been asked for before the pause
	if _, _, err := e.drain(ctx, op); err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepRetire, rekey.PhaseIntent, nil, nil); err != nil {
		return nil, "", err
	}
	if err := gl.DeleteRunner(ctx, op.target.RunnerID); err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return nil, "", err
	}
	return nil, fmt.Sprintf("deleted runner %d: runner %d has its place", op.target.RunnerID, op.issued.ID), nil
}

// quiet waits some seconds after the swap and looks at the configs once more: a
// gitlab-runner that was not signalled loads the file within three, and one that
// was writing it just then puts the old section back.
func (e *Engine) quiet(ctx context.Context, op *operation) error {
	settling, err := e.untilQuiet(op)
	if err != nil {
		return err
	}
	rest := settling
	if !op.swapped.IsZero() {
		rest = settling - e.Clock.Now().Sub(op.swapped)
	}
	if rest > 0 {
		if err := e.Clock.Sleep(ctx, min(rest, settling)); err != nil {
			return interrupted(rekey.StepRetire)
		}
	}
	for _, s := range op.sites {
		old, second, waits, err := e.pairOf(op, s)
		if err != nil {
			return err
		}
		if old < 0 && second >= 0 && !waits {
			continue
		}
		step := rekey.StepSwap
		if second < 0 {
			step = rekey.StepDeliver
		}
		gone := rekey.Errorf(rekey.KindConflict, "somebody wrote %s after runner %d took the place of runner %d there, and undid it", s.Config, op.issued.ID, op.target.RunnerID).
			WithHint("find out what writes the file, then run `rekey rotate` again: both tokens are good and sealed")
		return joined(gone, op.journal.Fail(step, gone))
	}
	return nil
}

// untilQuiet is how long after the swap a gitlab-runner may still ask with the old
// token: it loads the file within seconds, and then ends the round over the
// sections that it is in, which takes a check_interval (RunCommand.feedRunners).
// Who wants no second look at the file wants no waiting either.
func (e *Engine) untilQuiet(op *operation) (time.Duration, error) {
	settling := orDefault(e.Options.Settling, 4*time.Second)
	if settling < time.Second {
		return settling, nil
	}
	round := time.Duration(0)
	for _, s := range op.sites {
		var seconds int
		if err := e.look(s.Config, func(doc *configtoml.Document) error { seconds = doc.CheckInterval(); return nil }); err != nil {
			return 0, err
		}
		if seconds <= 0 {
			seconds = 3
		}
		round = max(round, time.Duration(seconds)*time.Second)
	}
	return settling + round, nil
}

// retired reports whether the old record of an overlap is deleted, or may be:
// there is no way back then.
func (op *operation) retired() bool {
	if !op.overlaps() {
		return false
	}
	last := op.last(rekey.StepRetire)
	return last != nil && last.Failed == ""
}
