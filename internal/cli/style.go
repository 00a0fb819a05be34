package cli

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// paper writes text for people: colours only on a terminal and without NO_COLOR,
// lines wrapped to the terminal's width.
type paper struct {
	w     io.Writer
	color bool
	width int
}

// plainWidth is the width of lines where there is no terminal to fit.
const plainWidth = 100

func (c *command) paper() *paper {
	plain, _ := c.Getenv("NO_COLOR")
	width := c.Width
	if width < 40 || width > 120 {
		width = plainWidth
	}
	return &paper{w: c.Out, color: c.OutTTY && plain == "", width: width}
}

func (p *paper) line(format string, args ...any) {
	fmt.Fprintln(p.w, harmless(fmt.Sprintf(format, args...)))
}

// obeyed is what a terminal obeys instead of showing it: control characters and
// those that turn the direction of writing. A paper's own colours match first.
var obeyed = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("\x1b\\[(?:[012]|3[123])m|[\\p{Cc}\\p{Cf}]")
})

// harmless takes out of text, which names and messages of others are part of, what
// would move a cursor, set a title or hide the rest of a line.
func harmless(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) < 0 {
		return text
	}
	return obeyed().ReplaceAllStringFunc(text, func(found string) string {
		if len(found) > 3 && found[0] == '\x1b' || found == "\n" || found == "\t" {
			return found
		}
		return " "
	})
}

func (p *paper) paint(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *paper) bold(text string) string   { return p.paint("1", text) }
func (p *paper) faint(text string) string  { return p.paint("2", text) }
func (p *paper) red(text string) string    { return p.paint("31", text) }
func (p *paper) green(text string) string  { return p.paint("32", text) }
func (p *paper) yellow(text string) string { return p.paint("33", text) }

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// wrapped writes text after first, continued under it, within the width.
func (p *paper) wrapped(first, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(colours.ReplaceAllString(first, "")))
	limit := max(24, p.width-len(indent))
	lead := first
	for _, line := range fold(text, limit) {
		p.line("%s%s", lead, line)
		lead = indent
	}
}

// fold breaks text at spaces into lines of at most limit runes; a longer word has
// a line of its own.
func fold(text string, limit int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(float64(n)) + " " + many
}

// grouped writes a number with a comma between its thousands: 10,000 and 0.5.
func grouped(n float64) string {
	whole, rest, fraction := strings.Cut(strconv.FormatFloat(n, 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction {
		return whole + "." + rest
	}
	return whole
}

// spoken writes a duration as people say it: 8 min 20 s, 2 h 46 min.
func spoken(d time.Duration) string {
	d = d.Round(time.Second)
	part := func(n time.Duration, unit string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(" %d %s", n, unit)
	}
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour) + part(d%time.Hour/time.Minute, "min")
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute) + part(d%time.Minute/time.Second, "s")
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
