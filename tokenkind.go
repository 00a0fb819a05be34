package rekey

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// TokenKind is what a token's text says it is. Shapes: GitLab's token overview
// (doc/security/tokens) and the runner model of GitLab 15.11 to 19.x.
type TokenKind string

// The kinds of token told apart.
const (
	TokenEmpty        TokenKind = "empty"
	TokenMalformed    TokenKind = "malformed"             // a character no GitLab token has
	TokenReference    TokenKind = "environment-reference" // ${VAR}, expanded by gitlab-runner from 18.10
	TokenRunner       TokenKind = "runner"                // glrt-…, also behind an instance prefix
	TokenRunnerLegacy TokenKind = "runner-legacy"         // glrtr-…, tN_…, or 20 bare characters
	TokenRegistration TokenKind = "registration"          // GR1348941…
	TokenPersonal     TokenKind = "personal-access"       // glpat-…
	TokenDeploy       TokenKind = "deploy"                // gldt-…
	TokenJob          TokenKind = "job"                   // glcbt-…
	TokenTrigger      TokenKind = "trigger"               // glptt-…
	TokenOther        TokenKind = "other-gitlab"          // another GitLab prefix
	TokenUnknown      TokenKind = "unknown"               // legal characters, no known shape
)

// otherPrefixes are the prefixes of GitLab tokens that are never a runner's.
var otherPrefixes = []struct {
	prefix string
	kind   TokenKind
}{
	{"GR1348941", TokenRegistration},
	{"glpat-", TokenPersonal}, {"gldt-", TokenDeploy}, {"glcbt-", TokenJob},
	{"glptt-", TokenTrigger}, {"gloas-", TokenOther}, {"glagent-", TokenOther},
	{"glft-", TokenOther}, {"glimt-", TokenOther}, {"glffct-", TokenOther},
	{"glsoat-", TokenOther}, {"glrct-", TokenOther}, {"glwt-", TokenOther},
}

var (
	referencePattern = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
	legalPattern     = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	prefixedRunner   = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]*-)?glrt-`)
	bareRunner       = regexp.MustCompile(`^(?:t[123]_)?[A-Za-z0-9_-]{20}$`)
	placeholder      = regexp.MustCompile(`(?i)^(?:(?:gl(?:rt|rtr)-)?[xX*.]{4,}|(?:gl(?:rt|rtr)-)?_*(?:your|my|the|insert|enter|replaced?|change|dummy|example|placeholder|todo|secret|runner|gitlab)[-_.]?.*(?:token|me|here|data|ssm)_*)$`)
)

// Problem is one thing wrong with a token's text.
type Problem struct {
	Code string // stable: "empty", "newline", "quotes", …
	Text string // for people; never quotes the token
}

// Lexical is what a token's text alone tells. It is derived without I/O.
type Lexical struct {
	Kind       TokenKind
	Sendable   bool      // a GitLab could have issued it as a runner token
	Problems   []Problem // why it is not sendable
	References []string  // names of the environment variables referred to
	Suspicion  *Problem  // sendable, yet looks cut short or like a placeholder
	Scope      Scope     // from the token's type hint; "" when it reveals none
}

// Lexical judges the token's text. It never validates by length: only a value
// that no GitLab could have issued as a runner token is not Sendable.
func (t Token) Lexical() Lexical {
	v := t.value
	switch {
	case v == "":
		return Lexical{Kind: TokenEmpty, Problems: []Problem{{"empty", "the token is empty"}}}
	case referencePattern.MatchString(v):
		return Lexical{Kind: TokenReference, References: References(v)}
	case !legalPattern.MatchString(v):
		return Lexical{Kind: TokenMalformed, Problems: illegalCharacters(v)}
	}
	for _, o := range otherPrefixes {
		if strings.HasPrefix(v, o.prefix) {
			text := fmt.Sprintf("the text is a GitLab %s token, not a runner authentication token", o.kind)
			return Lexical{Kind: o.kind, Problems: []Problem{{"other-kind", text}}}
		}
	}
	return Lexical{Kind: runnerKind(v), Sendable: true, Suspicion: suspicion(v), Scope: scopeHint(v)}
}

// References returns the names of the environment variables that os.Expand would
// look up in text, as gitlab-runner 18.10 and later does for token and url.
func References(text string) []string {
	var names []string
	for _, m := range referencePattern.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

func runnerKind(v string) TokenKind {
	switch {
	case prefixedRunner.MatchString(v):
		return TokenRunner
	case strings.HasPrefix(v, "glrtr-"), bareRunner.MatchString(v):
		return TokenRunnerLegacy
	}
	return TokenUnknown
}

func suspicion(v string) *Problem {
	body := v
	for _, prefix := range []string{"glrt-", "glrtr-", "t1_", "t2_", "t3_"} {
		body = strings.TrimPrefix(body, prefix)
	}
	switch {
	case placeholder.MatchString(v):
		return &Problem{"placeholder", "the text looks like a placeholder that was never replaced"}
	case body != v && len(body) < 20:
		return &Problem{"truncated", fmt.Sprintf("only %d characters follow the prefix; GitLab issues at least 20", len(body))}
	case strings.Contains(body, ".") && !routableChecksumHolds(v):
		return &Problem{"checksum", "the checksum of this routable token does not hold: a character was lost or changed"}
	}
	return nil
}

var characterProblems = []struct {
	chars string
	p     Problem
}{
	{"\r", Problem{"carriage-return", "it holds a carriage return, as a file edited on Windows leaves"}},
	{"\n", Problem{"newline", "it holds a newline, as `echo` without -n leaves"}},
	{" \t", Problem{"whitespace", "it holds white space"}},
	{"\"'`", Problem{"quotes", "it holds quotation marks"}},
	{"“”‘’«»„‚", Problem{"smart-quotes", "it holds typographic quotation marks, as a chat or a word processor leaves"}},
	{"\u00a0\u202f", Problem{"nbsp", "it holds a no-break space"}},
	{"\u200b\u200c\u200d\u2060\u00ad", Problem{"zero-width", "it holds an invisible character"}},
	{"\ufeff", Problem{"bom", "it holds a byte order mark"}},
	{"<>", Problem{"placeholder", "it holds angle brackets: a placeholder that was never replaced"}},
	{"{}%", Problem{"template", "it holds template marks: a template that was never rendered"}},
}

func illegalCharacters(v string) []Problem {
	var found []Problem
	rest := v
	for _, c := range characterProblems {
		if strings.ContainsAny(v, c.chars) {
			found = append(found, c.p)
			rest = strings.Map(dropAny(c.chars), rest)
		}
	}
	if !utf8.ValidString(v) {
		return append(found, Problem{"encoding", "it is not valid UTF-8"})
	}
	if rest != "" && !legalPattern.MatchString(rest) {
		found = append(found, Problem{"character", "it holds a character that no GitLab token has (allowed: A-Z a-z 0-9 _ . -)"})
	}
	return found
}

func dropAny(chars string) func(rune) rune {
	return func(r rune) rune {
		if strings.ContainsRune(chars, r) {
			return -1
		}
		return r
	}
}

func isWrapping(r rune) bool {
	return strings.ContainsRune(" \t\r\n\"'`“”‘’«»„‚\u00a0\u202f\u200b\u200c\u200d\u2060\ufeff\u00ad", r)
}
