package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// body is what follows a token's prefix: base64url, and the dotted parts of
// routable tokens and of JWTs. Eight characters, so that the prefix alone and a
// token cut short in a sentence about tokens are told apart.
const body = `[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,3}`

// prefixes are GitLab's token prefixes with the word shown in place of the
// token; longer ones first where one begins like another. GitLab: token
// overview (doc/security/tokens).
var prefixes = []struct{ prefix, kind string }{
	{"glrtr-", "runner-legacy"},
	{"glrt-", "runner"},
	{"glpat-", "personal-access"},
	{"glcbt-", "job"},
	{"gldt-", "deploy"},
	{"glptt-", "trigger"},
	{"glagent-", "agent"},
	{"gloas-", "oauth"},
	{"glft-", "feed"},
	{"glimt-", "mail"},
	{"glffct-", "feature-flag"},
	{"glsoat-", "scim"},
	{"glrct-", "runner-controller"},
	{"glwt-", "workspace"},
	{"GR1348941", "registration"},
	{"AGE-SECRET-KEY-", "age-key"},
}

var (
	// prefixed is a token behind its prefix, and behind the prefix of its
	// instance where there is one.
	prefixed = regexp.MustCompile(`(?:[A-Za-z0-9_.-]{1,64}-)?gl(?:rtr|rt|pat|cbt|dt|ptt|agent|oas|ft|imt|ffct|soat|rct|wt)-` + body +
		`|GR1348941` + body + `|AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{8,}`)

	// jwt is a JSON Web Token: job tokens of newer versions, id tokens.
	jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`)

	// bare are the prefixless shapes that still show themselves: t1_ and twenty
	// characters of a runner, a partition and twenty characters of a job.
	bare = regexp.MustCompile(`(^|\\[nrt]|[^A-Za-z0-9_.-])(t[123]_|[0-9a-f]{1,4}_)([A-Za-z0-9_-]{20})($|[^A-Za-z0-9_-])`)

	encoded = encodedPrefixes()
)

// encodedPrefixes finds tokens in base64 by the letters their prefix always
// becomes, as in the data of a Kubernetes secret.
func encodedPrefixes() *regexp.Regexp {
	var alternatives []string
	for _, p := range prefixes {
		whole := len(p.prefix) * 8 / 6
		text := base64.RawStdEncoding.EncodeToString([]byte(p.prefix))[:whole]
		alternatives = append(alternatives, regexp.QuoteMeta(text))
	}
	return regexp.MustCompile(`(?:` + strings.Join(alternatives, "|") + `)[A-Za-z0-9+/_-]{12,}={0,2}`)
}

// Scrub returns text with every token of a known shape replaced by
// "[kind …redacted]". A bare legacy token of twenty characters has no shape of
// its own: only a Scrubber that was told of it finds it.
func Scrub(text string) string {
	if len(text) < 12 {
		return text
	}
	text = prefixed.ReplaceAllStringFunc(text, func(match string) string { return mark(kindOf(match)) })
	text = encoded.ReplaceAllString(text, mark("base64"))
	if strings.Contains(text, "eyJ") {
		text = jwt.ReplaceAllString(text, mark("jwt"))
	}
	if strings.Contains(text, "_") {
		text = scrubBare(text)
	}
	return text
}

// ScrubBytes is Scrub for bytes; the argument stays as it is.
func ScrubBytes(text []byte) []byte { return []byte(Scrub(string(text))) }

// scrubBare runs twice because two neighbours share the character between them.
func scrubBare(text string) string {
	for range 2 {
		text = bare.ReplaceAllStringFunc(text, func(match string) string {
			m := bare.FindStringSubmatch(match)
			switch {
			case m[2][0] == 't':
				return m[1] + mark("runner-legacy") + m[4]
			case looksRandom(m[3]):
				return m[1] + mark("job") + m[4]
			}
			return match
		})
	}
	return text
}

// looksRandom tells twenty random characters from an identifier such as
// 64_bit_little_endian_x: nearly all of them hold both cases.
func looksRandom(s string) bool {
	return strings.ToLower(s) != s && strings.ToUpper(s) != s
}

func kindOf(match string) string {
	for _, p := range prefixes {
		if strings.Contains(match, p.prefix) {
			return p.kind
		}
	}
	return "token"
}

func mark(kind string) string { return "[" + kind + " …redacted]" }
