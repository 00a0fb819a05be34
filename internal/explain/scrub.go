package explain

import (
	"strings"
	"unicode/utf8"

	"rekey/internal/lazyregexp"
	"rekey/internal/redact"
)

const (
	hidden      = "[…redacted]"
	longestText = 1024 // bytes of one shown text
)

var (
	userinfo  = lazyregexp.New(`://[^/\s"'@]*@`)
	queries   = lazyregexp.New(`((?i:token|secret|password|key)=)[^&\s"']+`)
	flagValue = lazyregexp.New(`(?i)((?:--(?:registration-)?token|(?:private|runner|job)-token:)[ =]+)[^\s]{6,}`)
	// unhealthy is the line in which gitlab-runner up to 16.7 writes the URL and,
	// without a separator, the whole token.
	unhealthy = lazyregexp.New(`(Runner "?)((?:[a-zA-Z]+://)?[^"]*?)("? is (?:unhealthy|not healthy))`)
	// twenty characters of both cases and digits are a legacy token, which has no
	// shape of its own.
	twenty = lazyregexp.New(`(^|[^A-Za-z0-9_-])([A-Za-z0-9_-]{20})($|[^A-Za-z0-9_-])`)
)

// scrub returns text without tokens, credentials and control characters, bounded.
// It hides rather too much than too little.
func scrub(text string) string {
	text = clean(text)
	// Each expression is asked only where its words are: most lines have none.
	if strings.Contains(text, "healthy") {
		text = unhealthy.ReplaceAllStringFunc(text, hideRunner)
	}
	text = redact.Scrub(text)
	if strings.Contains(text, "@") {
		text = userinfo.ReplaceAllString(text, "://…@")
	}
	if strings.Contains(text, "=") {
		text = queries.ReplaceAllString(text, "${1}"+hidden)
	}
	if strings.Contains(text, "oken") || strings.Contains(text, "TOKEN") {
		text = flagValue.ReplaceAllString(text, "${1}"+hidden)
	}
	if hasWord(text, 20) {
		for range 2 { // two neighbours share the character between them
			text = twenty.ReplaceAllStringFunc(text, hideLegacy)
		}
	}
	return shorten(text, longestText)
}

func hideRunner(match string) string {
	m := unhealthy.FindStringSubmatch(match)
	return m[1] + runnerAddress(m[2]) + hidden + m[3]
}

// hasWord reports whether a run of a token's characters has exactly that length.
func hasWord(text string, length int) bool {
	run := 0
	for i := range len(text) {
		b := text[i]
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-' {
			run++
			continue
		}
		if run == length {
			return true
		}
		run = 0
	}
	return run == length
}

func hideLegacy(match string) string {
	m := twenty.FindStringSubmatch(match)
	if strings.ToLower(m[2]) == m[2] || strings.ToUpper(m[2]) == m[2] || !strings.ContainsAny(m[2], "0123456789_-") {
		return match
	}
	return m[1] + hidden + m[3]
}

// runnerAddress keeps of URL and token what is surely URL: up to the last slash
// of the path, or all but the last twenty characters.
func runnerAddress(id string) string {
	scheme, rest, ok := strings.Cut(id, "://")
	if !ok {
		return ""
	}
	if slash := strings.LastIndex(rest, "/"); slash >= 0 {
		return scheme + "://" + rest[:slash+1]
	}
	if at := strings.Index(rest, "gl"); at > 0 && strings.Contains(rest[at:], "-") && len(rest)-at > 20 {
		return scheme + "://"
	}
	return scheme + "://" + rest[:max(0, len(rest)-20)]
}

// shorten cuts at a word, so that no half of a token is left that nobody knows.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = text[:limit]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	if at := strings.LastIndexByte(text, ' '); at > limit/2 {
		text = text[:at]
	}
	return text + " …"
}

// secretKey tells the fields that hold a token in the clear, as those of
// `gitlab-runner list`.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	return strings.HasSuffix(key, "token") || strings.Contains(key, "password") || strings.Contains(key, "secret")
}

// shown is the whole line as it may be shown.
func (r record) shown() string {
	safe := r
	safe.fields = make([]field, len(r.fields))
	for i, f := range r.fields {
		if secretKey(f.key) && f.value != "" {
			f.value = hidden
		}
		safe.fields[i] = f
	}
	text := safe.text()
	if r.level != "" && r.level != "info" && r.level != "debug" && r.level != "trace" {
		text = strings.ToUpper(r.level) + ": " + text
	}
	return scrub(text)
}

// address is a URL without credentials, query and fragment.
func address(url string) string {
	if at := strings.IndexAny(url, "?#"); at >= 0 {
		url = url[:at]
	}
	return scrub(url)
}
