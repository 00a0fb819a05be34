package iac

import (
	"bytes"

	"rekey/internal/lazyregexp"
)

var (
	slashes   = lazyregexp.New(`(?s)/\*.*?\*/`)
	docString = lazyregexp.New(`(?s)(?:^|\n)[ \t]*(?:[rbu]?"""|[rbu]?''')(.*?)(?:"""|''')`)
	angles    = lazyregexp.New(`(?s)<#.*?#>`)
)

// blankComments notes where the comments of a language are and blanks them.
func (f *file) blankComments(v view, text []byte, format Format) {
	switch format {
	case FormatPython:
		f.blankAll(v, text, docString)
		f.hashComments(v, text)
	case FormatScript:
		f.blankAll(v, text, slashes)
		f.lineComments(v, text, "//")
	case FormatPowerShell:
		f.blankAll(v, text, angles)
		f.hashComments(v, text)
	case FormatNix, FormatHCL:
		f.blankAll(v, text, slashes)
		f.hashComments(v, text)
		if format == FormatHCL {
			f.lineComments(v, text, "//")
		}
	case FormatBatch:
		f.lineComments(v, text, "::")
		f.lineComments(v, text, "rem ")
		f.lineComments(v, text, "REM ")
	case FormatText:
	default:
		f.hashComments(v, text)
		f.lineComments(v, text, "//")
	}
}

func (f *file) blankAll(v view, text []byte, what *lazyregexp.Regexp) {
	for _, m := range what.FindAllIndex(text, -1) {
		f.comment = append(f.comment, v.sub(m[0], m[1]).span())
		fill(text[m[0]:m[1]], ' ')
	}
}

// hashComments treats # as the start of a comment at the start of a line or after
// a blank, outside quotes.
func (f *file) hashComments(v view, text []byte) {
	for i := 0; i < len(text); {
		end := len(text)
		if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
			end = i + n
		}
		if c := hashAt(text[i:end]); c >= 0 {
			f.comment = append(f.comment, v.sub(i+c, end).span())
			fill(text[i+c:end], ' ')
		}
		i = end + 1
	}
}

func hashAt(line []byte) int {
	var quote byte
	for i, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && (i == 0 || !wordByte(line[i-1])):
			quote = c
		case c == '#' && (i == 0 || blank(line[i-1])):
			return i
		}
	}
	return -1
}

// lineComments treats mark as the start of a comment where a line begins with it.
func (f *file) lineComments(v view, text []byte, mark string) {
	for i := 0; i < len(text); {
		end := len(text)
		if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
			end = i + n
		}
		if bytes.HasPrefix(bytes.TrimLeft(text[i:end], " \t"), []byte(mark)) {
			f.comment = append(f.comment, v.sub(i, end).span())
			fill(text[i:end], ' ')
		}
		i = end + 1
	}
}
