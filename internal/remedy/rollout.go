package remedy

import (
	"context"
	"fmt"
	"time"

	"rekey"
)

// createForPods makes the record, once it is known that its token could be given to
// the pods.
func (e *Engine) createForPods(ctx context.Context, op *operation) (any, string, error) {
	if !op.unknown(rekey.StepCreate) {
		w, err := e.workload(ctx, op)
		if err != nil {
			return nil, "", err
		}
		held, err := w.Held(ctx)
		if err != nil {
			return nil, "", err
		}
		if held.Fingerprint() != op.sites[0].Before {
			return nil, "", op.tokenMoved()
		}
		if err := w.Check(ctx); err != nil {
			return nil, "", err
		}
	}
	return e.create(ctx, op)
}

func (op *operation) tokenMoved() error {
	return stop("run `rekey doctor --host "+op.target.Host+"` to see what changed; a token already received stays sealed in the journal",
		"%s no longer holds the token that it held when the plan was made", op.target.Config)
}

// giveToPods puts the new token where the pods take theirs from. The old one is
// sealed first: an undo puts it back. An attempt whose end is not known is looked
// after, not repeated.
func (e *Engine) giveToPods(ctx context.Context, op *operation) (any, string, error) {
	w, err := e.workload(ctx, op)
	if err != nil {
		return nil, "", err
	}
	held, err := w.Held(ctx)
	switch {
	case err != nil:
		return nil, "", err
	case held == op.issued.Token && op.edited():
		return op.sites[0].delivered, op.target.Config + " holds the new token already", nil
	case held == op.issued.Token:
		return e.broughtToPods(op)
	case held.Fingerprint() != op.sites[0].Before:
		return nil, "", op.tokenMoved()
	case op.given():
		if err := e.notRefused(ctx, op); err != nil {
			return nil, "", err
		}
	}
	d := &delivery{Path: op.target.Config, RunnerID: op.issued.ID, NewToken: op.issued.Token.Fingerprint(), OldToken: op.sites[0].Before}
	if err := op.journal.Write(rekey.StepDeliver, rekey.PhaseIntent, d, []byte(held.Reveal())); err != nil {
		return nil, "", err
	}
	op.sites[0].delivered = d
	if d.How, err = w.Give(ctx, held, op.issued.Token); err != nil {
		now, lookErr := w.Held(context.WithoutCancel(ctx))
		switch {
		case lookErr != nil:
			return nil, "", errUnclear{err}
		case now != op.issued.Token:
			return nil, "", err
		}
		d.How = "its answer was lost, and it is there"
	}
	return d, fmt.Sprintf("%s holds the new token (%s)", op.target.Config, d.How), nil
}

// broughtToPods is a delivery that whatever keeps the Secret in step with the store has
// made. What was there before is what the store held, or nobody knows it.
func (e *Engine) broughtToPods(op *operation) (any, string, error) {
	old, err := op.storedBefore()
	if err != nil {
		return nil, "", err
	}
	if old.IsZero() || old.Fingerprint() != op.sites[0].Before {
		return nil, "", op.tokenMoved()
	}
	d := &delivery{Path: op.target.Config, RunnerID: op.issued.ID, NewToken: op.issued.Token.Fingerprint(), OldToken: op.sites[0].Before, How: "out of the store, by what keeps it in step"}
	if err := op.journal.Write(rekey.StepDeliver, rekey.PhaseIntent, d, []byte(old.Reveal())); err != nil {
		return nil, "", err
	}
	op.sites[0].delivered = d
	return d, fmt.Sprintf("%s holds the new token (%s)", op.target.Config, d.How), nil
}

// rolloutWait is how long new pods are waited for.
const rolloutWait = 10 * time.Minute

// rollOut has the pods made anew and waits until the new ones are ready. A wait that
// is over leaves the step unknown: the next run goes on with the same rollout.
func (e *Engine) rollOut(ctx context.Context, op *operation) (any, string, error) {
	w, err := e.workload(ctx, op)
	if err != nil {
		return nil, "", err
	}
	mark := op.mark()
	if err := op.journal.Write(rekey.StepReload, rekey.PhaseIntent, mark, nil); err != nil {
		return nil, "", err
	}
	how, err := w.Roll(ctx, mark)
	if err != nil {
		if rekey.KindOf(err) == rekey.KindUnavailable { // it may have been begun
			err = errUnclear{err}
		}
		return nil, "", err
	}
	e.tell(op, rekey.StepReload, how+"; waiting for the new pods", nil)
	now, err := e.awaitPods(ctx, op, w, mark)
	if err != nil {
		return nil, "", errUnclear{err}
	}
	return mark, fmt.Sprintf("%s: %s", how, now), nil
}

// awaitPods waits until the rollout's pods are ready, bounded.
func (e *Engine) awaitPods(ctx context.Context, op *operation, w Workload, mark string) (Rolled, error) {
	limit := orDefault(e.Options.RolloutWait, rolloutWait)
	for p := e.patience(limit); ; {
		now, err := w.Rolled(ctx, mark)
		if err == nil && now.Ready >= now.Wanted {
			return now, nil
		}
		if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
			return now, err
		}
		if p.wait(ctx) {
			continue
		}
		switch {
		case ctx.Err() != nil:
			return now, stop("run `rekey rotate` again: it goes on waiting", "interrupted while the new pods of %s come up", op.target.Host)
		case err != nil:
			return now, err
		}
		return now, stop(fmt.Sprintf("see `kubectl rollout status` and `kubectl describe pods`, then run `rekey rotate` again: it goes on from here; `rekey fix --undo --run %s` takes all of it back", runOf(op.id)),
			"after %s the new pods of %s are not ready: %s. Both tokens are good, and runner %d stays as it is", limit, op.target.Host, now, op.target.RunnerID)
	}
}

// provePods gathers what speaks for the new record: a canary job, pods that ask with
// its token, GitLab's word. Only pods of this release can have the token of a record
// that was just made.
func (e *Engine) provePods(ctx context.Context, op *operation) (any, string, error) {
	proof := rekey.Proof{Level: rekey.ProofNone, Missing: "no job was asked for"}
	gl, err := e.client(op)
	known := op.issued.ID != 0 // of a token that was given its record is not
	if err != nil && known {
		return nil, "", err
	}
	if !known {
		proof.Missing = "a token that was given does not tell its record: neither a job nor a pod was looked for"
	}
	if known && e.seeks(rekey.ProofJob) {
		e.canary(ctx, op, gl, &proof)
	}
	if known && proof.Level != rekey.ProofJob {
		if err := e.awaitPodsSeen(ctx, op, gl, &proof); err != nil {
			return nil, "", err
		}
	}
	if proof.Level == rekey.ProofNone {
		if err := e.verifyToken(ctx, op, &proof); err != nil {
			return nil, "", err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, "", stop("run `rekey rotate` again: it resumes", "interrupted during the proof")
	case op.overlaps() && op.unproved != "":
		return nil, "", stop(fmt.Sprintf("see to the canary, then run `rekey rotate` again; or `rekey fix --undo --run %s` puts the old token back", runOf(op.id)),
			"the new record is not proved, and runner %d stays as it is: %s", op.target.RunnerID, op.unproved)
	}
	op.proof = proof
	return proof, proofText(op, proof), nil
}

// awaitPodsSeen waits until a manager was seen on the record.
func (e *Engine) awaitPodsSeen(ctx context.Context, op *operation, gl GitLab, p *rekey.Proof) error {
	for wait := e.patience(orDefault(e.Options.ProofWait, 30*time.Second)); ; {
		seen, _, last, err := podsSeen(ctx, gl, op.issued.ID)
		if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
			return err
		}
		if seen > 0 {
			raise(p, rekey.ProofOnline, last, "", "%d managers were seen on runner %d", seen, op.issued.ID)
			return nil
		}
		if !wait.wait(ctx) {
			p.Missing = fmt.Sprintf("not seen yet: no pod has asked runner %d for a job (%s)", op.issued.ID, p.Missing)
			return nil
		}
	}
}

// podsSeen counts the managers that have asked with a record's token. all is false
// where GitLab names none (before 17.1): a contact of the record is then one.
func podsSeen(ctx context.Context, gl GitLab, id rekey.RunnerID) (seen int, all bool, last time.Time, err error) {
	managers, known, err := gl.Managers(ctx, id)
	if err != nil {
		return 0, known, last, err
	}
	if !known {
		r, err := gl.Runner(ctx, id)
		if err != nil || r.ContactedAt.IsZero() {
			return 0, false, last, err
		}
		return 1, false, r.ContactedAt, nil
	}
	for _, m := range managers {
		if !asked(&m) {
			continue
		}
		if seen++; m.ContactedAt.After(last) {
			last = m.ContactedAt
		}
	}
	return seen, true, last, nil
}

// verifyToken asks GitLab about the new token, where that can be asked without a
// system id.
func (e *Engine) verifyToken(ctx context.Context, op *operation, p *rekey.Proof) error {
	var a rekey.Answer
	q := Question{Config: op.target.Config, URL: op.target.URL, Token: op.issued.Token}
	for range 5 {
		if a = e.Probe(ctx, q); a.Kind != rekey.AnswerRefused {
			break
		}
		if err := e.Clock.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	switch a.Kind {
	case rekey.AnswerAccepted:
		raise(p, rekey.ProofVerified, a.At, a.Request, "GitLab accepts the token (%s)", op.issued.Token)
	case rekey.AnswerRefused:
		return rekey.Errorf(rekey.KindDenied, "GitLab refuses the token that the pods were given (%s)", a.Request).
			WithHint("run `rekey rotate` again: it resumes with the proof; `rekey fix --undo --run %s` puts the old token back", runOf(op.id))
	}
	return nil
}

// notRefused asks about a token that was given before the pods get it.
func (e *Engine) notRefused(ctx context.Context, op *operation) error {
	a := e.Probe(ctx, Question{Config: op.target.Config, URL: op.target.URL, Token: op.issued.Token})
	switch {
	case a.Verdict() == rekey.Invalid:
		return errFinal{rekey.Errorf(rekey.KindDenied, "%s refuses the token that was given (%s)", op.target.URL, op.issued.Token).
			WithHint("have a colleague make a runner in the page of that GitLab, and give its glrt- token")}
	case a.Verdict() == rekey.Unknown && a.Kind != rekey.AnswerNotAsked:
		return rekey.Errorf(rekey.KindUnavailable, "whether %s accepts the token that was given is unknown: %s", op.target.URL, a.Message).
			WithHint("run `rekey fix` again when that GitLab answers: the token is sealed in the journal")
	}
	return nil
}
