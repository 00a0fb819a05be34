package iac

import (
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// valueClass says what stands where a token belongs.
type valueClass int

const (
	valueEmpty       valueClass = iota
	valueReference              // a variable, a template expression, a path, a call
	valuePlaceholder            // a literal that is evidently fake
	valueLiteral                // a literal that is used as it is
)

var (
	// references are what no token holds and what stands for another value.
	references = lazyregexp.New("[$`{}<>()\\[\\]]|%[A-Za-z_]\\w*%|^(?:var|local|data|module|each|self|path|random_password|aws_\\w+|google_\\w+|azurerm_\\w+|vault_\\w+|gitlab_\\w+|config|builtins|lookup|props|os|self|ENV|env|process)\\.|" +
		`^(?:arn:|ssm:|vault:|secretsmanager:|ref\+|op://|sops:|ENC\[|AQI|projects/|kv/)|@@?\w+@@?`)
	paths = lazyregexp.New(`^\.{0,2}/|^[A-Za-z]:\\|^~/|^file:|^https?:`)

	fakeWord = lazyregexp.New(`(?i)redacted|replace|change[_-]?(?:me|this|it)|changeit|placeholder|dummy|example|sample|insert|your|to-?be-|to_be_|todo|fixme|tbd|xxxx|\*\*\*|\.\.\.|…|^(?:none|null|nil|true|false|yes|no|omit|undefined|unset|empty|absent|present)$|^fake|[_-]fake|here$|^my[_-]|^some[_-]|^the[_-]|^an?[_-]|^test[_-]?|[_-]test$|^__.*__$|^@.*@$|^%.*%$|^#|secret$|^token|token$|^foo|^bar\b|^abc|^1234|^dummy`)
)

// classOf judges what was written where a token belongs.
func classOf(text string) valueClass {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || text == `""` || text == "''" || text == "null" || text == "~" || text == "nil":
		return valueEmpty
	case references.MatchString(text):
		return valueReference
	case paths.MatchString(text):
		return valueReference
	case fake(text):
		return valuePlaceholder
	}
	return valueLiteral
}

// fake reports a literal that no GitLab has issued and nobody believes in.
func fake(text string) bool {
	if s := rekey.NewToken(text).Lexical().Suspicion; s != nil && s.Code == "placeholder" {
		return true
	}
	body := text
	if i := strings.Index(text, "-"); i > 0 && shapePrefix.MatchString(text[:i+1]) {
		body = text[i+1:]
	}
	if looksIssued(body) && !strings.Contains(strings.ToLower(body), "xxxx") {
		return fakePart.MatchString(body)
	}
	return fakeWord.MatchString(body) || fakeWord.MatchString(text) || oneLetter(body) || !secretive(body)
}

var (
	shapePrefix = lazyregexp.New(`(?:^|-)gl[a-z]{2,6}-$`)
	fakePart    = lazyregexp.New(`(?i)example|placeholder|changeme|redacted|your[_-]|replace|dummy|sample|_token_|-token-|abcdefghij|0123456789|1234567890`)
)

// looksIssued reports a text as random as GitLab's: long, and of two kinds of
// letters at least, one of them digits or capitals between small ones.
func looksIssued(body string) bool {
	body = strings.TrimPrefix(body, "GR1348941")
	if len(body) >= 23 && body[0] == 't' && body[2] == '_' {
		body = body[3:]
	}
	if len(body) < 20 {
		return false
	}
	return mixed(body) >= 2 && !wordy(body)
}

// mixed counts the kinds of characters among small letters, capitals and digits.
func mixed(s string) int {
	n := 0
	for _, set := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"} {
		if strings.ContainsAny(s, set) {
			n++
		}
	}
	return n
}

// wordy reports a text put together from words: my-auth-token-2, RunnerTokenForTests.
func wordy(s string) bool {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	if len(parts) < 3 {
		return false
	}
	for _, p := range parts {
		if len(p) > 12 || mixed(p) > 1 && !capitalised.MatchString(p) {
			return false
		}
	}
	return true
}

var capitalised = lazyregexp.New(`^[A-Z][a-z]+$|^[a-z]+[0-9]{1,2}$`)

// secretive reports a short literal that may well be a secret someone chose.
func secretive(s string) bool {
	return len(s) >= 8 && mixed(s) >= 2 && !strings.ContainsAny(s, " \t")
}

func oneLetter(s string) bool { return s != "" && strings.Count(s, s[:1]) == len(s) }
