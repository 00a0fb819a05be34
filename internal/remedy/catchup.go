package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// asItIs reports whether somebody else has paused the old record since the plan. Only
// a rotation that was interrupted leaves time for that.
func (e *Engine) asItIs(ctx context.Context, op *operation, gl GitLab) (paused bool, err error) {
	paused = op.target.Attributes.Paused
	if !op.resumed || op.last(rekey.StepPause) != nil {
		return paused, nil
	}
	r, err := gl.Runner(ctx, op.target.RunnerID)
	switch {
	case err == nil:
		return r.Paused, nil
	case rekey.KindOf(err) == rekey.KindNotFound:
		return paused, nil
	}
	return paused, err
}

// catchUp gives the new record what was changed of the old one after the plan: old is
// how GitLab shows that one now, paused what it was to itself.
func (e *Engine) catchUp(ctx context.Context, op *operation, gl GitLab, old rekey.Runner, paused bool) error {
	then := op.target.Attributes
	now := *then
	now.Tags, now.RunUntagged, now.Locked, now.Paused = old.Tags, old.RunUntagged, old.Locked, paused
	now.MaximumTimeout, now.MaintenanceNote = old.MaximumTimeout, old.MaintenanceNote
	if then.AccessLevel != "" {
		now.AccessLevel = old.AccessLevel
	}
	if then.Scope == rekey.ScopeProject {
		now.Projects = slices.Clone(then.Projects)
		for _, p := range old.Projects {
			if !slices.ContainsFunc(then.Projects, func(q rekey.Ref) bool { return q.ID == p.ID }) {
				now.Projects = append(now.Projects, p)
			}
		}
	}
	changed := differences(rekey.Runner{Tags: now.Tags, RunUntagged: now.RunUntagged, Locked: now.Locked, Paused: now.Paused, AccessLevel: now.AccessLevel,
		MaximumTimeout: now.MaximumTimeout, MaintenanceNote: now.MaintenanceNote, Description: then.Description}, then)
	if len(changed) == 0 && len(now.Projects) == len(then.Projects) {
		return nil
	}
	op.target.Attributes = &now
	if now.MaximumTimeout != then.MaximumTimeout || now.MaintenanceNote != then.MaintenanceNote { // else they are from the creation
		if _, err := gl.UpdateRunner(ctx, op.issued.ID, rekey.RunnerEdit{MaximumTimeout: &now.MaximumTimeout, MaintenanceNote: &now.MaintenanceNote}); err != nil {
			return err
		}
	}
	e.tell(op, rekey.StepPause, fmt.Sprintf("runner %d was changed after the plan was made: runner %d gets the same", op.target.RunnerID, op.issued.ID), nil)
	if then.Locked && len(now.Projects) > len(then.Projects) { // the new record is locked by now
		if err := e.assignAgain(ctx, op, gl); err != nil {
			return err
		}
	}
	if _, _, err := e.dress(ctx, op, gl, &now); err != nil {
		return err
	}
	if missed := op.missed(); len(missed) > 0 {
		return rekey.Errorf(rekey.KindConflict, "runner %d, which is paused, was changed after the plan was made, and runner %d, which serves, is not as that is now: %s", op.target.RunnerID, op.issued.ID, strings.Join(missed, "; ")).
			WithHint("find out who changes it or may not, then run `rekey rotate` again; `rekey fix --undo --run %s` goes back to runner %d", runOf(op.id), op.target.RunnerID)
	}
	return nil
}
