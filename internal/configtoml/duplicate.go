package configtoml

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"rekey"
)

// Duplicate returns the document with a changed copy of some sections, by index,
// each directly above its original: the same keys, sub-tables and inner comments.
// RemoveAll of the copies gives back exactly the bytes of d; a file of which that
// does not hold is refused. Kinds of error: as for EditAll.
func (d *Document) Duplicate(copies map[int]Change) (*Document, error) {
	if d.layout.unknown || d.layout.inline {
		return nil, d.cannotEdit()
	}
	originals := slices.Sorted(maps.Keys(copies))
	var splices []splice
	changes, added := map[int]Change{}, []int(nil)
	for n, i := range originals {
		if i < 0 || i >= d.Len() {
			return nil, rekey.Errorf(rekey.KindNotFound, "the config has no section %d: it has %d", i, d.Len())
		}
		splices = append(splices, d.copyOf(i))
		changes[i+n], added = copies[i], append(added, i+n)
	}
	twice, err := d.spliced(splices, d.verifyDuplicate(originals))
	if err != nil {
		return nil, err
	}
	next, err := twice.EditAll(changes)
	if err != nil {
		return nil, err
	}
	if back, err := next.RemoveAll(added...); err != nil || !bytes.Equal(back.data, d.data) {
		return nil, rekey.Errorf(rekey.KindInvalid, "a second section beside the first could not be taken out of this file again without a trace").
			WithHint("write the sections as [[runners]] with one key on each line")
	}
	return next, nil
}

// copyOf inserts the text of a section, without the comments above its header,
// where those begin.
func (d *Document) copyOf(index int) splice {
	at := -1
	var text strings.Builder
	for i, b := range d.layout.blocks {
		if b.owner != index {
			continue
		}
		if at < 0 {
			at = d.startOf(i)
		}
		text.Write(d.data[b.start:b.last])
		if b.last > 0 && d.data[b.last-1] != '\n' {
			text.WriteString(d.lineEnding(b.last))
		}
	}
	text.WriteString(d.lineEnding(at))
	return splice{span{at, at}, text.String()}
}

func (d *Document) verifyDuplicate(originals []int) func(*Document) string {
	return func(next *Document) string {
		before, after := runnersOf(d.tree), runnersOf(next.tree)
		if !sameBut(d.tree, next.tree, "runners") || len(after) != len(before)+len(originals) {
			return "more than the sections that are doubled"
		}
		at := 0
		for i := range before {
			times := 1
			if slices.Contains(originals, i) {
				times = 2
			}
			for range times {
				if !same(before[i], after[at]) {
					return "another section"
				}
				at++
			}
		}
		return ""
	}
}
