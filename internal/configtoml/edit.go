package configtoml

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"

	"rekey"
)

// Change is what an edit sets in a section; nil fields stay as they are.
type Change struct {
	Name, URL             *string
	ID                    *rekey.RunnerID
	Token                 *rekey.Token
	ObtainedAt, ExpiresAt *time.Time // zero writes 0001-01-01T00:00:00Z: unset
}

// Edit returns the document with one section changed; see EditAll.
func (d *Document) Edit(index int, c Change) (*Document, error) {
	return d.EditAll(map[int]Change{index: c})
}

// EditAll returns the document with the values of several sections changed, by
// index; d stays as it is. Only the bytes of those values are written over, in
// the quotes they had; a key that is missing is added on a line of its own
// behind the keys that gitlab-runner writes before it. Any text is written
// faithfully, whether GitLab could have issued it or not. The cost is one parse
// however many sections change.
//
// Kinds of error: not found for an index, invalid for a value that TOML cannot
// hold or a file whose shape cannot be edited, internal when the outcome was not
// exactly the intended one.
func (d *Document) EditAll(changes map[int]Change) (*Document, error) {
	var splices []splice
	for _, i := range slices.Sorted(maps.Keys(changes)) {
		if i < 0 || i >= d.Len() {
			return nil, rekey.Errorf(rekey.KindNotFound, "the config has no section %d: it has %d", i, d.Len())
		}
		if d.layout.unknown {
			return nil, d.cannotEdit()
		}
		s, err := d.splicesOf(i, changes[i])
		if err != nil {
			return nil, err
		}
		splices = append(splices, s...)
	}
	return d.spliced(splices, d.verifyEdit(changes))
}

func (d *Document) cannotEdit() error {
	return rekey.Errorf(rekey.KindInvalid, "the config is written in a way that gitlab-runner reads but rekey cannot edit safely").
		WithHint("write the sections as [[runners]] with one key on each line")
}

// texts returns what the change writes, by field; "" where nothing changes.
func (d *Document) texts(p *place, c Change) (texts [fieldCount]string, err error) {
	old := func(f int) string { return string(d.data[p.fields[f].value.start:p.fields[f].value.end]) }
	set := func(f int, text string, e error) {
		texts[f] = text
		if err == nil {
			err = e
		}
	}
	if c.Name != nil {
		text, e := quote(*c.Name, old(fieldName))
		set(fieldName, text, e)
	}
	if c.URL != nil {
		text, e := quote(*c.URL, old(fieldURL))
		set(fieldURL, text, e)
	}
	if c.ID != nil {
		set(fieldID, strconv.FormatInt(int64(*c.ID), 10), nil)
	}
	if c.Token != nil {
		text, e := quote(c.Token.Reveal(), old(fieldToken))
		set(fieldToken, text, e)
	}
	if c.ObtainedAt != nil {
		text, e := dateText(*c.ObtainedAt, old(fieldObtained))
		set(fieldObtained, text, e)
	}
	if c.ExpiresAt != nil {
		text, e := dateText(*c.ExpiresAt, old(fieldExpires))
		set(fieldExpires, text, e)
	}
	return texts, err
}

func (d *Document) splicesOf(index int, c Change) ([]splice, error) {
	texts, err := d.texts(&d.layout.sections[index], c)
	if err != nil {
		return nil, err
	}
	return d.splicesFor(index, texts), nil
}

// splicesFor writes texts as the values of a section's fields; "" leaves one.
func (d *Document) splicesFor(index int, texts [fieldCount]string) []splice {
	p := &d.layout.sections[index]
	var splices []splice
	anchor, added := -1, []string(nil)
	flush := func() {
		if len(added) > 0 {
			splices = append(splices, d.insertion(p, anchor, added))
		}
		added = nil
	}
	for f, text := range texts {
		present := p.fields[f].line > 0
		if present {
			flush()
			anchor = f
		}
		switch {
		case text == "":
		case present:
			splices = append(splices, splice{p.fields[f].value, text})
		default:
			added = append(added, fieldKeys[f]+" = "+text)
		}
	}
	flush()
	return splices
}

// insertion adds pairs behind the field anchor, or behind the header for -1.
func (d *Document) insertion(p *place, anchor int, pairs []string) splice {
	if d.layout.inline {
		return d.inlineInsertion(p, anchor, pairs)
	}
	at, indent := p.header.end, p.indent
	if anchor >= 0 {
		at = p.fields[anchor].value.end
		indent = d.indentAt(p.fields[anchor].value.start)
	} else if p.keys == 0 {
		indent = d.indentAt(p.header.end) + "  "
	}
	at = trimEnding(d.data, lineEnd(d.data, at))
	var text bytes.Buffer
	for _, pair := range pairs {
		text.WriteString(d.lineEnding(at) + indent + pair)
	}
	return splice{span{at, at}, text.String()}
}

func (d *Document) inlineInsertion(p *place, anchor int, pairs []string) splice {
	text := string(bytes.Join(toBytes(pairs), []byte(", ")))
	switch {
	case anchor >= 0:
		at := p.fields[anchor].value.end
		return splice{span{at, at}, ", " + text}
	case p.keys > 0:
		return splice{span{p.header.end, p.header.end}, " " + text + ","}
	}
	return splice{span{p.header.end, p.header.end}, " " + text + " "}
}

func toBytes(texts []string) [][]byte {
	out := make([][]byte, len(texts))
	for i, t := range texts {
		out[i] = []byte(t)
	}
	return out
}

// indentAt returns the white space at the start of the line of offset.
func (d *Document) indentAt(offset int) string {
	start := bytes.LastIndexByte(d.data[:offset], '\n') + 1
	if start == 0 {
		start = len(byteOrderMark(d.data))
	}
	end := start
	for end < len(d.data) && (d.data[end] == ' ' || d.data[end] == '\t') {
		end++
	}
	return string(d.data[start:end])
}

// lineEnding returns the ending of the line that ends at offset, or, at the end
// of a file without one, that of the first line.
func (d *Document) lineEnding(offset int) string {
	for _, from := range []int{offset, 0} {
		i := bytes.IndexByte(d.data[from:], '\n')
		if i > 0 && d.data[from+i-1] == '\r' {
			return "\r\n"
		}
		if i >= 0 {
			return "\n"
		}
	}
	return "\n"
}
