package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// sweeper knows secrets in every form in which one could escape.
type sweeper struct{ needles map[string]string } // form → what it is

// pieceLength and pieceVariety say what of a secret counts as a piece of it: so
// many bytes, so many of them distinct.
const pieceLength, pieceVariety = 16, 8

// add looks for secret from now on; name stands for it in failures.
func (s *sweeper) add(name, secret string) {
	if s.needles == nil {
		s.needles = map[string]string{}
	}
	note := func(how, form string) {
		if s.needles[form] == "" {
			s.needles[form] = name + ", " + how
		}
	}
	note("raw", secret)
	note("URL-encoded", url.QueryEscape(secret))
	note("path-escaped", url.PathEscape(secret))
	note("percent-encoded", everyByte(secret, "%%%02X"))
	note("JSON-escaped", jsonEscaped(secret))
	note("JSON-escaped, each letter", everyByte(secret, `\u%04x`))
	note("hex", hex.EncodeToString([]byte(secret)))
	note("HEX", strings.ToUpper(hex.EncodeToString([]byte(secret))))
	for shift := range 3 {
		note("base64", base64Within(base64.StdEncoding, secret, shift))
		note("base64url", base64Within(base64.URLEncoding, secret, shift))
	}
	for _, piece := range pieces(secretPart(secret)) {
		note("a piece", piece)
	}
}

// find returns what of the secrets is in data, by name and form.
func (s *sweeper) find(data []byte) []string {
	var found []string
	for form, what := range s.needles {
		if bytes.Contains(data, []byte(form)) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func everyByte(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

func jsonEscaped(s string) string {
	text, _ := json.Marshal(s)
	return string(text[1 : len(text)-1])
}

// base64Within is what of the encoding does not depend on what stands before and
// behind the secret, when shift bytes (modulo 3) stand before it.
func base64Within(encoding *base64.Encoding, secret string, shift int) string {
	text := encoding.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), secret...))
	from, to := (shift*8+5)/6, (shift+len(secret))*8/6
	return text[from:to]
}

// secretPart is what follows the prefix that all tokens of a kind have.
func secretPart(token string) string {
	for _, prefix := range []string{"glrt-", "glrtr-", "glpat-", "glcbt-", "GR1348941", "AGE-SECRET-KEY-1"} {
		if _, rest, ok := strings.Cut(token, prefix); ok {
			token = rest
		}
	}
	for _, kind := range []string{"t1_", "t2_", "t3_"} {
		token = strings.TrimPrefix(token, kind)
	}
	return token
}

func pieces(secret string) []string {
	var list []string
	for i := 0; i+pieceLength <= len(secret); i++ {
		piece := secret[i : i+pieceLength]
		distinct := map[byte]bool{}
		for _, c := range []byte(piece) {
			distinct[c] = true
		}
		if len(distinct) >= pieceVariety {
			list = append(list, piece)
		}
	}
	return list
}

// TestSweeperFindsWhatEscaped plants leaks on purpose: a sweep that finds nothing
// says something only if it finds these.
func TestSweeperFindsWhatEscaped(t *testing.T) {
	t.Parallel()
	const token = "glrt-t1_CANARY+ab/cd9-efgh_Z"
	s := &sweeper{}
	s.add("the token", token)
	for name, leak := range map[string]string{
		"raw":                   "token = " + token,
		"a piece":               "…" + token[10:26] + "…",
		"the first piece":       token[8:24],
		"URL-encoded":           "?token=" + url.QueryEscape(token),
		"percent-encoded":       "?token=" + everyByte(token, "%%%02X"),
		"JSON in JSON":          `{"a":"` + jsonEscaped(token) + `"}`,
		"every letter escaped":  everyByte(token, `\u%04x`),
		"hex":                   fmt.Sprintf("%x", token),
		"HEX":                   fmt.Sprintf("%X", token),
		"base64":                base64.StdEncoding.EncodeToString([]byte(token)),
		"base64 behind 1":       base64.StdEncoding.EncodeToString([]byte("x" + token + "yz")),
		"base64 behind 2":       base64.StdEncoding.EncodeToString([]byte("xx" + token + "y")),
		"base64url":             base64.RawURLEncoding.EncodeToString([]byte(token)),
		"base64url behind 4":    base64.URLEncoding.EncodeToString([]byte("user" + token)),
		"basic authentication":  base64.StdEncoding.EncodeToString([]byte("gitlab-ci-token:" + token)),
		"in the middle of junk": "\x00\xff" + token + "\x00",
	} {
		if got := s.find([]byte("before " + leak + " after")); len(got) == 0 {
			t.Errorf("a leak went unseen: %s", name)
		}
	}
	for _, harmless := range []string{"", "glrt-", "runner:6f00de87a550", token[8:23], "glrt-t1_CANARY"} {
		if got := s.find([]byte(harmless)); len(got) > 0 {
			t.Errorf("%q is no leak, but was found as %v", harmless, got)
		}
	}
}
