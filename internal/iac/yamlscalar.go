package iac

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"rekey/internal/lazyregexp"
)

var properties = lazyregexp.New(`^(?:[!&][^\s]*[ \t]+)+`)

// scalar is the text of a scalar node as it stands in the file, without quotes;
// of a block scalar the lines, indented as they are.
func (r *yamlReader) scalar(n *yaml.Node) view {
	i := r.offset(n)
	if m := properties.Find(r.v.text[i:min(r.v.len(), i+200)]); m != nil {
		i += len(m)
	}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return r.block(i, n.Style&yaml.FoldedStyle != 0)
	case n.Style&yaml.DoubleQuotedStyle != 0 && i < r.v.len():
		return r.quoted(i, '"')
	case n.Style&yaml.SingleQuotedStyle != 0 && i < r.v.len():
		return r.quoted(i, '\'')
	}
	j, rest := i, n.Value
	for j < r.v.len() && rest != "" {
		c, size := utf8.DecodeRune(r.v.text[j:])
		want, wantSize := utf8.DecodeRuneInString(rest)
		switch {
		case c == want:
			rest, j = rest[wantSize:], j+size
		case want == ' ' || want == '\n':
			rest = rest[wantSize:]
		default:
			j += size
		}
	}
	return r.v.sub(i, j)
}

func (r *yamlReader) quoted(i int, q byte) view {
	for j := i + 1; j < r.v.len(); j++ {
		switch c := r.v.text[j]; {
		case q == '"' && c == '\\':
			j++
		case c != q:
		case q == '\'' && j+1 < r.v.len() && r.v.text[j+1] == q:
			j++
		default:
			return r.v.sub(i+1, j)
		}
	}
	return r.v.sub(i, r.v.len())
}

// block is the body of a block scalar whose header stands at i.
func (r *yamlReader) block(i int, folded bool) view {
	n := bytes.IndexByte(r.v.text[i:], '\n')
	if n < 0 {
		return r.v.sub(r.v.len(), r.v.len())
	}
	start := i + n + 1
	end, indent := start, -1
	for end < r.v.len() {
		stop := r.v.len()
		if n := bytes.IndexByte(r.v.text[end:], '\n'); n >= 0 {
			stop = end + n + 1
		}
		line := r.v.text[end:stop]
		if trimmed := bytes.TrimLeft(line, " "); len(bytes.TrimSpace(line)) > 0 {
			if have := len(line) - len(trimmed); indent < 0 {
				indent = have
			} else if have < indent {
				break
			}
		}
		end = stop
	}
	body := r.v.sub(start, end)
	if folded {
		body = fold(body)
	} else if indent > 0 {
		body = dedent(body, indent)
	}
	return body
}

// dedent takes the indentation off every line, so that heredocs end.
func dedent(v view, indent int) view {
	var b builder
	column := 0
	for i := range v.len() {
		if v.text[i] == '\n' {
			b.add('\n', '\n', v.at[i])
			column = 0
			continue
		}
		if column++; column > indent || v.text[i] != ' ' {
			b.add(v.text[i], v.orig[i], v.at[i])
		}
	}
	return b.view(v)
}

// fold makes one line of lines that a folded scalar joins.
func fold(v view) view {
	text := append([]byte(nil), v.text...)
	for i, c := range text {
		if c != '\n' || i+1 >= len(text) || text[i+1] == '\n' {
			continue
		}
		text[i] = ' '
		if i > 0 && text[i-1] == '\\' {
			text[i-1] = ' '
		}
	}
	return v.masked(text)
}
