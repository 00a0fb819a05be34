package rekey

import (
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

// prefixKinds are GitLab's token prefixes. From 17.x on an instance may put a
// prefix of its own, and a dash, before them.
var prefixKinds = map[string]TokenKind{
	"glrt": TokenRunner, "glrtr": TokenRunnerLegacy,
	"glpat": TokenPersonal, "gldt": TokenDeploy, "glcbt": TokenJob, "glptt": TokenTrigger,
	"gloas": TokenOther, "glagent": TokenOther, "glft": TokenOther, "glimt": TokenOther,
	"glffct": TokenOther, "glsoat": TokenOther, "glrct": TokenOther, "glwt": TokenOther,
}

const registrationPrefix = "GR1348941"

var (
	referencePattern = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
	legalPattern     = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	prefixPattern    = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]*?-)?(glrtr?|glpat|gldt|glcbt|glptt|gloas|glagent|glft|glimt|glffct|glsoat|glrct|glwt)-(.*)$`)
	bareRunner       = regexp.MustCompile(`^(?:t[123]_)?[A-Za-z0-9_-]{20}$`)
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
	v := t.Reveal()
	switch {
	case v == "":
		return Lexical{Kind: TokenEmpty, Problems: []Problem{{"empty", "the token is empty"}}}
	case referencePattern.MatchString(v):
		return Lexical{Kind: TokenReference, References: References(v)}
	case !legalPattern.MatchString(v):
		return Lexical{Kind: TokenMalformed, Problems: illegalCharacters(v)}
	}
	kind, _ := kindAndBody(v)
	if problem := notRunners[kind]; problem != "" {
		return Lexical{Kind: kind, Problems: []Problem{{"other-kind", "the text is " + problem + ", not a runner authentication token"}}}
	}
	return Lexical{Kind: kind, Sendable: true, Suspicion: suspicion(v), Scope: scopeHint(v)}
}

var notRunners = map[TokenKind]string{
	TokenRegistration: "a registration token",
	TokenPersonal:     "a personal, project or group access token",
	TokenDeploy:       "a deploy token",
	TokenJob:          "a job token",
	TokenTrigger:      "a pipeline trigger token",
	TokenOther:        "another kind of GitLab token",
}

// References returns the names of the environment variables that text refers to,
// which gitlab-runner 18.10 and later expands in token and url. Positional and
// special parameters such as $1 are no names.
func References(text string) []string {
	var names []string
	for _, m := range referencePattern.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

// kindAndBody returns the kind of a legal text and what follows its prefix; the
// whole text where it has none.
func kindAndBody(v string) (TokenKind, string) {
	if strings.HasPrefix(v, registrationPrefix) {
		return TokenRegistration, v
	}
	if m := prefixPattern.FindStringSubmatch(v); m != nil {
		return prefixKinds[m[1]], m[2]
	}
	if bareRunner.MatchString(v) {
		return TokenRunnerLegacy, v
	}
	return TokenUnknown, v
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
	{"{}%$", Problem{"template", "it holds template marks: a template that was never rendered"}},
	{"*", Problem{"masked", "it holds asterisks: copied from where the secret is masked"}},
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
