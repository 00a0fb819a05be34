package rekey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"text/template"

	"rekey"
)

const secret = "glrt-t1_CANARY-Aa0_Bb1-Cc2_Dd3"

// holder keeps a token where fmt can reach it by reflection only.
type holder struct {
	Shown  rekey.Token
	hidden rekey.Token
	Inside []map[rekey.Token]*rekey.Token
	any    any
}

func holding(t rekey.Token) holder {
	return holder{t, t, []map[rekey.Token]*rekey.Token{{t: &t}}, t}
}

// assertNoLeak fails where text holds the secret, or any 8 bytes of it, raw, in
// hex, base64 or URL encoding.
func assertNoLeak(t *testing.T, path, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for i := 0; i+8 <= len(secret); i++ {
		piece := secret[i : i+8]
		for _, form := range []string{piece, url.QueryEscape(piece), fmt.Sprintf("%x", piece), fmt.Sprintf("% x", piece)} {
			if strings.Contains(lower, strings.ToLower(form)) {
				t.Fatalf("%s shows %q of the token: %s", path, form, text)
			}
		}
	}
	if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret))[:20]) {
		t.Fatalf("%s shows the token in base64: %s", path, text)
	}
}

func TestTokenIsNotFormatted(t *testing.T) {
	t.Parallel()
	token := rekey.NewToken(secret)
	values := map[string]any{
		"token": token, "pointer": &token, "struct": holding(token), "struct pointer": new(holding(token)),
		"slice": []rekey.Token{token}, "array": [1]rekey.Token{token}, "any": []any{token},
		"map key": map[rekey.Token]int{token: 1}, "map value": map[string]rekey.Token{"k": token},
		"issued": rekey.Issued{ID: 1, Token: token}, "error": rekey.Errorf(rekey.KindDenied, "refused %v %v", token, holding(token)),
		"wrapped": fmt.Errorf("attempt: %w", errors.Join(fmt.Errorf("with %+v", token))),
	}
	for name, value := range values {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3", "+#", "#40.60"} {
			for verb := '!'; verb <= '~'; verb++ {
				if strings.ContainsRune("+-# 0123456789.*[%", verb) {
					continue
				}
				format := "%" + flags + string(verb)
				assertNoLeak(t, name+" "+format, fmt.Sprintf(format, value))
			}
		}
		assertNoLeak(t, name+" Sprint", fmt.Sprint(value)+fmt.Sprintln(value))
	}
}

func TestEveryVerbShowsKindAndFingerprint(t *testing.T) {
	t.Parallel()
	token := rekey.NewToken(secret)
	want := "runner:" + string(token.Fingerprint())
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(format, token); got != want {
			t.Errorf("%s = %q, want %q", format, got, want)
		}
	}
}

func TestTokenIsNotMarshalled(t *testing.T) {
	t.Parallel()
	token := rekey.NewToken(secret)
	got, err := json.Marshal(map[string]any{"a": token, "b": holding(token).Shown, "c": map[rekey.Token]int{token: 1}, "d": &token})
	if err != nil {
		t.Fatalf("json: %v", err)
	}
	assertNoLeak(t, "json", string(got))
	shape := fmt.Sprintf(`{"kind":"runner","fingerprint":"%s"}`, token.Fingerprint())
	if !strings.Contains(string(got), `"a":`+shape) {
		t.Errorf("json = %s, want the token as %s", got, shape)
	}
	text, err := token.MarshalText()
	assertNoLeak(t, "text", fmt.Sprint(string(text), err))
	asXML, err := xml.Marshal(struct{ Token rekey.Token }{token})
	assertNoLeak(t, "xml", fmt.Sprint(string(asXML), err))
	var page bytes.Buffer
	err = template.Must(template.New("").Parse(`{{.}} {{.Shown}} {{printf "%v %q" .Shown .Shown}}`)).Execute(&page, holding(token))
	assertNoLeak(t, "template", fmt.Sprint(page.String(), err))
}

func TestTokenIsNotLogged(t *testing.T) {
	t.Parallel()
	token := rekey.NewToken(secret)
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler).With("with", token)
		log.Info("message", "token", token, "pointer", &token, "struct", holding(token), "slice", []rekey.Token{token},
			"map", map[string]any{"k": token}, slog.Group("group", "token", token), "error", fmt.Errorf("with %v", holding(token)))
	}
	assertNoLeak(t, "slog", out.String())
	if want := "token=runner:" + string(token.Fingerprint()); !strings.Contains(out.String(), want) {
		t.Errorf("log = %s, want %q in it", out.String(), want)
	}
}

func TestTokenIsNotInAPanic(t *testing.T) {
	t.Parallel()
	defer func() { assertNoLeak(t, "panic", fmt.Sprint(recover())) }()
	panic(holding(rekey.NewToken(secret)))
}

func TestTokenIdentity(t *testing.T) {
	t.Parallel()
	a, b := rekey.NewToken(secret), rekey.NewToken(strings.Clone(secret))
	if a != b || a.Fingerprint() != b.Fingerprint() || a.Reveal() != secret {
		t.Errorf("two tokens of one text: equal %v, fingerprints %q %q, revealed unchanged %v", a == b, a.Fingerprint(), b.Fingerprint(), a.Reveal() == secret)
	}
	if other := rekey.NewToken(secret + " "); a == other || a.Fingerprint() == other.Fingerprint() {
		t.Error("a token with a trailing space equals the one without")
	}
	if len(a.Fingerprint()) != 12 {
		t.Errorf("fingerprint %q has %d digits, want 12", a.Fingerprint(), len(a.Fingerprint()))
	}
	var zero rekey.Token
	if empty := rekey.NewToken(""); empty != zero || !empty.IsZero() || zero.Reveal() != "" || zero.Fingerprint() != "" || zero.String() != "empty" {
		t.Errorf("the empty token: equal to zero %v, IsZero %v, String %q", empty == zero, empty.IsZero(), zero)
	}
}

func TestCleaned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		mended     bool
	}{
		{secret, secret, false},
		{secret + "\n", secret, true},
		{"\ufeff" + secret + "\r\n", secret, true},
		{"“" + secret + "”", secret, true},
		{"\u00a0'" + secret + "'\u200b\v", secret, true},
		{secret[:12] + " " + secret[12:], secret[:12] + " " + secret[12:], false},
		{" glpat-CANARYCANARYCANARY12 ", "glpat-CANARYCANARYCANARY12", false},
		{" \n", "", false},
		{"", "", false},
	} {
		got, mended := rekey.NewToken(c.text).Cleaned()
		if got.Reveal() != c.want || mended != c.mended {
			t.Errorf("Cleaned(%q) = %q, %v; want %q, %v", c.text, got.Reveal(), mended, c.want, c.mended)
		}
	}
}
