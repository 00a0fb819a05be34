package iac

import "bytes"

// Span is a range of bytes of a file: Start is the first, End the one after the
// last.
type Span struct{ Start, End int }

// view is a text taken out of a file for a parser: a block scalar, a heredoc, a
// quoted string. text is what the parser reads, orig what the file has there, both
// of one length: template marks are masked in text alone. at holds the position in
// the file of every byte and of the end, so what a parser finds can be given back
// as bytes of the file however deep the nesting.
type view struct {
	text, orig []byte
	at         []int32
}

// whole is the view of a whole file.
func whole(raw []byte) view {
	at := make([]int32, len(raw)+1)
	for i := range at {
		at[i] = int32(i)
	}
	return view{text: raw, orig: raw, at: at}
}

func (v view) len() int { return len(v.text) }

// sub is the part from i to j, cut to what is there.
func (v view) sub(i, j int) view {
	i = min(max(i, 0), len(v.text))
	j = min(max(j, i), len(v.text))
	return view{text: v.text[i:j:j], orig: v.orig[i:j:j], at: v.at[i : j+1]}
}

// span says where the view stands in the file.
func (v view) span() Span {
	if len(v.text) == 0 {
		return Span{int(v.at[0]), int(v.at[0])}
	}
	return Span{int(v.at[0]), int(v.at[len(v.text)-1]) + 1}
}

// String is what the file has there, template marks included.
func (v view) String() string { return string(v.orig) }

func (v view) trim() view {
	i, j := 0, len(v.text)
	for i < j && blank(v.orig[i]) {
		i++
	}
	for j > i && blank(v.orig[j-1]) {
		j--
	}
	return v.sub(i, j)
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// unquote drops one pair of quotation marks around the view.
func (v view) unquote() view {
	for _, q := range []string{`"""`, `'''`, `''`, `\"`, `"`, `'`, "`"} {
		if len(v.orig) >= 2*len(q) && bytes.HasPrefix(v.orig, []byte(q)) && bytes.HasSuffix(v.orig, []byte(q)) {
			return v.sub(len(q), len(v.orig)-len(q))
		}
	}
	return v
}

// masked returns the view with text in place of its own; the lengths are equal.
func (v view) masked(text []byte) view { return view{text: text, orig: v.orig, at: v.at} }

// builder puts a view together from bytes of another one.
type builder struct {
	text, orig []byte
	at         []int32
	end        int32
}

func (b *builder) add(c, o byte, at int32) {
	b.text, b.orig, b.at = append(b.text, c), append(b.orig, o), append(b.at, at)
	b.end = at + 1
}

func (b *builder) view(from view) view {
	end := b.end
	if len(b.text) == 0 {
		end = from.at[0]
	}
	return view{text: b.text, orig: b.orig, at: append(b.at, end)}
}

// unescape undoes the escapes of a double-quoted string of HCL, JSON, YAML, or a
// programming language; what it does not know stays.
func (v view) unescape() view {
	if bytes.IndexByte(v.text, '\\') < 0 {
		return v
	}
	var b builder
	for i := 0; i < v.len(); i++ {
		c, o := v.text[i], v.orig[i]
		if c == '\\' && i+1 < v.len() {
			if r, ok := escapes[v.text[i+1]]; ok {
				b.add(r, r, v.at[i])
				i++
				continue
			}
		}
		b.add(c, o, v.at[i])
	}
	return b.view(v)
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': ' ', '"': '"', '\\': '\\', '/': '/', '\n': ' '}
