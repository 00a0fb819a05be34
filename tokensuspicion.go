package rekey

import (
	"fmt"
	"regexp"
	"strings"
)

// suspicion says what looks wrong with a text that may be sent all the same. A
// random token must never be suspected: each rule below asks for more than
// chance gives.
func suspicion(v string) *Problem {
	if _, ok := parseRoutable(v); ok {
		return nil
	}
	kind, body := kindAndBody(v)
	switch {
	case len(runnerPrefix.FindAllString(v, 2)) == 2:
		return &Problem{"repeated", "the prefix of runner tokens is in it twice: it was pasted twice, or behind a prefix that was there already"}
	case isPlaceholder(body):
		return &Problem{"placeholder", "the text looks like a placeholder that was never replaced"}
	case kind != TokenUnknown && strings.Contains(body, "."):
		return &Problem{"checksum", "the checksum of this routable token does not hold: a character was lost or changed"}
	case isCutShort(kind, body):
		return &Problem{"truncated", fmt.Sprintf("only %d characters follow the prefix; GitLab issues at least 20", len(randomPart(body)))}
	}
	return nil
}

// isCutShort reports a body shorter than GitLab makes them: 20 characters, or a
// type hint and 20. Twenty characters that happen to begin like a hint are whole.
func isCutShort(kind TokenKind, body string) bool {
	hinted := typeHint.MatchString(body)
	if kind == TokenUnknown && !hinted {
		return false
	}
	return len(body) < 20 || hinted && len(body) > 20 && len(body) < 23
}

// runnerPrefix is also among 20 random characters, once in a hundred million tokens.
var runnerPrefix = regexp.MustCompile(`glrtr?-`)

var typeHint = regexp.MustCompile(`^t[123]_`)

// randomPart is the body without a type hint.
func randomPart(body string) string {
	if typeHint.MatchString(body) {
		return body[3:]
	}
	return body
}

var (
	// fillers are x's and dots as in documentation, also after a few real characters.
	fillers = regexp.MustCompile(`(?i)^[x._-]{3,}$|x{6,}`)
	// words are texts made of nothing but the words people write into examples.
	words = regexp.MustCompile(`(?i)^[_.-]*(?:(?:your|my|the|an?|insert|enter|paste|put|replaced?|with|by|change|dummy|example|sample|fake|placeholder|` +
		`todo|tbd|fixme|very|secret|gitlab|runner|authentication|auth|registration|access|personal|project|group|instance|shared|ci|` +
		`token|value|key|me|here|goes|this|it|is|in|from|data|user|ssm|once|generated|redacted|removed|masked|hidden|some|new|real|actual|or)[0-9]{0,2}[_.-]*)+$`)
	// phrases begin and end like a placeholder and hold a name between.
	phrases = regexp.MustCompile(`(?i)^[_.-]*(?:your|my|insert|enter|paste|replaced?|change|placeholder|example|dummy)[_.-].*[_.-](?:token|me|here|key|data|ssm)[_.-]*$`)
)

// shortestWords keeps a few letters that happen to be words out of the judgement.
const shortestWords = 4

func isPlaceholder(body string) bool {
	text := randomPart(body)
	if fillers.MatchString(text) || phrases.MatchString(text) || len(text) >= shortestWords && words.MatchString(text) {
		return true
	}
	return len(text) >= shortestWords && strings.Count(text, text[:1]) == len(text)
}
