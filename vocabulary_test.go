package rekey_test

import (
	"testing"

	"rekey"
)

func TestOnlyTwoAnswersSpeakOfTheToken(t *testing.T) {
	t.Parallel()
	want := map[rekey.AnswerKind]rekey.Verdict{rekey.AnswerAccepted: rekey.Valid, rekey.AnswerRefused: rekey.Invalid}
	for _, kind := range []rekey.AnswerKind{
		"", rekey.AnswerAccepted, rekey.AnswerRefused, rekey.AnswerReadOnly, rekey.AnswerOrphaned, rekey.AnswerRateLimited, rekey.AnswerRedirected,
		rekey.AnswerNotFound, rekey.AnswerUnreachable, rekey.AnswerUnexpected, rekey.AnswerBadURL, rekey.AnswerNotAsked,
	} {
		verdict, ok := want[kind]
		if !ok {
			verdict = rekey.Unknown
		}
		if got := (rekey.Answer{Kind: kind, Status: 403}).Verdict(); got != verdict {
			t.Errorf("answer %q: verdict %s, want %s", kind, got, verdict)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, scope := range []rekey.Scope{rekey.ScopeInstance, rekey.ScopeGroup, rekey.ScopeProject} {
		for _, text := range []string{string(scope), scope.RunnerType()} {
			if got, err := rekey.ParseScope(text); err != nil || got != scope {
				t.Errorf("ParseScope(%q) = %q, %v; want %q", text, got, err, scope)
			}
		}
	}
	for _, text := range []string{"", "_type", "Project", "projects"} {
		if got, err := rekey.ParseScope(text); rekey.KindOf(err) != rekey.KindInvalid || err == nil {
			t.Errorf("ParseScope(%q) = %q, %v; want an invalid error", text, got, err)
		}
	}
}

func TestSeverities(t *testing.T) {
	t.Parallel()
	order := []rekey.Severity{rekey.Info, rekey.Warning, rekey.Failing}
	for i, s := range order {
		if got, err := rekey.ParseSeverity(string(s)); err != nil || got != s {
			t.Errorf("ParseSeverity(%q) = %q, %v", s, got, err)
		}
		for j, other := range order {
			if got := s.AtLeast(other); got != (i >= j) {
				t.Errorf("%s at least %s: %v, want %v", s, other, got, i >= j)
			}
		}
	}
	if _, err := rekey.ParseSeverity("fatal"); rekey.KindOf(err) != rekey.KindInvalid || err == nil {
		t.Errorf("ParseSeverity(fatal): %v, want an invalid error", err)
	}
}
