package iac

import (
	"bytes"
	"cmp"
	"slices"

	"rekey"
)

// edit is one splice: where old stands in the file, new is to stand.
type edit struct {
	at       Span
	old, new string
}

// edited puts new where span is, of the bytes that are there now.
func edited(raw []byte, span Span, new string) edit {
	return edit{at: span, old: string(raw[span.Start:span.End]), new: new}
}

// inserted puts new before a byte.
func inserted(at int, new string) edit { return edit{at: Span{at, at}, new: new} }

// splice applies all edits to raw at once and returns the new text with the edits
// in order. It refuses an edit whose old bytes are not there and edits that
// overlap; equal ones count once. raw stays as it is.
func splice(raw []byte, edits []edit) ([]byte, []edit, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(a.at.Start-b.at.Start, a.at.End-b.at.End)
	})
	edits = slices.Compact(edits)
	var out bytes.Buffer
	end := 0
	for _, e := range edits {
		switch {
		case e.at.Start < 0 || e.at.End > len(raw) || e.at.End < e.at.Start || string(raw[e.at.Start:e.at.End]) != e.old:
			return nil, nil, rekey.Errorf(rekey.KindConflict, "the bytes at %d are not those that were read", e.at.Start)
		case e.at.Start < end:
			return nil, nil, rekey.Errorf(rekey.KindConflict, "two changes overlap at byte %d", e.at.Start)
		}
		out.Write(raw[end:e.at.Start])
		out.WriteString(e.new)
		end = e.at.End
	}
	out.Write(raw[end:])
	return out.Bytes(), edits, nil
}

// shift maps positions of the text before edits to the text after them.
type shift struct {
	edits []edit
}

// to maps the first byte of a node: what is put in before it moves it.
func (s shift) to(at int) int {
	moved := at
	for _, e := range s.edits {
		if e.at.End > at {
			break
		}
		moved += len(e.new) - len(e.old)
	}
	return moved
}

// back are the edits that undo these, at the places of the text after them.
func (s shift) back() shift {
	var undo []edit
	moved := 0
	for _, e := range s.edits {
		start := e.at.Start + moved
		undo = append(undo, edit{at: Span{start, start + len(e.new)}, old: e.new, new: e.old})
		moved += len(e.new) - len(e.old)
	}
	return shift{undo}
}

// relation says how a node stands to the edits: apart from all, around some, or
// touched by one.
func (s shift) relation(n Span) (apart, around bool) {
	apart = true
	for _, e := range s.edits {
		switch {
		case n.Start == n.End && n.Start >= e.at.Start && n.End <= e.at.End:
			return false, false
		case n.End <= e.at.Start, n.Start >= e.at.End:
		case n.Start < e.at.Start && n.End > e.at.End:
			apart = false
			around = true
		default:
			return false, false
		}
	}
	return apart, around
}
