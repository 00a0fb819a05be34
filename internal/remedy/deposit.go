package remedy

import (
	"context"
	"fmt"
	"time"

	"rekey"
)

// storeWait bounds how long a store that does not answer is asked again: after a
// reset every host that takes its token from there is refused meanwhile.
const storeWait = 30 * time.Second

// tryWait is as long for a store that was not written yet: nothing is refused meanwhile.
const tryWait = 10 * time.Second

// deposited is what the store step says in the journal: nothing of a value but its
// fingerprint. The value from before is sealed with the intent.
type deposited struct {
	Ref     string            `json:"ref"`
	Version string            `json:"version,omitempty"` // before in the intent, written in the outcome
	Held    rekey.Fingerprint `json:"held,omitempty"`    // before
	Token   rekey.Fingerprint `json:"token"`             // written
}

func (e *Engine) secret(op *operation) (Secret, error) {
	if e.Secrets == nil {
		return nil, rekey.Errorf(rekey.KindInternal, "%s cannot be reached from here", op.target.Store.Ref)
	}
	return e.Secrets(op.target.Store.Ref)
}

// expected reports whether a secret holds what it held when the plan was made, or
// the token that the section had then, which the try and agents put there.
func (op *operation) expected(h Held) bool {
	if h.Token.IsZero() {
		return op.target.Store.Holds == ""
	}
	print := h.Token.Fingerprint()
	return print == op.target.Store.Holds || print == op.target.Before
}

// secretUnmoved looks at the store before GitLab is asked for a token.
func (e *Engine) secretUnmoved(ctx context.Context, op *operation) error {
	if op.target.Store == nil {
		return nil
	}
	s, err := e.secret(op)
	if err != nil {
		return err
	}
	held, err := s.Held(ctx)
	if err == nil && !op.expected(held) {
		err = rekey.Errorf(rekey.KindConflict, "%s no longer holds what it held when the plan was made", op.target.Store.Ref).
			WithHint("somebody else writes it: see `rekey secret list %s --versions`, then run the command again for a new plan", op.target.Store.Ref)
	}
	return err
}

// try writes the secret once more as it is. A policy that forbids the write, a disk
// that is full and a store that is sealed show here, before GitLab is asked for a token;
// after a reset it would be too late. Where nothing is there, the good token of the
// section that is rotated goes in; that of a repair is refused already.
func (e *Engine) try(ctx context.Context, op *operation) (any, string, error) {
	s, err := e.secret(op)
	if err != nil {
		return nil, "", err
	}
	for p := e.patience(tryWait); ; {
		done, err := e.tryOnce(ctx, op, s)
		switch {
		case err == nil && done:
			return nil, fmt.Sprintf("%s can be written", op.target.Store.Ref), nil
		case err == nil:
			return nil, "", nil
		case rekey.KindOf(err) == rekey.KindUnavailable && p.wait(ctx):
			continue
		}
		return nil, "", fmt.Errorf("nothing is asked of GitLab while the store takes no write: %w", err)
	}
}

// tryOnce reports whether there was something to write.
func (e *Engine) tryOnce(ctx context.Context, op *operation, s Secret) (bool, error) {
	held, err := s.Held(ctx)
	if err != nil {
		return false, err
	}
	token := held.Token
	if token.IsZero() && len(op.target.Causes) == 0 && len(op.sites) > 0 && !op.rolls() {
		section, err := e.section(op, op.sites[0])
		if err != nil {
			return false, err
		}
		token = section.Token
	}
	if token.IsZero() {
		return false, nil
	}
	_, err = s.Put(ctx, held, token, About{})
	return err == nil, err
}

// deposit puts the token into the store. It looks first, always: what an earlier
// attempt wrote is there then, and nobody's write is overwritten unseen.
func (e *Engine) deposit(ctx context.Context, op *operation) (any, string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if err := e.usable(ctx, op); err != nil {
		return nil, "", err
	}
	s, err := e.secret(op)
	if err != nil {
		return nil, "", err
	}
	unclear := op.unknown(rekey.StepStore)
	for p := e.patience(storeWait); ; {
		version, text, err := e.depositOnce(ctx, op, s)
		switch kind := rekey.KindOf(err); {
		case err == nil:
			return deposited{Ref: op.target.Store.Ref, Version: version, Token: op.issued.Token.Fingerprint()}, text, nil
		case isStop(err):
			return nil, "", e.deliverFirst(op, err)
		case (kind == rekey.KindUnavailable || kind == rekey.KindConflict) && p.wait(ctx):
			continue
		}
		if unclear = unclear || rekey.KindOf(err) == rekey.KindUnavailable; unclear {
			err = errUnclear{err}
		}
		return nil, "", e.deliverFirst(op, err)
	}
}

// usable refuses a token that was given and that GitLab does not take.
func (e *Engine) usable(ctx context.Context, op *operation) error {
	if op.rolls() && op.given() {
		return e.notRefused(ctx, op)
	}
	return e.completeGiven(ctx, op)
}

func (e *Engine) depositOnce(ctx context.Context, op *operation, s Secret) (version, text string, err error) {
	ref := op.target.Store.Ref
	held, err := s.Held(ctx)
	switch {
	case err != nil:
		return "", "", err
	case held.Token == op.issued.Token:
		return held.Version, ref + " holds the new token", nil
	case !held.Token.IsZero() && !op.expected(held):
		if err := e.displaceable(ctx, op, held); err != nil {
			return "", "", err
		}
	}
	d := deposited{Ref: ref, Version: held.Version, Token: op.issued.Token.Fingerprint()}
	if !held.Token.IsZero() {
		d.Held = held.Token.Fingerprint()
	}
	if err := op.journal.Write(rekey.StepStore, rekey.PhaseIntent, d, []byte(held.Token.Reveal())); err != nil {
		return "", "", err
	}
	version, err = s.Put(ctx, held, op.issued.Token, e.about(op))
	return version, fmt.Sprintf("%s holds the new token (version %s)", ref, version), err
}

// about is what is kept beside the token.
func (e *Engine) about(op *operation) About {
	a := About{RunnerID: op.runnerID(), Owner: op.target.Store.Owner, RotatedAt: op.issued.ObtainedAt}
	if due, known := Due(op.issued.ObtainedAt, op.issued.ExpiresAt, e.Options.MaxAge, fmt.Sprintf("%s %d", op.url(), op.runnerID())); known {
		a.NextDue = due
	}
	return a
}

// displaceable decides about a value that somebody else wrote meanwhile. Only a token
// of the same record that GitLab refuses is written over: it is of no use to anybody.
func (e *Engine) displaceable(ctx context.Context, op *operation, held Held) error {
	says := "what GitLab says of it was not asked"
	if held.RunnerID != 0 && held.RunnerID == op.runnerID() {
		q := Question{Config: op.target.Config, URL: op.url(), Token: held.Token}
		if len(op.sites) > 0 {
			q.SystemID = e.Host.SystemID(op.sites[0].Config)
		}
		a := e.Probe(ctx, q)
		if a.Verdict() == rekey.Invalid {
			return nil
		}
		says = "GitLab's answer to it: " + string(a.Kind)
	}
	ref := op.target.Store.Ref
	next := fmt.Sprintf("see who writes it (`rekey secret list %s --versions`); `rekey secret rm %s`, then `rekey fix --resume` writes the new token", ref, ref)
	if !op.irrevocable() {
		next += "; `rekey fix --abort` leaves the store as it is"
	}
	return stop(next,
		"somebody else wrote %s meanwhile: it holds a token (%s) that is neither the one from before nor the new one (%s); %s", ref, held.Token, op.issued.Token, says)
}

// deliverFirst has the config served before the store where a reset, answered or not,
// left it with a dead token and the store cannot be written.
func (e *Engine) deliverFirst(op *operation, err error) error {
	if op.late || len(op.sites) == 0 || op.rolls() || !op.done(rekey.StepReset) && !op.replaced {
		return err
	}
	e.tell(op, rekey.StepStore, "", err)
	if err := op.journal.Write(rekey.StepStore, rekey.PhaseNote, "later: the config goes first", nil); err != nil {
		return err
	}
	op.late = true
	return errReplaced
}

// withdraw puts back what the store held before, where the token it holds now is to
// go. That of a reset stays: the one from before is dead.
func (e *Engine) withdraw(ctx context.Context, op *operation) (string, error) {
	if op.target.Store == nil || op.last(rekey.StepStore) == nil {
		return "", nil
	}
	ref := op.target.Store.Ref
	if op.done(rekey.StepReset) && !op.replaced {
		return fmt.Sprintf("; %s keeps the new token: the one from before is refused for ever", ref), nil
	}
	s, err := e.secret(op)
	if err != nil {
		return "", err
	}
	held, err := s.Held(ctx)
	if err != nil {
		return "", err
	}
	if held.Token != op.issued.Token {
		return fmt.Sprintf("; %s does not hold the new token, and was left as it is", ref), nil
	}
	before, err := op.storedBefore()
	if err != nil {
		return "", err
	}
	if before.IsZero() {
		return fmt.Sprintf("; %s is empty again, as it was", ref), s.Remove(ctx)
	}
	version, err := s.Put(ctx, held, before, About{RunnerID: op.target.RunnerID, RotatedAt: e.Clock.Now()})
	return fmt.Sprintf("; %s holds what it held before (version %s)", ref, version), err
}

// storedBefore is what stood in the store before the token was put there; the zero
// token for nothing.
func (op *operation) storedBefore() (rekey.Token, error) {
	records := op.journal.Records()
	for i := len(records) - 1; i >= 0; i-- {
		if r := records[i]; r.Step == rekey.StepStore && r.Phase == rekey.PhaseIntent {
			plain, err := op.journal.unseal(r)
			return rekey.NewToken(string(plain)), err
		}
	}
	return rekey.Token{}, nil
}
