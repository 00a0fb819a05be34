package controller

import (
	"context"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

const (
	fresh     = time.Minute     // how young a token is whose refusal may pass
	clockSlip = 5 * time.Second // by which token_obtained_at may be ahead of the server
	mostAgain = 16              // tokens of one GitLab that are asked about again
)

// pauses between the questions about a fresh token; together three seconds.
var pauses = []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond}

// again asks anew about a fresh token that was refused: a GitLab of several nodes
// may not know it everywhere yet. ok is true when it was accepted then; else the
// refusal stands.
func (o *Observer) again(ctx context.Context, srv *server, s *diagnose.Section, refusal rekey.Answer, ask func() rekey.Answer) (accepted rekey.Answer, ok bool) {
	if refusal.Kind != rekey.AnswerRefused || s.ObtainedAt.IsZero() || refusal.ServerTime.IsZero() {
		return accepted, false
	}
	if age := refusal.ServerTime.Sub(s.ObtainedAt); age < -clockSlip || age >= fresh || !srv.mayRepeat() {
		return accepted, false
	}
	for _, pause := range pauses {
		if o.wait(ctx, pause) != nil {
			return accepted, false
		}
		if a := ask(); a.Kind == rekey.AnswerAccepted {
			return a, true
		}
	}
	return accepted, false
}

// mayRepeat counts: a fleet that was just broken is not worth three questions for
// each of its thousands of sections.
func (s *server) mayRepeat() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeated++
	return s.repeated <= mostAgain
}

func (o *Observer) wait(ctx context.Context, d time.Duration) error {
	if o.Wait != nil {
		return o.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
