package rekey_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rekey"
)

const twenty = "CANARY-Aa0_Bb1-Cc2_D"

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		kind     rekey.TokenKind
		sendable bool
		scope    rekey.Scope
	}{
		{"", rekey.TokenEmpty, false, ""},
		{"glrt-" + twenty, rekey.TokenRunner, true, ""},
		{"glrt-t1_" + twenty, rekey.TokenRunner, true, rekey.ScopeInstance},
		{"glrt-t2_" + twenty, rekey.TokenRunner, true, rekey.ScopeGroup},
		{"glrt-t3_" + twenty, rekey.TokenRunner, true, rekey.ScopeProject},
		{"glrt-t4_" + twenty, rekey.TokenRunner, true, ""},
		{"acme-glrt-" + twenty, rekey.TokenRunner, true, ""},
		{"acme-corp.eu_1-glrt-t3_" + twenty, rekey.TokenRunner, true, rekey.ScopeProject},
		{"glrtr-" + twenty, rekey.TokenRunnerLegacy, true, ""},
		{"glrtr-t2_" + twenty, rekey.TokenRunnerLegacy, true, rekey.ScopeGroup},
		{"t3_" + twenty, rekey.TokenRunnerLegacy, true, rekey.ScopeProject},
		{twenty, rekey.TokenRunnerLegacy, true, ""},
		{"t1_" + twenty[:17], rekey.TokenRunnerLegacy, true, ""}, // 20 characters that begin like a hint
		{"CANARY", rekey.TokenUnknown, true, ""},
		{"glrt_CANARY", rekey.TokenUnknown, true, ""},
		{strings.Repeat("CANARY", 80), rekey.TokenUnknown, true, ""}, // never judged by length
		{"GR1348941" + twenty, rekey.TokenRegistration, false, ""},
		{"glpat-" + twenty, rekey.TokenPersonal, false, ""},
		{"acme-glpat-" + twenty, rekey.TokenPersonal, false, ""},
		{"gldt-" + twenty, rekey.TokenDeploy, false, ""},
		{"glcbt-64_" + twenty, rekey.TokenJob, false, ""},
		{"glptt-" + twenty, rekey.TokenTrigger, false, ""},
		{"glrct-" + twenty, rekey.TokenOther, false, ""},
		{"glagent-" + twenty, rekey.TokenOther, false, ""},
		{"${CANARY_TOKEN}", rekey.TokenReference, false, ""},
		{"glrt-$CANARY", rekey.TokenReference, false, ""},
		{"glrt-CANARY$1", rekey.TokenMalformed, false, ""},
	} {
		got := rekey.NewToken(c.text).Lexical()
		if got.Kind != c.kind || got.Sendable != c.sendable || got.Scope != c.scope {
			t.Errorf("%q: kind %s, sendable %v, scope %q; want %s, %v, %q", c.text, got.Kind, got.Sendable, got.Scope, c.kind, c.sendable, c.scope)
		}
		if refused := len(got.Problems) > 0 || len(got.References) > 0; refused == got.Sendable {
			t.Errorf("%q: sendable %v with problems %v and references %v", c.text, got.Sendable, got.Problems, got.References)
		}
	}
}

func TestIllegalCharactersAreNamedAndNeverSent(t *testing.T) {
	t.Parallel()
	for code, texts := range map[string][]string{
		"newline":         {"glrt-CANARY\n", "glrt-CAN\nARY"},
		"carriage-return": {"glrt-CANARY\r"},
		"whitespace":      {" glrt-CANARY", "glrt-CANARY\t"},
		"quotes":          {`"glrt-CANARY"`, "'glrt-CANARY'", "`glrt-CANARY`"},
		"smart-quotes":    {"“glrt-CANARY”", "‘glrt-CANARY’"},
		"nbsp":            {"glrt-CANARY\u00a0"},
		"zero-width":      {"glrt-\u200bCANARY"},
		"bom":             {"\ufeffglrt-CANARY"},
		"placeholder":     {"<CANARY>"},
		"template":        {"{{ CANARY }}", "%{CANARY}", "${CANARY:-x}"},
		"masked":          {"glrt-****"},
		"encoding":        {"glrt-CANARY\xff"},
		"character":       {"glrt-CANARY=", "vault://CANARY", "glrt-CANARÝ"},
	} {
		for _, text := range texts {
			got := rekey.NewToken(text).Lexical()
			named := slices.ContainsFunc(got.Problems, func(p rekey.Problem) bool { return p.Code == code })
			if got.Sendable || got.Kind != rekey.TokenMalformed || !named {
				t.Errorf("%q: kind %s, sendable %v, problems %v; want malformed with %q", text, got.Kind, got.Sendable, got.Problems, code)
			}
			for _, p := range got.Problems {
				if strings.Contains(p.Text, "CANARY") {
					t.Errorf("%q: problem %q quotes the token", text, p.Text)
				}
			}
		}
	}
}

// TestEveryByteOutsideTheAlphabetIsRefused puts each byte into a whole token.
func TestEveryByteOutsideTheAlphabetIsRefused(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	for b := range 256 {
		got := rekey.NewToken("glrt-CANARYCANARY" + string([]byte{byte(b)}) + "1CANARY").Lexical()
		if want := strings.IndexByte(alphabet, byte(b)) >= 0; got.Sendable != want {
			t.Errorf("byte %#02x: sendable %v, want %v", b, got.Sendable, want)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	got := rekey.References("${CANARY_A}-$CANARY_B.$1$$${}")
	if want := []string{"CANARY_A", "CANARY_B"}; !slices.Equal(got, want) {
		t.Errorf("References = %q, want %q", got, want)
	}
}

func TestSuspicions(t *testing.T) {
	t.Parallel()
	for code, texts := range map[string][]string{
		"placeholder": {
			"glrt-xxxxxxxxxxxxxxxxxxxx", "XXXX", "glrt-...", "glrt-t1_xxxxxxxxxxxxxxxxxxxx", "glrt-ab1xxxxxxxxxxxx", "00000000000000000000",
			"YOUR_TOKEN_HERE", "your-runner-token", "yourtoken", "changeme", "CHANGE_ME", "REPLACE_ME", "REPLACE_ONCE_GENERATED", "TODO",
			"glrt-my-auth-token", "my-registration-token", "very-secret", "RunnerToken1", "__GITLAB_RUNNER_TOKEN__", "__REPLACED_BY_USER_DATA__",
			"__GITLAB_REGISTRATION_TOKEN_FROM_SSM__", "your-acme-prod-token", "acme-glrt-insert_token_here", "REDACTED",
		},
		"repeated":  {"glrt-" + twenty + "glrt-" + twenty, "glrt-glrt-" + twenty, "glrtr-glrt-t1_" + twenty, "acme-glrt-acme-glrt-" + twenty},
		"truncated": {"glrt-", "glrt-CANARY", "glrt-" + twenty[:19], "glrt-t1_" + twenty[:18], "acme-glrt-CANARY", "glrtr-CANARY", "t2_CANARY"},
		"":          {"glrt-" + twenty, "acme.corp-glrt-" + twenty, "CANARY", "CANARY.1", "glrt-t1_" + twenty[:17], "thetokensofCANARYme", "toke"},
	} {
		for _, text := range texts {
			got := ""
			if s := rekey.NewToken(text).Lexical().Suspicion; s != nil {
				got = s.Code
			}
			if got != code {
				t.Errorf("%q: suspicion %q, want %q", text, got, code)
			}
		}
	}
}

// TestRandomTokensAreAboveSuspicion draws tokens of every shape that GitLab
// issues, with the seed fixed so that a failure can be repeated.
func TestRandomTokensAreAboveSuspicion(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	random := rand.New(rand.NewPCG(1, 2))
	body := make([]byte, 20)
	for range 2_000 {
		for i := range body {
			body[i] = alphabet[random.IntN(len(alphabet))]
		}
		for prefix, scope := range map[string]rekey.Scope{
			"": "", "t1_": "instance", "glrt-": "", "glrt-t2_": "group", "glrtr-": "", "glrtr-t3_": "project", "acme-glrt-": "", "a.b-c-glrt-t1_": "instance",
		} {
			got := rekey.NewToken(prefix + string(body)).Lexical()
			if !got.Sendable || got.Suspicion != nil || got.Scope != scope || got.Kind != rekey.TokenRunner && got.Kind != rekey.TokenRunnerLegacy {
				t.Fatalf("%q: %+v", prefix+string(body), got)
			}
		}
	}
}

func FuzzLexical(f *testing.F) {
	for _, seed := range []string{"", "glrt-" + twenty, "glrt-CANARY.01.0a1234567", "${A}", "\xff", ".01.", "glrt-.010000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token := rekey.NewToken(text)
		got := token.Lexical()
		if got.Sendable && (text == "" || strings.ContainsAny(text, " \t\r\n\"'${}<>\x00")) {
			t.Errorf("%q is sendable", text)
		}
		if !got.Sendable && len(got.Problems) == 0 && len(got.References) == 0 {
			t.Errorf("%q is refused without a reason", text)
		}
		if clean, mended := token.Cleaned(); mended && !clean.Lexical().Sendable {
			t.Errorf("%q was mended to %q, which is not sendable", text, clean.Reveal())
		}
	})
}
