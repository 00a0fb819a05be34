package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/configtoml"
)

// noWayBack reports whether GitLab refuses by now the token that giving up the
// rotation would bring back: its record was deleted, its token replaced, or it has
// expired. The new record is then the only one that serves.
func (e *Engine) noWayBack(ctx context.Context, op *operation) bool {
	if !op.overlaps() || op.restored || op.retired() {
		return false
	}
	if op.target.Afar() && op.last(rekey.StepStore) != nil {
		token, err := op.storedBefore()
		return err == nil && !token.IsZero() && e.Probe(ctx, Question{Config: op.target.Config, URL: op.target.URL, Token: token}).Verdict() == rekey.Invalid
	}
	asked := map[rekey.Token]bool{}
	for _, s := range op.sites {
		if s.delivered == nil {
			continue
		}
		q, err := e.oldToken(op, s)
		if err != nil || asked[q.Token] {
			continue
		}
		asked[q.Token] = true
		if a := e.Probe(ctx, q); a.Verdict() == rekey.Invalid {
			return true
		}
	}
	return false
}

// oldToken is the question about the token that the site would get back.
func (e *Engine) oldToken(op *operation, s *site) (Question, error) {
	q := Question{Config: s.Config, URL: op.target.URL}
	if op.rolls() {
		token, err := op.before()
		q.Token = token
		return q, err
	}
	r, _, err := op.lastEdit(s)
	if err != nil {
		return q, err
	}
	image, err := e.imageIn(op.journal, r)
	if err != nil {
		return q, err
	}
	was, err := configtoml.Parse(image)
	if err != nil {
		return q, err
	}
	old, _ := pair(was, op, s)
	if old < 0 {
		return q, op.changedSince(s)
	}
	section := was.Sections()[old]
	q.TLS, q.Token, q.SystemID = tlsOf(section), section.Token, e.Host.SystemID(s.Config)
	return q, nil
}

// undoRecord takes back what the operation did to records: its marker goes, and a
// record that it made is deleted unless somebody else came to use it. Text says
// what was done, or, with the error, what was not.
func (e *Engine) undoRecord(ctx context.Context, op *operation, again bool) (text string, err error) {
	gl, err := e.client(op)
	if op.maybePaused() && again {
		if err == nil {
			err = e.unpause(ctx, op, gl)
		}
		if err != nil {
			return fmt.Sprintf("; runner %d may still be paused: ", op.target.RunnerID), err
		}
	}
	switch {
	case op.tagged != nil && !op.done(rekey.StepSettle):
		if err == nil {
			_, _, err = e.restoreTags(ctx, op, gl)
		}
		if err != nil {
			return fmt.Sprintf("; runner %d still has the tag %s: ", op.runnerID(), op.id.Marker()), err
		}
	case op.unknown(rekey.StepCreate) && op.issued.Token.IsZero():
		if err == nil {
			err = e.removeOrphans(ctx, gl, op, 0)
		}
		if err != nil {
			return fmt.Sprintf("; a runner with the tag %s may be there: ", op.id.Marker()), err
		}
	case op.issued.ID != 0 && (op.created() || op.unknown(rekey.StepCreate)):
		if err == nil {
			err = e.deleteUnused(ctx, gl, op, again)
		}
		if rekey.KindOf(err) == rekey.KindConflict && err != nil { // for good: it has become somebody's
			return fmt.Sprintf("; runner %d, made by the repair, is still there (%v)", op.issued.ID, err), nil
		}
		if err != nil {
			return fmt.Sprintf("; runner %d, made by the repair, is still there: ", op.issued.ID), err
		}
		return fmt.Sprintf("; runner %d, made by the repair, was deleted", op.issued.ID), nil
	}
	if op.done(rekey.StepReset) || op.unknown(rekey.StepReset) || op.replaced {
		return "; the token that GitLab replaced stays refused: a reset cannot be taken back", nil
	}
	return "", nil
}

var errGivenUp = errors.New("the rotation is being given up, and the old record takes jobs again")

func (op *operation) maybePaused() bool { return op.overlaps() && op.last(rekey.StepPause) != nil }

// serveAgain has the old record of an overlap take jobs again before the config
// goes back to it: until then the new one serves.
func (e *Engine) serveAgain(ctx context.Context, op *operation, command string) error {
	if !op.maybePaused() || op.restored {
		return nil
	}
	gl, err := e.client(op)
	if err == nil {
		err = e.unpause(ctx, op, gl)
	}
	if err == nil { // should the config not follow, a resumption pauses it again
		op.idle = false
		err = op.journal.Fail(rekey.StepPause, errGivenUp)
		if err == nil && op.done(rekey.StepDrain) {
			err = op.journal.Fail(rekey.StepDrain, errGivenUp)
		}
		return err
	}
	hint := fmt.Sprintf("run `%s` again with a user token for %s, when it answers", command, op.target.GitLab)
	if more := rekey.HintOf(err); more != "" && !strings.Contains(more, command) {
		hint = fmt.Sprintf("%s; then run `%s` again", more, command)
	}
	return rekey.Errorf(rekey.KindOf(err), "%s stays as it is, and runner %d serves: runner %d is paused and could not be made to take jobs again: %w",
		op.target.Config, op.issued.ID, op.target.RunnerID, err).WithHint("%s", hint)
}

// unpause makes the old record of an overlap what it was; one that is gone is not
// paused.
func (e *Engine) unpause(ctx context.Context, op *operation, gl GitLab) error {
	a := op.target.Attributes
	_, err := gl.UpdateRunner(ctx, op.target.RunnerID, rekey.RunnerEdit{Paused: &a.Paused, Description: &a.Description})
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	return err
}

// deleteUnused deletes the record that the operation made. Again says that the
// config was put back in an earlier undo: somebody may have used it since.
func (e *Engine) deleteUnused(ctx context.Context, gl GitLab, op *operation, again bool) error {
	if op.rolls() {
		return e.deleteOfPods(ctx, gl, op)
	}
	if again && e.refersTo(op) {
		return rekey.Errorf(rekey.KindConflict, "%s has its token again", op.target.Config)
	}
	others, err := e.managersBeside(ctx, gl, op, op.issued.ID)
	switch {
	case err == nil && len(others) > 0 && op.target.Agents: // the agents that brought its token there take it away again
		err = rekey.Errorf(rekey.KindUnavailable, "%w", errServing("it is in use by "+strings.Join(others, ", ")+", which agents bring back (one that is gone counts as online for two hours)"))
	case err == nil && len(others) > 0:
		err = rekey.Errorf(rekey.KindConflict, "it is in use by %s", strings.Join(others, ", "))
	}
	if err == nil {
		err = e.idle(ctx, gl, op.issued.ID)
	}
	if err == nil {
		err = gl.DeleteRunner(ctx, op.issued.ID)
	}
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	return err
}

// errServing says that jobs run on a record that is to go.
type errServing string

func (e errServing) Error() string { return string(e) }

// idle fails while a job is known to run on a record that has served. Before 17.6
// GitLab does not say so of a record, and its jobs are those that the user may see.
func (e *Engine) idle(ctx context.Context, gl GitLab, id rekey.RunnerID) error {
	paused := true
	r, err := gl.UpdateRunner(ctx, id, rekey.RunnerEdit{Paused: &paused})
	if err != nil {
		return err
	}
	busy := r.Busy != nil && *r.Busy
	if r.Busy == nil {
		n, _, err := gl.RunningJobs(ctx, id)
		if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
			return err
		}
		busy = n > 0
	}
	if busy {
		return rekey.Errorf(rekey.KindUnavailable, "%w", errServing("a job runs on it; it is paused and gets no more"))
	}
	return nil
}

// refersTo reports whether the config has the operation's new token. Where the
// file cannot be read nobody can load it either.
func (e *Engine) refersTo(op *operation) bool {
	missing := errors.New("no such token")
	return e.look(op.target.Config, func(doc *configtoml.Document) error {
		if slices.ContainsFunc(doc.Sections(), func(s configtoml.Section) bool { return s.Token == op.issued.Token }) {
			return nil
		}
		return missing
	}) == nil
}
