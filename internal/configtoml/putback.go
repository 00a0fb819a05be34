package configtoml

import (
	"bytes"

	"rekey"
)

// PutBack returns the document with a section's url, id, token and its two dates
// as section of has them in was, in the very bytes: a key that is missing there
// goes, line and all. d stays as it is. A line that holds more than such a key
// stays, with the value that gitlab-runner takes for none. Kinds of error as for
// EditAll.
func (d *Document) PutBack(index int, was *Document, of int) (*Document, error) {
	for _, check := range []struct {
		d *Document
		i int
	}{{d, index}, {was, of}} {
		if check.i < 0 || check.i >= check.d.Len() {
			return nil, rekey.Errorf(rekey.KindNotFound, "the config has no section %d: it has %d", check.i, check.d.Len())
		}
	}
	s := was.sections[of]
	back := Change{URL: &s.URL, ID: &s.ID, Token: &s.Token, ObtainedAt: &s.ObtainedAt, ExpiresAt: &s.ExpiresAt}
	if d.layout.unknown || d.layout.inline || was.layout.unknown || was.layout.inline {
		return d.Edit(index, back)
	}
	texts, err := d.texts(&d.layout.sections[index], back)
	if err != nil {
		return nil, err
	}
	var splices []splice
	for f := fieldURL; f < fieldCount; f++ {
		there, here := was.layout.sections[of].fields[f], d.layout.sections[index].fields[f]
		switch {
		case there.line > 0:
			texts[f] = string(was.data[there.value.start:there.value.end])
		case here.line == 0:
			texts[f] = ""
		default:
			if at, alone := d.lineOf(here); alone {
				splices, texts[f] = append(splices, splice{at: at}), ""
			}
		}
	}
	return d.spliced(append(splices, d.splicesFor(index, texts)...), d.verifyEdit(map[int]Change{index: back}))
}

// lineOf returns the line of a key with the line ending before it; alone reports
// that nothing follows the value.
func (d *Document) lineOf(f field) (at span, alone bool) {
	start := bytes.LastIndexByte(d.data[:f.value.start], '\n') + 1
	end := trimEnding(d.data, lineEnd(d.data, f.value.end))
	if start == 0 || len(bytes.TrimSpace(d.data[f.value.end:end])) > 0 {
		return span{}, false
	}
	return span{trimEnding(d.data, start), end}, true
}
