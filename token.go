package rekey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unique"
)

// Token is a secret: a runner authentication token, a registration token or a
// user's token. Every formatting and marshalling path shows kind and
// fingerprint; Reveal is the only way to the value. Tokens are comparable with
// == and the zero Token is the empty value.
//
// The text stands behind a handle, not in a string field: fmt prints the
// unexported fields of other structs, and any value under a wrong verb such as
// %p, by reflection and without calling Format. It then finds a pointer here.
type Token struct{ handle unique.Handle[string] }

// NewToken wraps value byte for byte: nothing is trimmed.
func NewToken(value string) Token {
	if value == "" {
		return Token{}
	}
	return Token{handle: unique.Make(value)}
}

// Reveal returns the secret. Callers send it or write it, never print it.
func (t Token) Reveal() string {
	if t.IsZero() {
		return ""
	}
	return t.handle.Value()
}

// IsZero reports whether the token is the empty value.
func (t Token) IsZero() bool { return t == Token{} }

// Kind says what sort of token the text is; see TokenKind.
func (t Token) Kind() TokenKind { return t.Lexical().Kind }

// Fingerprint names a token without revealing it: twelve hex digits of a
// domain-separated SHA-256. Equal tokens have equal fingerprints everywhere.
type Fingerprint string

// Fingerprint returns the token's fingerprint, "" for the empty token.
func (t Token) Fingerprint() Fingerprint {
	if t.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte("rekey fingerprint v1\x00" + t.Reveal()))
	return Fingerprint(hex.EncodeToString(sum[:6]))
}

// String returns "kind:fingerprint".
func (t Token) String() string {
	if t.IsZero() {
		return string(TokenEmpty)
	}
	return string(t.Kind()) + ":" + string(t.Fingerprint())
}

// Format writes String for every verb and flag, so that %v, %+v, %#v, %q, %x
// and %s show the same.
func (t Token) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(t.String())) }

// LogValue shows String to slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns String.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON returns {"kind":…,"fingerprint":…}.
func (t Token) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind        TokenKind   `json:"kind"`
		Fingerprint Fingerprint `json:"fingerprint"`
	}{t.Kind(), t.Fingerprint()})
}

// Cleaned returns the token without the white space, quotes and invisible
// characters around it, and whether taking them away made something that may be
// sent as a runner token: false for a token that was clean before. It repairs
// what an editor or a shell added, never the middle.
func (t Token) Cleaned() (Token, bool) {
	trimmed := NewToken(strings.TrimFunc(t.Reveal(), isWrapping))
	return trimmed, trimmed != t && trimmed.Lexical().Sendable
}

func isWrapping(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(wrappingRunes, r)
}

const wrappingRunes = "\"'`“”‘’«»„‚\u200b\u200c\u200d\u2060\ufeff\u00ad"
