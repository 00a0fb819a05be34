package remedy

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rekey"
)

// repairing returns the open operation that is about the target's section.
func repairing(open []*operation, t rekey.Target) *operation {
	for _, op := range open {
		if sameSection(op.target, t) {
			return op
		}
	}
	return nil
}

// sameSection reports whether a journalled target and one of now name the same
// section.
func sameSection(open, t rekey.Target) bool {
	return slices.ContainsFunc(placesOf(open), func(mine rekey.Place) bool {
		return slices.ContainsFunc(placesOf(t), func(p rekey.Place) bool { return samePlace(mine, p) })
	})
}

func samePlace(open, p rekey.Place) bool {
	return open.Config == absolute(p.Config) && open.Name == p.Name && (open.Index == p.Index || open.Before == p.Before && p.Before != "")
}

func placesOf(t rekey.Target) []rekey.Place {
	return append([]rekey.Place{{Config: t.Config, Index: t.Index, Name: t.Name, Before: t.Before}}, t.Also...)
}

func (op *operation) stillOpen(t rekey.Target) rekey.Result {
	return rekey.Result{Operation: op.id, Config: t.Config, Index: t.Index, Name: t.Name, RunnerID: op.runnerID(), Status: rekey.StatusOpen, Notes: t.Notes,
		Reason: fmt.Sprintf("an earlier repair of this section (%s) is not finished, and nothing new is begun before it is", op.id),
		Next:   fmt.Sprintf("run `rekey fix` to finish it, or `rekey fix --undo --run %s` to give it up", runOf(op.id))}
}

// absolute is how journals name a config: the next run may start elsewhere.
func absolute(path string) string {
	if strings.Contains(path, "://") {
		return path // of another host
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// result closes a finished operation and says how the target ended.
func (e *Engine) result(op *operation, err error) rekey.Result {
	r := rekey.Result{Operation: op.id, Config: op.target.Config, Index: op.target.Index, Name: op.target.Name,
		RunnerID: op.runnerID(), Proof: op.proof, Notes: slices.Clone(op.target.Notes)}
	if len(op.missed()) > 0 {
		r.Notes = append(r.Notes, op.settledText())
	}
	if err == nil {
		r.Status = statusOf(op.proof.Level)
		err = op.journal.Write(rekey.StepEnd, rekey.PhaseOutcome, resultFacts{Status: r.Status, RunnerID: r.RunnerID, Proof: r.Proof}, nil)
	}
	if err == nil && !r.Proof.Level.AtLeast(e.Options.Proof) {
		r.Next = fmt.Sprintf("the proof asked for (%s) was not reached: `rekey doctor` and `rekey runner show %d` tell more later", e.Options.Proof, r.RunnerID)
	}
	if err != nil {
		r.Status, r.Reason, r.Next = rekey.StatusOpen, err.Error(), nextOf(err)
		if op.nothingDone() || isFinal(err) {
			r.Status = rekey.StatusFailed
			e.abandon(op, &r)
			return r
		}
		r.Next = op.onward(r.Next)
	}
	return r
}

// onward adds to what is to be done about a failure what goes on from there, and
// what serves until then.
func (op *operation) onward(next string) string {
	parts := []string{next}
	if !strings.Contains(next, "`rekey fix") && !strings.Contains(next, "`rekey rotate`") {
		parts = append(parts, "`rekey fix --resume` goes on from here")
	}
	if op.overlaps() {
		parts = append(parts, "until then "+op.serving())
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// serving says which record of an overlap takes jobs.
func (op *operation) serving() string {
	if op.rolls() {
		return op.podsServing()
	}
	switch before, after := op.target.RunnerID, op.issued.ID; {
	case after == 0 || !op.done(rekey.StepSettle):
		return fmt.Sprintf("runner %d serves as before", before)
	case op.done(rekey.StepSwap):
		return fmt.Sprintf("runner %d serves, and runner %d, out of use, waits to be deleted", after, before)
	case op.done(rekey.StepPause):
		return fmt.Sprintf("runner %d serves, and jobs that run on runner %d, paused, go on", after, before)
	default:
		return fmt.Sprintf("runners %d and %d both serve", before, after)
	}
}

func statusOf(level rekey.ProofLevel) rekey.Status {
	switch level {
	case rekey.ProofJob:
		return rekey.StatusFixed
	case rekey.ProofOnline, rekey.ProofVerified:
		return rekey.StatusVerified
	}
	return rekey.StatusDelivered
}

// abandon ends an operation that changed nothing: there is nothing to resume.
func (e *Engine) abandon(op *operation, r *rekey.Result) {
	if err := op.journal.Write(rekey.StepEnd, rekey.PhaseOutcome, resultFacts{Status: r.Status}, nil); err != nil {
		r.Reason += "; " + err.Error()
	}
}

// nothingDone reports whether no step that changes anything was begun, or each
// that was has failed for certain. A token that somebody gave, perhaps once, is
// kept for the next run.
func (op *operation) nothingDone() bool {
	if op.given() && !op.issued.Token.IsZero() {
		return false
	}
	for _, s := range []rekey.StepKind{rekey.StepCreate, rekey.StepReset, rekey.StepStore, rekey.StepDeliver, rekey.StepAssign, rekey.StepPause, rekey.StepSwap} {
		if op.done(s) || op.unknown(s) {
			return false
		}
	}
	return !op.replaced
}

func isStop(err error) bool {
	var s errStop
	return errors.As(err, &s)
}

func isFinal(err error) bool {
	var f errFinal
	return errors.As(err, &f)
}

func nextOf(err error) string {
	var s errStop
	if errors.As(err, &s) {
		return s.next
	}
	return rekey.HintOf(err)
}
