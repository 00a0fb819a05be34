package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"rekey"
)

// shortest is the length below which a secret is not looked for: replacing
// every "a" would destroy the text and hide nothing.
const shortest = 6

// Scrubber replaces token shapes and the exact secrets it knows, in each form
// they may wear: raw, base64 (also inside a longer text), URL-encoded,
// JSON-escaped, hexadecimal. A nil Scrubber knows shapes only. It is safe for
// concurrent use.
type Scrubber struct {
	mu       sync.Mutex
	kinds    map[string]string // form → what is shown instead
	replacer atomic.Pointer[strings.Replacer]
}

// NewScrubber returns a Scrubber that knows secrets.
func NewScrubber(secrets ...rekey.Token) *Scrubber {
	s := &Scrubber{kinds: map[string]string{}}
	s.Add(secrets...)
	return s
}

// Add makes more secrets known. Empty ones and those under six bytes are
// ignored.
func (s *Scrubber) Add(secrets ...rekey.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.kinds)
	for _, secret := range secrets {
		if len(secret.Reveal()) < shortest {
			continue
		}
		shown := mark(string(secret.Kind())) // telling the kind is most of the work here
		for _, form := range forms(secret.Reveal()) {
			s.kinds[form] = shown
		}
	}
	if len(s.kinds) > before {
		s.rebuild()
	}
}

// Scrub returns text without the secrets known and without any token shape.
func (s *Scrubber) Scrub(text string) string {
	if s != nil {
		if r := s.replacer.Load(); r != nil {
			text = r.Replace(text)
		}
	}
	return Scrub(text)
}

// ScrubBytes is Scrub for bytes; the argument stays as it is.
func (s *Scrubber) ScrubBytes(text []byte) []byte { return []byte(s.Scrub(string(text))) }

// rebuild puts longer forms first: a raw token must not be cut out of the
// middle of its own URL-encoded form.
func (s *Scrubber) rebuild() {
	keys := make([]string, 0, len(s.kinds))
	for form := range s.kinds {
		keys = append(keys, form)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		pairs = append(pairs, k, s.kinds[k])
	}
	s.replacer.Store(strings.NewReplacer(pairs...))
}

func forms(secret string) []string {
	found := []string{
		secret,
		url.QueryEscape(secret), url.PathEscape(secret),
		strings.Trim(strconv.Quote(secret), `"`),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	if escaped, err := json.Marshal(secret); err == nil {
		found = append(found, strings.Trim(string(escaped), `"`))
	}
	for offset := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			found = append(found, inside(enc, secret, offset))
		}
	}
	return slices.DeleteFunc(found, func(form string) bool { return len(form) < shortest })
}

// inside is the part of the base64 of any text holding secret at a position of
// offset modulo three that does not depend on the neighbours.
func inside(enc *base64.Encoding, secret string, offset int) string {
	text := enc.EncodeToString(append(make([]byte, offset), secret...))
	first := (offset*8 + 5) / 6
	last := (offset + len(secret)) * 8 / 6
	return text[first:last]
}
