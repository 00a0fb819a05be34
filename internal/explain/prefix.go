package explain

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"rekey/internal/lazyregexp"
)

// ansi are colour sequences: raw, as rsyslog, cat -v and JSON write the escape,
// and what is left of gitlab-runner's own where the escape was lost.
var ansi = lazyregexp.New(`(?:\x1b|#033|\^\[|\\x1b|\\033|\\e|\\u001[bB])\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-9]{1,2}(?:;[0-9]{0,2})*m`)

// clean makes one readable line of bytes: no colour, no control character, valid
// UTF-8, single blanks. NUL bytes vanish, so that UTF-16 reads as ASCII does.
func clean(line string) string {
	if !strings.ContainsAny(line, "\x1b[#^\\") && plainASCII(line) {
		return squeeze(line)
	}
	line = strings.ToValidUTF8(line, "\uFFFD")
	line = strings.ReplaceAll(line, "\x00", "")
	line = ansi.ReplaceAllString(line, "")
	return squeeze(strings.Trim(strings.Map(printable, line), " \uFFFD"))
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func printable(r rune) rune {
	switch {
	case r == '\uFEFF' || r == '\uFFFE':
		return -1
	case unicode.IsSpace(r) || !unicode.IsPrint(r) && r != utf8.RuneError:
		return ' '
	}
	return r
}

// squeeze is strings.Fields joined, without the list where nothing is to do.
func squeeze(s string) string {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

const (
	isoTime   = `[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?`
	bsdTime   = `[A-Z][a-z]{2} [0-9]{1,2} [0-9:]{8}(?:\.[0-9]+)?`
	syslogTag = `[A-Za-z0-9_.:-]*[A-Za-z0-9] (?:[A-Za-z0-9_./@-]+)(?:\[[0-9]+\])?: `
)

// prefixes are what collectors write before a line; group 1, where there is one,
// is the time. Each is tried at the beginning, again and again.
func prefixes() []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, expr := range []string{
		`(?:<[0-9]{1,3}>)?1 (` + isoTime + `) \S+ \S+ \S+ \S+ (?:-|(?:\[[^\]]*\])+) ?`, // RFC 5424
		`(?:<[0-9]{1,3}>)?(` + bsdTime + `) (?:[0-9]{4} )?` + syslogTag,                // RFC 3164, journalctl -o short
		`(?:[A-Z][a-z]{2} )?(` + isoTime + `)(?: [A-Z]{2,5})? ` + syslogTag,            // journalctl -o short-iso, short-full
		`\[? ?([0-9]+\.[0-9]{6})\]? ` + syslogTag,                                      // journalctl -o short-unix, short-monotonic
		`(` + isoTime + `) (?:stdout|stderr) [FP] `,                                    // CRI
		`[A-Za-z0-9][A-Za-z0-9_.-]* ?\| `,                                              // docker compose
		`\[?(` + isoTime + `)\]? `,                                                     // docker logs -t, kubectl --timestamps
		`([0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}(?:\.[0-9]+)?) `,
		`\[(?:pod/)?[A-Za-z0-9][A-Za-z0-9_./:-]*\] `,        // kubectl --prefix, kubetail
		`[A-Za-z0-9_./-]*\.log(?:\.[0-9]+)?:(?:[0-9]+:)? ?`, // grep
		`<[0-9]{1,3}>`, `[>|]+ `, "`+", `(?:- )+`,
	} {
		list = append(list, regexp.MustCompile(`^(?:`+expr+`)`))
	}
	return list
}

// mostPrefixes bounds the work on one line: no collector chain is longer.
const mostPrefixes = 6

// unprefix takes collectors' prefixes off and returns the first time among them.
func (c *Catalogue) unprefix(line string) (rest, when string) {
	for range mostPrefixes {
		before := len(line)
		for _, p := range c.prefixes {
			m := p.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			if len(m) > 1 && when == "" {
				when = m[1]
			}
			line = strings.TrimLeft(line[len(m[0]):], " ")
			break
		}
		if len(line) == before || startsRecord(line) {
			break
		}
	}
	return line, when
}

// startsRecord tells gitlab-runner's own beginnings, where no prefix is left.
func startsRecord(line string) bool {
	for _, start := range []string{"{", "time=", "level=", "ERROR: ", "WARNING: ", "FATAL: ", "PANIC: "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
