package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey"
)

// Aborted says how the repairs that earlier runs left open were given up.
type Aborted struct {
	Undone []Undone
	// Finished are those that could not be taken back: GitLab had replaced the
	// section's token already, so that the way back would leave a record whose token
	// nobody holds. They were brought to their end instead.
	Finished []rekey.Result
}

// Abort gives up what earlier runs left open, the last one first: a config is put
// back where it still holds what was written, a record that was made is deleted
// once no config refers to it and nobody else uses it. A reset cannot be taken
// back: its token goes where it belongs. An operation that fails stays open, the
// others go on.
func (e *Engine) Abort(ctx context.Context) (Aborted, error) {
	ops, err := e.unfinished(func(op *operation) bool { return !op.ended })
	defer closeAll(ops)
	if err != nil {
		return Aborted{}, err
	}
	if len(ops) == 0 {
		return Aborted{}, e.nothingOpen("abort")
	}
	var done Aborted
	var forward []*operation
	var failed error
	for _, op := range slices.Backward(ops) {
		if op.irrevocable() || e.noWayBack(ctx, op) {
			forward = append(forward, op)
			continue
		}
		u := e.giveUp(ctx, op)
		done.Undone = append(done.Undone, u)
		failed = errors.Join(failed, u.Err)
	}
	slices.Reverse(forward)
	done.Finished = e.finish(ctx, forward)
	return done, failed
}

// ResumeOpen is Resume for somebody who asked for it: nothing open is an error.
func (e *Engine) ResumeOpen(ctx context.Context) ([]rekey.Result, error) {
	open, err := e.Unfinished()
	if err != nil {
		return nil, err
	}
	if len(open) == 0 {
		return nil, e.nothingOpen("resume")
	}
	return e.Resume(ctx)
}

func (e *Engine) nothingOpen(verb string) error {
	return rekey.Errorf(rekey.KindNotFound, "there is nothing to %s in %s: no repair is unfinished", verb, e.Store.dir).
		WithHint("`rekey journal list` shows what was done; `rekey fix --undo` puts a finished repair back; journals elsewhere are named with --state-dir")
}

// irrevocable reports whether GitLab has replaced the token of the section's
// record and the new one is at hand: from there the only way that leaves no
// record without a holder leads forward. An undo that has put the config back
// was the operator's own word, and stays.
func (op *operation) irrevocable() bool {
	if op.retired() {
		return true
	}
	reset := op.replaced || op.done(rekey.StepReset) || op.unknown(rekey.StepReset)
	return reset && !op.issued.Token.IsZero() && !op.restored
}

// finish brings operations to their end without waiting for anything: one look
// for the manager, no canary.
func (e *Engine) finish(ctx context.Context, ops []*operation) []rekey.Result {
	if len(ops) == 0 {
		return nil
	}
	options := e.Options
	defer func() { e.Options = options }()
	e.Options.Canaries, e.Options.ProofWait, e.Options.DrainTimeout = nil, time.Nanosecond, time.Nanosecond
	results := e.run(ctx, ops)
	for i, op := range ops {
		why := "a reset cannot be taken back: its token was brought into the section instead"
		if op.overlaps() {
			why = fmt.Sprintf("there is no way back to runner %d: the new token was brought into its place instead", op.target.RunnerID)
		}
		results[i].Notes = append(results[i].Notes, why)
	}
	return results
}

// giveUp takes one operation back as far as that can be done.
func (e *Engine) giveUp(ctx context.Context, op *operation) Undone {
	u := Undone{Operation: op.id, Config: op.target.Config}
	again := op.restored
	if u.Err = e.serveAgain(ctx, op, "rekey fix --abort"); u.Err != nil {
		return u
	}
	if u.Text, u.Err = e.undoConfig(ctx, op); u.Err != nil {
		return u
	}
	more, err := e.undoRecord(ctx, op, again)
	u.Text += more + op.remains()
	if err != nil {
		u.Err = rekey.Errorf(rekey.KindOf(err), "%s%w", u.Text, err).
			WithHint("%s", repeated(op, "rekey fix --abort", err))
		return u
	}
	u.Err = op.journal.Write(rekey.StepEnd, rekey.PhaseOutcome, resultFacts{Status: rekey.StatusFailed, Undone: true}, nil)
	return u
}

// remains says what stays behind that giving up cannot change.
func (op *operation) remains() string {
	switch {
	case op.target.Remedy == rekey.RemedyAssign && (op.done(rekey.StepAssign) || op.unknown(rekey.StepAssign)):
		return fmt.Sprintf("; runner %d may be assigned to %s: take that back in GitLab if it is not wanted", op.target.RunnerID, op.target.AssignTo)
	case op.given() && !op.issued.Token.IsZero():
		return "; the token that was given is not used: it stays sealed in the journal, and whoever made its record decides what becomes of that"
	case (op.unknown(rekey.StepReset) || op.replaced) && op.issued.Token.IsZero():
		return fmt.Sprintf("; whether runner %d got a new token is unknown, and nobody holds it if so: `rekey fix` gives the section one", op.target.RunnerID)
	}
	return ""
}
