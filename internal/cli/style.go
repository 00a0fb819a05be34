package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// paper writes text for people: colours only on a terminal and without NO_COLOR,
// lines wrapped to the terminal's width.
type paper struct {
	w     io.Writer
	color bool
	width int
}

func (c *command) paper() *paper {
	plain, _ := c.Getenv("NO_COLOR")
	width := c.Width
	if width < 40 || width > 120 {
		width = 100
	}
	return &paper{w: c.Out, color: c.OutTTY && plain == "", width: width}
}

func (p *paper) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

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
	return fmt.Sprintf("%d %s", n, many)
}
