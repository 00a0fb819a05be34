package controller

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
)

// TestPatienceCountsOnlyWaiting: time in which nobody waits for GitLab is not its
// silence, time in which several wait counts once, and an answer starts it anew.
func TestPatienceCountsOnlyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &Observer{Now: time.Now, Patience: 30 * time.Second}
		s := o.newServer(t.Context(), "https://gitlab.example.com")
		defer s.finish(nil)
		wait := func(d time.Duration) {
			t.Helper()
			_, stop := s.patient(s.ctx)
			_ = o.wait(t.Context(), d)
			stop()
		}
		_ = o.wait(t.Context(), 10*time.Minute) // our own pace
		wait(20 * time.Second)
		_ = o.wait(t.Context(), 10*time.Minute)
		if err := s.ctx.Err(); err != nil {
			t.Fatalf("after 20 s of silence and 20 min of our own pace: %v, want patience", err)
		}
		s.heard(rekey.Answer{Kind: rekey.AnswerAccepted})
		_, stop := s.patient(s.ctx)
		wait(20 * time.Second)
		stop()
		if err := s.ctx.Err(); err != nil {
			t.Fatalf("after 20 s of silence for two: %v, want patience", err)
		}
		began := time.Now()
		ctx, stop := s.patient(s.ctx)
		<-ctx.Done()
		stop()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("the last wait took %s, want the 10 s that were left", took)
		}
		if s.ctx.Err() == nil {
			t.Error("GitLab was not given up after 30 s of silence")
		}
	})
}

// TestWhyAQuestionWasCutOff tells an interrupt from a GitLab that was given up.
func TestWhyAQuestionWasCutOff(t *testing.T) {
	t.Parallel()
	o := &Observer{Now: time.Now}
	cut := rekey.Answer{Kind: rekey.AnswerUnreachable, Message: "interrupted"}
	good := rekey.Answer{Kind: rekey.AnswerRefused}

	ctx, interrupt := context.WithCancel(t.Context())
	s := o.newServer(ctx, "https://h")
	interrupt()
	if a := s.ended(ctx, cut); a.Kind != rekey.AnswerNotAsked || a.Message != "interrupted" {
		t.Errorf("interrupted: %+v, want not asked", a)
	}
	if a := s.ended(ctx, good); a != good {
		t.Errorf("an answer that came before the interrupt: %+v, want it kept", a)
	}
	s = o.newServer(t.Context(), "https://h")
	s.quit(s.givenUp())
	if a := s.ended(t.Context(), cut); a.Kind != rekey.AnswerUnreachable || a.Message == "interrupted" {
		t.Errorf("given up: %+v, want unreachable, and no word of an interrupt", a)
	}
}
