package diagnose_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// TestAFieldForRegistrationTokens holds what is told of tokens that a Helm release
// or an operator's runner has in the field for registration tokens.
func TestAFieldForRegistrationTokens(t *testing.T) {
	t.Parallel()
	holds := func(token string) edit {
		return func(s *diagnose.Section) {
			s.Token, s.LegacyField = rekey.NewToken(token), "key runner-registration-token of Secret ci/runner"
		}
	}
	unasked := func(s *diagnose.Section) { s.Answer = rekey.Answer{Kind: rekey.AnswerNotAsked} }
	for name, tc := range map[string]struct {
		edits []edit
		want  string
	}{
		"a runner token":                    {[]edit{holds("glrt-CANARY0123456789abcd")}, lines("valid", "runner-token-in-legacy-field warning certain")},
		"a runner token that is gone":       {[]edit{holds("glrt-CANARY0123456789abcd"), answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, lines("invalid", "record-deleted error likely", "runner-token-in-legacy-field warning certain", "wrong-instance info possible")},
		"a registration token":              {[]edit{holds("GR1348941CANARY0123456789"), unasked}, lines("invalid", "registration-token-in-config error certain")},
		"one from before they had a prefix": {[]edit{holds("CANARY0123456789abcd"), unasked}, lines("unknown", "registration-token-in-config error likely")},
		"nothing":                           {[]edit{holds(""), unasked}, lines("invalid", "malformed-token error certain")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := brief(judgeOne(t, facts(section(tc.edits...)))); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestWhatIsReadAtTheStartOnly(t *testing.T) {
	t.Parallel()
	started := now.Add(-time.Hour)
	for name, tc := range map[string]struct {
		changed time.Time
		edits   []edit
		want    string
	}{
		"changed since":              {changed: now.Add(-time.Minute), want: lines("valid", "reload-missed warning possible")},
		"changed before":             {changed: started.Add(-time.Minute), want: "valid"},
		"when is unknown":            {want: "valid"},
		"changed since, and refused": {changed: now, edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, want: lines("invalid", "record-deleted error likely", "wrong-instance info possible")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			path := f.Configs[0].Path
			f.Configs[0].File = diagnose.File{Path: path, AtStart: true, ChangedAt: tc.changed}
			f.Processes = []diagnose.Process{{Name: "gitlab-runner in pod ci-1", Config: path, From: "default", Started: started, Uses: []string{path}}}
			if got := brief(judgeOne(t, f)); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestATokenOfNoFileIsChangedAtItsSource(t *testing.T) {
	t.Parallel()
	f := facts(section(answered(rekey.AnswerRefused), looked(diagnose.LookupGone)))
	for _, synthetic := range []bool{false, true} {
		f.Configs[0].File.Synthetic = synthetic
		got := judgeOne(t, f).Findings[0]
		if says := strings.Contains(got.Remedy, "never in a pod"); says != synthetic || !strings.Contains(got.Remedy, "rekey fix") {
			t.Errorf("synthetic %v: the remedy is %q", synthetic, got.Remedy)
		}
	}
}

func TestAPodThatRotatedKeepsTheTokenToItself(t *testing.T) {
	t.Parallel()
	f := facts(section(answered(rekey.AnswerRefused), looked(diagnose.LookupFound)))
	f.Configs[0].File.Synthetic = true
	f.Logs = []diagnose.LogLine{{Log: "kubectl logs ci-1", Number: 10, ID: "reset-succeeded", Count: 1, Runner: short, Text: "Resetting runner authentication token... succeeded"}}
	if got, want := brief(judgeOne(t, f)), lines("invalid", "rotation-not-saved error likely < rotated-elsewhere"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
