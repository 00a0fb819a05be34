package iac

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// sighting is a token of a known shape in a text.
type sighting struct {
	start, end int // in the text
	token      rekey.Token
	shape      shape
	checked    bool // it is routable and its checksum holds
	broken     bool // it ends like a routable token and its checksum does not hold
	encoded    bool // it stands there in base64
}

// shape is one of the forms of GitLab's tokens that show themselves; see GitLab's
// token overview (doc/security/tokens).
type shape struct {
	prefix string
	kind   rekey.TokenKind
	least  int // characters that follow the prefix at least
	runner bool
}

var shapes = []shape{
	{"glrtr-", rekey.TokenRunnerLegacy, 20, true},
	{"glrt-", rekey.TokenRunner, 20, true},
	{"GR1348941", rekey.TokenRegistration, 20, true},
	{"glpat-", rekey.TokenPersonal, 20, false},
	{"glcbt-", rekey.TokenJob, 20, false},
	{"gldt-", rekey.TokenDeploy, 20, false},
	{"glptt-", rekey.TokenTrigger, 20, false},
	{"glrct-", rekey.TokenOther, 20, false},
	{"glagent-", rekey.TokenOther, 50, false},
	{"gloas-", rekey.TokenOther, 64, false},
	{"glft-", rekey.TokenOther, 20, false},
	{"glimt-", rekey.TokenOther, 25, false},
	{"glsoat-", rekey.TokenOther, 20, false},
	{"glffct-", rekey.TokenOther, 20, false},
	{"glwt-", rekey.TokenOther, 20, false},
}

const longest = 512

// encodedPrefixes are the first letters of runner and registration tokens in
// base64, as the data of a Kubernetes Secret holds them.
var encodedPrefixes = []string{"Z2xydC", "R1IxMzQ4OTQx", "Z2xwYXQt"}

// sightings finds every token of a known shape in text, whole, in order.
func sightings(text []byte) []sighting {
	var found []sighting
	for _, s := range shapes {
		needle := []byte(s.prefix)
		for from := 0; ; {
			i := bytes.Index(text[from:], needle)
			if i < 0 {
				break
			}
			i += from
			from = i + len(needle)
			if one, ok := sight(text, i, s); ok {
				found = append(found, one)
				from = one.end
			}
		}
	}
	found = append(found, encodedSightings(text)...)
	slices.SortFunc(found, func(a, b sighting) int { return a.start - b.start })
	return found
}

// sight reads the token whose prefix stands at i.
func sight(text []byte, i int, s shape) (sighting, bool) {
	end := i + len(s.prefix)
	for end < len(text) && end-i < longest && base64url(text[end]) {
		end++
	}
	one := sighting{start: i, end: end, shape: s}
	if s.kind == rekey.TokenJob {
		one.end = jwtEnd(text, end)
	}
	if tail := routableTail.Find(text[end:min(len(text), end+16)]); tail != nil && (end+len(tail) == len(text) || !wordByte(text[end+len(tail)])) {
		one.end = end + len(tail)
		one.checked = routable(text[i:one.end])
		one.broken = !one.checked
	}
	if one.end-i-len(s.prefix) < s.least {
		return one, false
	}
	ok := one.leftEdge(text)
	one.token = rekey.NewToken(string(text[one.start:one.end]))
	return one, ok || one.checked
}

// leftEdge finds where the token begins: behind a boundary, or with the prefix of
// its instance. It refuses a prefix in the middle of a longer word, as random
// base64 makes them.
func (s *sighting) leftEdge(text []byte) bool {
	i := s.start
	if i == 0 || !base64url(text[i-1]) && text[i-1] != '.' {
		return true
	}
	run := i
	for run > 0 && i-run < 72 && (base64url(text[run-1]) || text[run-1] == '.') {
		run--
	}
	before := string(text[max(0, run-1):i])
	switch {
	case glued.MatchString(before):
		return true
	case text[i-1] != '-' || i-run > 64:
		return false
	}
	if m := gluedName.FindStringSubmatch(before); m != nil {
		before = m[1]
	}
	name := trimmedPrefix.FindString(before)
	if name == "" {
		return strings.Trim(before[len(before)-1:], "-=") == ""
	}
	if s.broken || s.checked {
		whole := text[i-len(name) : s.end]
		if routable(whole) {
			s.start, s.checked, s.broken = i-len(name), true, false
		}
		return true
	}
	s.start = i - len(name)
	return true
}

var (
	routableTail = lazyregexp.New(`^(?:\.01)?\.[0-9a-z]{9}`)
	// glued is what may stand before a token without a boundary: an escape, a
	// percent-encoded character, a short flag.
	glued = lazyregexp.New(`(?:\\[nrt]|\\u[0-9a-fA-F]{4}|[%=][0-9A-F]{2}|(?:^|[^A-Za-z0-9_.-])-[rt])$`)
	// gluedName is the prefix of an instance behind such a thing.
	gluedName = lazyregexp.New(`(?:\\[nrt]|\\u[0-9a-fA-F]{4}|[%=][0-9A-F]{2}|(?:^|[^A-Za-z0-9_.-])-[rt])([A-Za-z0-9][A-Za-z0-9_.-]*-)$`)
	// trimmedPrefix is the prefix of an instance, as its administrator chose it.
	trimmedPrefix = lazyregexp.New(`[A-Za-z0-9][A-Za-z0-9_.-]{0,40}-$`)
)

func routable(text []byte) bool {
	return rekey.Routable(string(text))
}

// jwtEnd follows the dotted parts of a job token that is a JSON Web Token.
func jwtEnd(text []byte, end int) int {
	for parts := 0; parts < 2 && end+1 < len(text) && text[end] == '.' && base64url(text[end+1]); parts++ {
		for end++; end < len(text) && base64url(text[end]); end++ {
		}
	}
	return end
}

func base64url(c byte) bool { return wordByte(c) || c == '-' }

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// encodedSightings finds tokens that were put in base64 from their first byte on.
func encodedSightings(text []byte) []sighting {
	var found []sighting
	for _, prefix := range encodedPrefixes {
		for from := 0; ; {
			i := bytes.Index(text[from:], []byte(prefix))
			if i < 0 {
				break
			}
			i += from
			end := i
			for end < len(text) && end-i < longest && (base64url(text[end]) || text[end] == '+' || text[end] == '/') {
				end++
			}
			from = end
			if i > 0 && (base64url(text[i-1]) || text[i-1] == '/' || text[i-1] == '+') {
				continue
			}
			raw, err := base64.RawStdEncoding.DecodeString(string(text[i:end]))
			if err != nil {
				continue
			}
			inner := strings.TrimSpace(string(raw))
			if s := shapeAt(inner); s != nil && s[0].end == len(inner) {
				found = append(found, sighting{start: i, end: end, token: s[0].token, shape: s[0].shape, checked: s[0].checked, broken: s[0].broken, encoded: true})
			}
		}
	}
	return found
}

// shapeAt returns the token that text begins with, or nil.
func shapeAt(text string) []sighting {
	for _, s := range shapes {
		if strings.HasPrefix(text, s.prefix) {
			if one, ok := sight([]byte(text), 0, s); ok {
				return []sighting{one}
			}
		}
	}
	return nil
}

// issued reports whether the token may be one that a GitLab issued, rather than an
// example of what one looks like.
func (s sighting) issued() bool {
	if s.checked {
		return true
	}
	value := s.token.Reveal()
	if sus := s.token.Lexical().Suspicion; sus != nil && sus.Code == "placeholder" {
		return false
	}
	_, body, _ := strings.Cut(value, s.shape.prefix)
	return looksIssued(body) && !fakePart.MatchString(body) && !repetitive(body)
}

// repetitive reports a body of few different characters: xxxxXXXX, aaaa1111.
func repetitive(body string) bool {
	seen := map[byte]bool{}
	for i := range len(body) {
		seen[body[i]] = true
	}
	return len(seen) < 7
}
