package iac

import (
	"bytes"

	"rekey/internal/lazyregexp"
)

// hole stands for a template expression in a text that a parser reads: a letter,
// so that it is part of a word in every language.
const hole = 'x'

var (
	// jinja are the expressions of Jinja, Go templates and ERB.
	jinja = lazyregexp.New(`(?s)\{\{.*?\}\}|<%.*?%>`)
	// jinjaStatement are their statements and comments, which stand for no text.
	jinjaStatement = lazyregexp.New(`(?s)\{%.*?%\}|\{#.*?#\}|\{\{-?\s*/\*.*?\*/\s*-?\}\}|\{\{-?\s*(?:if|else|end|range|with|define|block|template|break|continue|\$\w+\s*:?=)\b[^}]*\}\}|<%-?\s*(?:if|else|elsif|end|unless|@?\w+\.each)\b.*?%>`)
	// directive is a directive of a Terraform template.
	directive = lazyregexp.New(`%\{[^}\n]*\}`)
	// interpolation is one of Terraform that no shell would take for a variable.
	interpolation = lazyregexp.New(`\$\{[^}\n"]*[^A-Za-z0-9_}\n:\-+?=/#%*@,^!"'$\\ ][^}\n]*\}`)
	// escapedInterpolation is what templatefile turns into ${.
	escapedInterpolation = lazyregexp.New(`\$\$\{|%%\{`)
)

// untemplated masks template marks so that a parser of the language underneath can
// read the text: expressions become letters, statements blanks. Lines stay.
func untemplated(v view) view {
	text := append([]byte(nil), v.text...)
	blot(text, jinjaStatement, ' ')
	for _, m := range jinja.FindAllIndex(text, -1) {
		fill(text[m[0]:m[1]], exprFill(text, m[0], m[1]))
	}
	return v.masked(text)
}

// unlined makes nothing at all of lines that held only statements: a line of blanks
// is content to YAML.
func unlined(v view) view {
	text := append([]byte(nil), v.text...)
	v.statements(func(i, j int) {
		for ; i < j; i++ {
			text[i] = '\n'
		}
	})
	return v.masked(text)
}

// continuing lets lines that held only statements continue the line before them,
// where that one is continued.
func continuing(v view) view {
	text := append([]byte(nil), v.text...)
	v.statements(func(i, j int) {
		for k := i; k < j; k++ {
			text[k] = ' '
		}
		before := bytes.TrimRight(text[:i], "\n")
		if j > i && i-len(before) == 1 && bytes.HasSuffix(before, []byte(`\`)) {
			text[j-1] = '\\'
		}
	})
	return v.masked(text)
}

// statements calls do with the lines that are blank without their template marks.
func (v view) statements(do func(i, j int)) {
	for i := 0; i < len(v.orig); {
		j := len(v.orig)
		if n := bytes.IndexByte(v.orig[i:], '\n'); n >= 0 {
			j = i + n
		}
		if len(bytes.TrimSpace(v.text[i:j])) == 0 && len(bytes.TrimSpace(v.orig[i:j])) > 0 {
			do(i, j)
		}
		i = j + 1
	}
}

// exprFill: an expression that is alone on its line stands for lines of its own.
func exprFill(text []byte, start, end int) byte {
	i := start
	for i > 0 && (text[i-1] == ' ' || text[i-1] == '\t') {
		i--
	}
	j := end
	for j < len(text) && (text[j] == ' ' || text[j] == '\t' || text[j] == '\r') {
		j++
	}
	if (i == 0 || text[i-1] == '\n') && (j == len(text) || text[j] == '\n') {
		return ' '
	}
	return hole
}

// unterraformed masks what templatefile and heredocs of Terraform put into a text.
func unterraformed(v view) view {
	text := append([]byte(nil), v.text...)
	for _, m := range escapedInterpolation.FindAllIndex(text, -1) {
		text[m[0]] = hole
	}
	blot(text, directive, ' ')
	for _, m := range interpolation.FindAllIndex(text, -1) {
		fill(text[m[0]:m[1]], hole)
	}
	return v.masked(text)
}

func blot(text []byte, what *lazyregexp.Regexp, with byte) {
	for _, m := range what.FindAllIndex(text, -1) {
		fill(text[m[0]:m[1]], with)
	}
}

func fill(part []byte, with byte) {
	for i, c := range part {
		if c != '\n' {
			part[i] = with
		}
	}
}

// fillIn is a place that a person fills in, and that a shell would take for two
// redirections.
var fillIn = lazyregexp.New(`(?:^|[\s="'])<[A-Za-z][\w -]*>(?:["'\s\\]|$)`)
