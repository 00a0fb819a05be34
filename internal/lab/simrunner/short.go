package simrunner

import (
	"net/url"
	"regexp"
	"strings"

	"rekey"
)

var registrationPrefix = regexp.MustCompile(`^GR[0-9a-fA-F]{7}`)

// shortToken is the piece of a token that gitlab-runner shows in logs, job
// variables and build paths: eight characters up to 15.8, then nine without the
// prefix. Two shapes are cut shorter than the original: a registration token up
// to 15.8, and a truncated glrt- token, which makes 15.9 to 18.1 panic.
func shortToken(token rekey.Token, version rekey.Version) string {
	text := strings.TrimSpace(token.Reveal())
	if !version.AtLeast(15, 9) {
		return first(text, 8)
	}
	rest := strings.TrimPrefix(text, "glrt-")
	if version.AtLeast(18, 2) {
		rest = withoutType(rest)
	}
	if rest == text {
		rest = strings.TrimPrefix(rest, "glrtr-")
		rest = registrationPrefix.ReplaceAllString(rest, "")
	}
	if rest == text {
		return first(text, 8)
	}
	return first(rest, 9)
}

func withoutType(text string) string {
	for _, prefix := range []string{"t1_", "t2_", "t3_"} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return rest
		}
	}
	return text
}

// first never shows more than half of a text, so that no short token is shown whole.
func first(text string, n int) string { return text[:min(n, len(text)/2)] }

// cleanURL is what gitlab-runner shows of a URL: not the job token that is the
// repository's password, nor a query.
func cleanURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
