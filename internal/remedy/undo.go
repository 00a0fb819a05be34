package remedy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// Undone says what was put back for one operation.
type Undone struct {
	Operation rekey.Operation
	Config    string
	Text      string
	Err       error
}

// Undo puts the configs back as they were before a run ("" is the last that
// edited one or is open), last edit first, and gives up what of it is open. A
// record that the run created is deleted once the config does not refer to it and
// nobody else uses it; a token that was reset stays reset, and Undo says so: a section
// that was rotated so keeps its new token, since the old one is dead. What cannot be taken back from GitLab now is an error behind the others' undoing:
// Undo is then repeated, and does not touch that config again.
func (e *Engine) Undo(ctx context.Context, run string) ([]Undone, error) {
	ops, err := e.edits(run)
	defer closeAll(ops)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return nil, rekey.Errorf(rekey.KindNotFound, "there is no edit to undo in %s", e.Store.dir).
			WithHint("an edit is undone once, and a rotation not any more once its old record is deleted; its run is named with --run, and journals elsewhere with --state-dir")
	}
	var done []Undone
	var later error
	for _, op := range slices.Backward(ops) {
		if op.replacedGood() || e.noWayBack(ctx, op) {
			err := op.keepsNew()
			done, later = append(done, Undone{op.id, op.target.Config, "", err}), errors.Join(later, err)
			continue
		}
		again := op.restored
		err := e.serveAgain(ctx, op, "rekey fix --undo --run "+runOf(op.id))
		var text string
		if err == nil {
			text, err = e.undoConfig(ctx, op)
		}
		if err == nil {
			var more string
			more, err = e.undoRecord(ctx, op, again)
			text += more
			if err != nil {
				err = atGitLab(op, text, err)
				later = errors.Join(later, err)
			}
		}
		done = append(done, Undone{op.id, op.target.Config, text, err})
		switch {
		case err == nil:
			err = op.journal.Write(rekey.StepEnd, rekey.PhaseOutcome, resultFacts{Status: rekey.StatusFailed, Undone: true}, nil)
		case op.restored:
			continue
		}
		if err != nil {
			return done, errors.Join(err, later)
		}
	}
	return done, later
}

// replacedGood reports whether the operation is a rotation by reset from which there is
// no way back: the old token would lock the runner out.
func (op *operation) replacedGood() bool {
	return op.target.Remedy == rekey.RemedyReset && len(op.target.Causes) == 0 && op.irrevocable()
}

func (op *operation) keepsNew() error {
	next := "where the new token is not wanted, `rekey rotate` makes another one"
	if !op.ended {
		next = "`rekey fix --resume` brings the new token to where it belongs"
	}
	was := "its token was good until GitLab replaced it, and is refused since"
	if op.overlaps() {
		was = fmt.Sprintf("the token of runner %d, which it had, is refused by now", op.target.RunnerID)
	}
	return rekey.Errorf(rekey.KindConflict, "section %q of %s is not put back: %s", op.target.Name, op.target.Config, was).
		WithHint("%s", next)
}

// atGitLab says what of an undo is left to do.
func atGitLab(op *operation, text string, err error) error {
	return rekey.Errorf(rekey.KindOf(err), "%s%w", text, err).WithHint("%s", repeated(op, "rekey fix --undo --run "+runOf(op.id), err))
}

// repeated is the next step where GitLab, or a job there, kept err from being nil:
// the same command again, once that is out of the way.
func repeated(op *operation, command string, err error) string {
	hint := rekey.HintOf(err)
	switch again := fmt.Sprintf("run `%s` again", command); {
	case errors.As(err, new(errServing)):
		return again + " when no job runs on it any more: the config is not touched again"
	case strings.Contains(hint, command):
		return hint
	case hint != "":
		return fmt.Sprintf("%s; then %s: the config is not touched again", hint, again)
	default:
		return fmt.Sprintf("%s with a user token for %s, when it answers: the config is not touched again", again, op.target.GitLab)
	}
}

// edits returns the operations of a run that edited a config, or are open, and
// were not undone, in the order in which they were done.
func (e *Engine) edits(run string) ([]*operation, error) {
	ids, err := e.Store.List()
	if err != nil {
		return nil, err
	}
	var ops []*operation
	for _, id := range slices.Backward(ids) {
		if run != "" && runOf(id) != run {
			continue
		}
		j, err := e.Store.Open(id)
		if err != nil {
			return ops, err
		}
		op, err := e.replay(j)
		if err == nil && op.later {
			err = rekey.Errorf(rekey.KindConflict, "run %s is of a later rekey: this one does not know the remedy %q", runOf(id), op.target.Remedy).
				WithHint("undo it with that rekey, or name an earlier run with --run")
		}
		if err != nil || op.undone() || !op.edited() && (op.ended || op.nothingDone()) || op.retired() {
			_ = j.Close()
			if err != nil {
				return ops, err
			}
			continue
		}
		run, ops = runOf(id), append(ops, op)
	}
	slices.SortFunc(ops, func(a, b *operation) int {
		return cmp.Or(a.deliveredAt().Compare(b.deliveredAt()), cmp.Compare(numberOf(a.id), numberOf(b.id)))
	})
	return ops, nil
}

func numberOf(id rekey.Operation) int {
	_, text, _ := strings.Cut(string(id), "-")
	n, _ := strconv.Atoi(text)
	return n
}

func runOf(id rekey.Operation) string {
	run, _, _ := strings.Cut(string(id), "-")
	return run
}

func (op *operation) deliveredAt() time.Time {
	if r := op.last(rekey.StepDeliver); r != nil {
		return r.At
	}
	return time.Time{}
}

func (op *operation) undone() bool {
	last := op.last(rekey.StepEnd)
	return last != nil && strings.Contains(string(last.Data), `"undone":true`)
}

// Prune removes the journals of runs all of whose operations ended longer than
// keep ago, and with them what is sealed in them; what Prunable holds back stays.
func (e *Engine) Prune(keep time.Duration) (removed int, err error) {
	all, err := e.Store.Summaries()
	if err != nil {
		return 0, err
	}
	gone, _ := Prunable(all, e.Clock.Now(), keep)
	var ids []rekey.Operation
	for _, s := range gone {
		ids = append(ids, s.Operation)
	}
	return e.Store.Remove(ids)
}
