package remedy

import (
	"context"
	"fmt"
	"time"

	"rekey"
)

// handOverPods makes sure that each new pod works with the new record before the old
// one is paused: a kubelet may have made one of what it remembered of the Secret.
func (e *Engine) handOverPods(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if err := e.equal(ctx, op, gl); err != nil {
		return nil, "", err
	}
	w, err := e.workload(ctx, op)
	if err != nil {
		return nil, "", err
	}
	for p := e.patience(orDefault(e.Options.ProofWait, 30*time.Second)); ; {
		now, err := w.Rolled(ctx, op.mark())
		if err == nil && now.Wanted == 0 {
			return nil, "no pod is wanted: nobody has to be seen on the new record", nil
		}
		seen, all := 0, true
		if err == nil {
			seen, all, _, err = podsSeen(ctx, gl, op.issued.ID)
		}
		if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
			return nil, "", err
		}
		if err == nil && now.Ready >= now.Wanted && (seen >= now.Wanted || seen > 0 && !all) {
			return nil, fmt.Sprintf("the new pods ask runner %d for jobs", op.issued.ID), nil
		}
		if p.wait(ctx) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		return nil, "", rekey.Errorf(rekey.KindConflict, "%d of %d new pods were seen on runner %d, and %d are ready: runner %d stays as it is", seen, now.Wanted, op.issued.ID, now.Ready, op.target.RunnerID).
			WithHint("read `kubectl logs` of the new pods; one that was made of the old Secret is made anew when it is deleted; then run `rekey rotate` again: it goes on from here; `rekey fix --undo --run %s` puts the old token back", runOf(op.id))
	}
}

// drainPods waits until the pods with the old token have ended their jobs and are
// gone, and GitLab says that no job runs on the old record.
func (e *Engine) drainPods(ctx context.Context, op *operation) (any, string, error) {
	w, err := e.workload(ctx, op)
	if err != nil {
		return nil, "", err
	}
	limit := orDefault(e.Options.DrainTimeout, time.Hour)
	for p, told := e.patience(limit), false; ; {
		now, err := w.Rolled(ctx, op.mark())
		if err == nil && now.Others == 0 {
			break
		}
		if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
			return nil, "", err
		}
		if err == nil && !told {
			told = true
			e.tell(op, rekey.StepDrain, fmt.Sprintf("%d old pods end their jobs; waiting for them, %s at most", now.Others, limit), nil)
		}
		if p.wait(ctx) {
			continue
		}
		switch {
		case ctx.Err() != nil:
			return nil, "", interrupted(rekey.StepDrain)
		case err != nil:
			return nil, "", err
		case e.WaitOn != nil && e.WaitOn(op.target, limit):
			p = e.patience(limit)
			continue
		}
		return nil, "", stop("run `rekey rotate` again: it goes on waiting, and retires the record once they are gone",
			"%d old pods of %s are still there after %s; runner %d is paused and runner %d serves", now.Others, op.target.Host, limit, op.target.RunnerID, op.issued.ID)
	}
	_, text, err := e.drain(ctx, op)
	return nil, "the old pods are gone; " + text, err
}

// retireForPods deletes the old record once nothing can ask with its token any more:
// the Secret still has the new one, no old pod is left, and no job runs.
func (e *Engine) retireForPods(ctx context.Context, op *operation) (any, string, error) {
	w, err := e.workload(ctx, op)
	if err != nil {
		return nil, "", err
	}
	held, err := w.Held(ctx)
	if err != nil {
		return nil, "", err
	}
	if held != op.issued.Token {
		gone := rekey.Errorf(rekey.KindConflict, "somebody wrote %s after the new token was put there, and it is gone", op.target.Config).
			WithHint("find out what writes the Secret (Helm, Argo CD, an operator for secrets), then run `rekey rotate` again: both tokens are good and sealed")
		if held.Fingerprint() == op.sites[0].Before { // it is given anew, and the pods are made anew
			return nil, "", joined(joined(gone, op.journal.Fail(rekey.StepDeliver, gone)), op.journal.Fail(rekey.StepReload, gone))
		}
		return nil, "", gone
	}
	if _, _, err := e.drainPods(ctx, op); err != nil {
		return nil, "", err
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	op.idle = false
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

// ungive puts the old token back where the pods take theirs from, and has them made
// anew.
func (e *Engine) ungive(ctx context.Context, op *operation) (string, error) {
	if !op.edited() {
		return fmt.Sprintf("%s: had not been changed yet; its rotation is given up", op.target.Config), nil
	}
	w, err := e.workload(ctx, op)
	if err != nil {
		return "", err
	}
	old, err := op.before()
	if err != nil {
		return "", err
	}
	held, err := w.Held(ctx)
	switch {
	case err != nil:
		return "", err
	case held == op.issued.Token && held != old:
		if _, err := w.Give(ctx, held, old); err != nil {
			return "", err
		}
	case held != old:
		return "", op.changedSince(op.sites[0])
	}
	if op.last(rekey.StepReload) == nil {
		return fmt.Sprintf("%s: the old token is back; no pod had the new one", op.target.Config), nil
	}
	if !op.overlaps() {
		return fmt.Sprintf("%s: the old token is back; it was refused, so no pod is made anew with it", op.target.Config), nil
	}
	how, err := w.Roll(ctx, op.undoMark())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: the old token is back; %s", op.target.Config, how), nil
}

func (op *operation) undoMark() string { return string(op.id) + ".undo" }

// before is the token that the pods had, as the journal has it sealed.
func (op *operation) before() (rekey.Token, error) {
	for _, r := range op.journal.Records() {
		if r.Step == rekey.StepDeliver && r.Phase == rekey.PhaseIntent {
			text, err := op.journal.unseal(r)
			return rekey.NewToken(string(text)), err
		}
	}
	return rekey.Token{}, rekey.Errorf(rekey.KindInternal, "journal %s holds no token of before", op.id)
}

// left fails while a pod may still use the record that is to be deleted by an undo.
func (e *Engine) left(ctx context.Context, op *operation) error {
	if op.last(rekey.StepReload) == nil || !op.overlaps() {
		return nil
	}
	w, err := e.workload(ctx, op)
	if err != nil {
		return err
	}
	mark := op.undoMark()
	if _, err := e.awaitPods(ctx, op, w, mark); err != nil {
		return err
	}
	for p := e.patience(orDefault(e.Options.RolloutWait, rolloutWait)); ; {
		now, err := w.Rolled(ctx, mark)
		switch {
		case err != nil:
			return err
		case now.Others == 0:
			return nil
		}
		if !p.wait(ctx) {
			return rekey.Errorf(rekey.KindUnavailable, "%w", errServing(fmt.Sprintf("%d pods that use it still end their jobs", now.Others)))
		}
	}
}

// deleteOfPods deletes the record that the operation made, once no pod is left that
// has its token.
func (e *Engine) deleteOfPods(ctx context.Context, gl GitLab, op *operation) error {
	err := e.left(ctx, op)
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
