package controller

import (
	"context"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/remedy"
)

// TestFreshTokenIsAskedAboutAgain holds the bound of the repetition: only a token
// younger than a minute by the server's Date, and no longer than three seconds.
func TestFreshTokenIsAskedAboutAgain(t *testing.T) {
	t.Parallel()
	date := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	refused := rekey.Answer{Kind: rekey.AnswerRefused, ServerTime: date, At: date}
	accepted := rekey.Answer{Kind: rekey.AnswerAccepted, ServerTime: date, At: date}
	undated := rekey.Answer{Kind: rekey.AnswerRefused, At: date}
	down := rekey.Answer{Kind: rekey.AnswerUnreachable, At: date}
	for name, tc := range map[string]struct {
		age     time.Duration // 0: the file has no date
		answers []rekey.Answer
		want    rekey.AnswerKind
		asked   int
		waited  time.Duration
		earlier bool
	}{
		"accepted at once":        {10 * time.Second, []rekey.Answer{accepted}, rekey.AnswerAccepted, 1, 0, false},
		"accepted the third time": {10 * time.Second, []rekey.Answer{refused, refused, accepted}, rekey.AnswerAccepted, 3, 1500 * time.Millisecond, true},
		"never accepted":          {10 * time.Second, []rekey.Answer{refused}, rekey.AnswerRefused, 4, 3 * time.Second, false},
		"no answer afterwards":    {10 * time.Second, []rekey.Answer{refused, down}, rekey.AnswerRefused, 4, 3 * time.Second, false},
		"ahead by a little":       {-3 * time.Second, []rekey.Answer{refused, accepted}, rekey.AnswerAccepted, 2, 500 * time.Millisecond, true},
		"ahead by hours":          {-3 * time.Hour, []rekey.Answer{refused, accepted}, rekey.AnswerRefused, 1, 0, false},
		"a minute old":            {time.Minute, []rekey.Answer{refused, accepted}, rekey.AnswerRefused, 1, 0, false},
		"of unknown age":          {0, []rekey.Answer{refused, accepted}, rekey.AnswerRefused, 1, 0, false},
		"no Date":                 {10 * time.Second, []rekey.Answer{undated, accepted}, rekey.AnswerRefused, 1, 0, false},
		"unreachable first":       {10 * time.Second, []rekey.Answer{down, accepted}, rekey.AnswerUnreachable, 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, waited := 0, time.Duration(0)
			o := Observer{
				Now: func() time.Time { return date },
				Ask: func(context.Context, remedy.Question) rekey.Answer {
					asked++
					return tc.answers[min(asked, len(tc.answers))-1]
				},
				Wait: func(_ context.Context, d time.Duration) error { waited += d; return nil },
			}
			s := diagnose.Section{}
			if tc.age != 0 {
				s.ObtainedAt = date.Add(-tc.age)
			}
			got := o.answer(t.Context(), o.newServer(t.Context(), "https://gitlab.example.com"), &s, "https://gitlab.example.com", rekey.NewToken("glrt-CANARYaaaaaaaaaaaaaa"))
			if got.Kind != tc.want || asked != tc.asked || waited != tc.waited {
				t.Errorf("got %s after %d questions and %s, want %s after %d and %s", got.Kind, asked, waited, tc.want, tc.asked, tc.waited)
			}
			if (s.Earlier.Kind != "") != tc.earlier {
				t.Errorf("earlier answer: got %q, want one: %v", s.Earlier.Kind, tc.earlier)
			}
		})
	}
}

func TestRepetitionIsBoundedForAFleet(t *testing.T) {
	t.Parallel()
	o := Observer{Now: func() time.Time { return time.Time{} }}
	srv, allowed := o.newServer(t.Context(), "https://gitlab.example.com"), 0
	for range 1000 {
		if srv.mayRepeat() {
			allowed++
		}
	}
	if allowed != mostAgain {
		t.Errorf("got %d tokens asked about again, want %d", allowed, mostAgain)
	}
}
