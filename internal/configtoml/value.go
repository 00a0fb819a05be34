package configtoml

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"rekey"
)

// quote writes text as a TOML string with the quote that old has, if it can.
func quote(text, old string) (string, error) {
	if !utf8.ValidString(text) {
		return "", rekey.Errorf(rekey.KindInvalid, "a value that is not UTF-8 cannot be written to config.toml")
	}
	if strings.HasPrefix(old, "'") && !strings.ContainsFunc(text, notLiteral) {
		return "'" + text + "'", nil
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case isControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String(), nil
}

func notLiteral(r rune) bool { return r == '\'' || isControl(r) }

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// dateText writes t as gitlab-runner does; the zero time is 0001-01-01T00:00:00Z.
func dateText(t time.Time, old string) (string, error) {
	text := t.UTC().Format(time.RFC3339Nano)
	if strings.HasPrefix(old, "'") || strings.HasPrefix(old, `"`) {
		return quote(text, old)
	}
	return text, nil
}
