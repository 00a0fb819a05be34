package configtoml

import (
	"bytes"
	"slices"

	"rekey"
)

// Remove returns the document without section index: its header with the
// comment lines directly above it, its keys, its sub-tables, the comment lines
// directly below them, and the empty lines that follow. Everything else keeps
// its bytes. Kinds of error: as for EditAll.
func (d *Document) Remove(index int) (*Document, error) { return d.RemoveAll(index) }

// RemoveAll is Remove of several sections at once.
func (d *Document) RemoveAll(indexes ...int) (*Document, error) {
	for _, index := range indexes {
		if index < 0 || index >= d.Len() {
			return nil, rekey.Errorf(rekey.KindNotFound, "the config has no section %d: it has %d", index, d.Len())
		}
	}
	if d.layout.unknown || d.layout.inline {
		return nil, d.cannotEdit()
	}
	var splices []splice
	for i, b := range d.layout.blocks {
		if !slices.Contains(indexes, b.owner) {
			continue
		}
		start, end := d.startOf(i), d.endOf(i)
		if n := len(splices); n > 0 && splices[n-1].at.end >= start {
			splices[n-1].at.end = end
			continue
		}
		splices = append(splices, splice{at: span{start, end}})
	}
	return d.spliced(splices, d.verifyRemove(indexes))
}

// startOf returns where block i starts: at the comment lines directly above its
// header that are not indented deeper than it.
func (d *Document) startOf(i int) int {
	b := d.layout.blocks[i]
	floor := len(byteOrderMark(d.data))
	if i > 0 {
		floor = d.layout.blocks[i-1].last
	}
	depth := len(d.indentAt(b.start))
	start := b.start
	for start > floor {
		above := max(bytes.LastIndexByte(d.data[:start-1], '\n')+1, floor)
		indent := d.indentAt(above)
		if above+len(indent) >= len(d.data) || d.data[above+len(indent)] != '#' || len(indent) > depth {
			break
		}
		start = above
	}
	return start
}

// endOf returns where block i ends: before what belongs to the next block, a
// comment set apart by an empty line, or the end of the file.
func (d *Document) endOf(i int) int {
	limit := len(d.data)
	if i+1 < len(d.layout.blocks) {
		limit = d.startOf(i + 1)
	}
	end := d.layout.blocks[i].last
	for _, wanted := range []func([]byte) bool{isComment, isEmpty} {
		for end < limit {
			next := lineEnd(d.data, end)
			if !wanted(bytes.TrimSpace(d.data[end:next])) {
				break
			}
			end = next
		}
	}
	return min(end, limit)
}

func isComment(line []byte) bool { return len(line) > 0 && line[0] == '#' }

func isEmpty(line []byte) bool { return len(line) == 0 }

func (d *Document) verifyRemove(indexes []int) func(*Document) string {
	return func(next *Document) string {
		var kept []map[string]any
		for i, section := range runnersOf(d.tree) {
			if !slices.Contains(indexes, i) {
				kept = append(kept, section)
			}
		}
		after := runnersOf(next.tree)
		if !sameBut(d.tree, next.tree, "runners") || len(after) != len(kept) {
			return "more than the sections to go"
		}
		for i := range after {
			if !same(kept[i], after[i]) {
				return "another section"
			}
		}
		return ""
	}
}
