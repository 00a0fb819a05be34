package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"rekey"
)

// shapes are all of GitLab's, the secret part carrying the canary.
var shapes = []string{
	"GR1348941CANARYaaaaaaaaaaaaaa",
	"glrt-CANARYbbbbbbbbbbbbbb",
	"glrt-t1_CANARYcccccccccccccc",
	"glrt-t3_CANARYdddddddddddddd",
	"glrt-t2_CANARYpayloadpayloadpayload.1k0abcdef",
	"glrt-CANARYpayloadpayloadpayload-_x.01.1k0abcdef",
	"acme-glrt-CANARYeeeeeeeeeeeeee",
	"acme.corp-ci-glrt-CANARYffffffffffffff.01.121abcdef",
	"glrtr-CANARYgggggggggggggg",
	"glrtr-t2_CANARYhhhhhhhhhhhhhh",
	"t1_CANARYiiiiiiiiiiiiii",
	"glcbt-64_CANARYjjjjjjjjjjjjjj",
	"64_CANARYkkkkkkkkkkkkkk",
	"glcbt-eyJhbGciOiJSUzI1NiJ9.eyJDQU5BUlkiOjF9.CANARYsignature",
	"eyJhbGciOiJSUzI1NiIsIn.eyJDQU5BUlkiOjF9.CANARYsignature",
	"glpat-CANARYllllllllllllll",
	"glpat-CANARYpayloadpayload.01.0z1abcdef",
	"gldt-CANARYmmmmmmmmmmmmmm",
	"glptt-CANARYnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
	"glrct-CANARYoooooooooooooo",
	"gloas-CANARYpppppppppppppp",
	"AGE-SECRET-KEY-1CANARYQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
	"AGE-SECRET-KEY-PQ-1CANARYQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
}

func TestEveryShapeIsScrubbedWhole(t *testing.T) {
	t.Parallel()
	surroundings := []string{"%s", "token = \"%s\"", "a %s b", "\\n%s\\n", "https://h/?token=%s&x=1", "tokens: %[1]s,%[1]s %[1]s"}
	for _, secret := range shapes {
		for _, around := range surroundings {
			got := Scrub(fmt.Sprintf(around, secret))
			if strings.Contains(got, "CANARY") || strings.Contains(got, "abcdef") {
				t.Errorf("Scrub(%q in %q) = %q, want no part of the token", secret, around, got)
			}
			if !strings.Contains(got, "…redacted]") {
				t.Errorf("Scrub(%q in %q) = %q, want the mark", secret, around, got)
			}
			if again := Scrub(got); again != got {
				t.Errorf("scrubbing twice: got %q, want %q", again, got)
			}
		}
	}
}

func TestKindIsShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"glrt-CANARYbbbbbbbbbbbbbb.":    "[runner …redacted].",
		"x glrtr-CANARYbbbbbbbbbbbbbb":  "x [runner-legacy …redacted]",
		"GR1348941CANARYaaaaaaaaaaaaaa": "[registration …redacted]",
		"glpat-CANARYllllllllllllll":    "[personal-access …redacted]",
	} {
		if got := Scrub(text); got != want {
			t.Errorf("Scrub(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestBase64OfATokenIsScrubbed(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"glrt-CANARYbbbbbbbbbbbbbb", "glrtr-CANARYbbbbbbbbbbbbb", "glpat-CANARYbbbbbbbbbbbbbb", "GR1348941CANARYaaaaaaaaaaaaaa"} {
		text := "token: " + base64.StdEncoding.EncodeToString([]byte(secret))
		if got, want := Scrub(text), "token: [base64 …redacted]"; got != want {
			t.Errorf("Scrub(base64 of %s) = %q, want %q", secret, got, want)
		}
	}
}

func TestOrdinaryTextStays(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "glrt-", "a glrt- token, not a glpat- one", "runner:4f1c2d3e4a5b",
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"4f1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293",
		"550e8400-e29b-41d4-a716-446655440000",
		"https://gitlab.example.com:8443/group/sub-group/project/-/jobs/123",
		"runner-7_x.prod-eu.internal.example.com", "s_4f1c2d3e4a5b", "r_XyZ123abcDEF",
		"x86_64_bit_little_endian_machine", "64_bit_little_endian_x", "linux/amd64 gitlab-runner 17.11.0 (0f67ff19)",
		"2026-01-02T03:04:05.678Z level=INFO msg=\"section checked\"",
		"AGE-SECRET-KEY", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "GR1348941",
		"VGhpcyBpcyBhbiBvcmRpbmFyeSB0ZXh0IGluIGJhc2U2NC4=", "[runner …redacted]", "größer als 20 Zeichen, ja",
	} {
		if got := Scrub(text); got != text {
			t.Errorf("Scrub(%q) = %q, want it untouched", text, got)
		}
		if got := string(ScrubBytes([]byte(text))); got != text {
			t.Errorf("ScrubBytes(%q) = %q, want it untouched", text, got)
		}
	}
}

func TestExactSecretsInEveryForm(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"CANARYlegacy-_0123456", `CANARY "quoted"/+&<é`} {
		s := NewScrubber(rekey.NewToken(secret))
		quoted, _ := json.Marshal(secret)
		written := map[string]string{
			"raw": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
			"json": string(quoted), "go": fmt.Sprintf("%q", secret), "hex": hex.EncodeToString([]byte(secret)),
			"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64 url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
			"base64 inside 1": base64.StdEncoding.EncodeToString([]byte("u" + secret + "\nx")),
			"base64 inside 2": base64.StdEncoding.EncodeToString([]byte("me" + secret)),
		}
		for form, text := range written {
			got := s.Scrub("before " + text + " after")
			if !strings.Contains(got, "…redacted]") || strings.Contains(got, text) {
				t.Errorf("Scrub of %q as %s = %q, want it gone", secret, form, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("Scrub of %q as %s = %q, want the neighbours kept", secret, form, got)
			}
		}
	}
}

func TestScrubberIgnoresEmptyAndShort(t *testing.T) {
	t.Parallel()
	s := NewScrubber(rekey.Token{}, rekey.NewToken("abc"))
	if got, want := s.Scrub("abc and more of abc"), "abc and more of abc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var none *Scrubber
	if got, want := none.Scrub("x glrt-CANARYbbbbbbbbbbbbbb"), "x [runner …redacted]"; got != want {
		t.Errorf("nil Scrubber: got %q, want %q", got, want)
	}
}

type leaky struct{ Name, Secret string }

type resolver struct{ text string }

func (r resolver) LogValue() slog.Value { return slog.StringValue(r.text) }

func TestHandlerScrubsEverything(t *testing.T) {
	t.Parallel()
	const shaped, legacy = "glrt-CANARYbbbbbbbbbbbbbb", "CANARYlegacy01234567"
	for name, makeHandler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(NewHandler(makeHandler(&out), NewScrubber(rekey.NewToken(legacy))))
		for _, secret := range []string{shaped, legacy} {
			log := log.With("with", secret).WithGroup("group").With("inner", secret)
			log.Info("message "+secret, "text", secret, "error", fmt.Errorf("wrapped: %w", errors.New(secret)),
				"any", leaky{"n", secret}, "pointer", &leaky{"n", secret}, "map", map[string]string{"k": secret},
				"bytes", []byte(secret), "list", []any{secret}, "valuer", resolver{secret},
				slog.Group("sub", "deep", secret, slog.Group("deeper", "x", secret)), secret, "key", "count", 7)
		}
		if strings.Contains(out.String(), "CANARY") {
			t.Errorf("%s handler leaked: %s", name, out.String())
		}
		if !strings.Contains(out.String(), "wrapped: [runner …redacted]") || !strings.Contains(out.String(), "7") {
			t.Errorf("%s handler lost ordinary text: %s", name, out.String())
		}
	}
}

func TestWriterFindsTokensAcrossWrites(t *testing.T) {
	t.Parallel()
	const text = "a glrt-CANARYpayloadpayloadpayload.01.1k0abcdef b CANARYlegacy01234567 c\nend"
	const want = "a [runner …redacted] b [runner-legacy …redacted] c\nend"
	for step := 1; step < len(text); step++ {
		var out bytes.Buffer
		w := NewWriter(&out, NewScrubber(rekey.NewToken("CANARYlegacy01234567")))
		for rest := text; rest != ""; {
			n := min(step, len(rest))
			if written, err := w.Write([]byte(rest[:n])); err != nil || written != n {
				t.Fatalf("Write = %d, %v, want %d, nil", written, err, n)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Fatalf("in steps of %d: got %q, want %q", step, out.String(), want)
		}
	}
}

func FuzzScrubIsStable(f *testing.F) {
	for _, s := range shapes {
		f.Add(s + " " + s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := Scrub(text)
		if again := Scrub(once); again != once {
			t.Errorf("Scrub(Scrub(%q)) = %q, want %q", text, again, once)
		}
	})
}
