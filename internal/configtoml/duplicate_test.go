package configtoml

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"rekey"
)

// TestAnOverlapLeavesNoTrace holds a second section beside each of the corpus to
// what a rotation needs: it stands above the first, is the same but for what was
// changed, and once it is gone and the first has its token the file differs from
// before in exactly what an edit in place would have changed.
func TestAnOverlapLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for name, text := range shapes() {
		doc := parse(t, text)
		change := freshChange("the second")
		if name == "inline" {
			if _, err := doc.Duplicate(map[int]Change{0: change}); rekey.KindOf(err) != rekey.KindInvalid {
				t.Errorf("%s: a second section: %v, want it refused", name, err)
			}
			continue
		}
		all := map[int]Change{}
		for i := range doc.Len() {
			all[i] = change
			overlapped(t, name, doc, map[int]Change{i: change})
		}
		overlapped(t, name+", all at once", doc, all)
	}
}

func overlapped(t *testing.T, name string, doc *Document, copies map[int]Change) {
	t.Helper()
	twice, err := doc.Duplicate(copies)
	if err != nil {
		t.Errorf("%s: a second section: %v", name, err)
		return
	}
	final := map[int]Change{}
	var gone []int
	for n, i := range slices.Sorted(maps.Keys(copies)) {
		second := twice.Sections()[i+n]
		if !copies[i].holds(second) || second.Executor != doc.Sections()[i].Executor || twice.Sections()[i+n+1].Token != doc.Sections()[i].Token {
			t.Errorf("%s: section %d was not doubled above the first: %v", name, i, second.Name)
		}
		c := copies[i]
		c.Name = nil
		final[i+n+1], gone = c, append(gone, i+n)
	}
	swapped, err := twice.EditAll(final)
	if err == nil {
		swapped, err = swapped.RemoveAll(gone...)
	}
	if err != nil {
		t.Errorf("%s: the swap: %v", name, err)
		return
	}
	inPlace := map[int]Change{}
	for i, c := range copies {
		c.Name = nil
		inPlace[i] = c
	}
	want, err := doc.EditAll(inPlace)
	if err != nil || string(swapped.Bytes()) != string(want.Bytes()) {
		t.Errorf("%s: after the overlap the file is\n%s\nwant\n%s\n%v", name, swapped.Bytes(), want.Bytes(), err)
	}
}

func freshChange(name string) Change {
	id, token := rekey.RunnerID(99), rekey.NewToken("glrt-CANARY9zzzzzzzzzzzzzz")
	obtained, expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	return Change{Name: &name, ID: &id, Token: &token, ObtainedAt: &obtained, ExpiresAt: &expires}
}

// TestRandomOverlapsLeaveNoTrace does the same with configs as people might write
// them. Some cannot be doubled: those are refused, never changed.
func TestRandomOverlapsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	doubled, refused := 0, 0
	for seed := range uint64(400) {
		text, tokens := compose(seed)
		doc, err := Parse([]byte(text))
		if err != nil {
			continue
		}
		all := map[int]Change{}
		for i := range tokens {
			if i%2 == int(seed%2) || len(tokens) == 1 {
				all[i] = freshChange("the second")
			}
		}
		if _, err := doc.Duplicate(all); err != nil {
			if rekey.KindOf(err) != rekey.KindInvalid {
				t.Errorf("seed %d: %v", seed, err)
			}
			refused++
			continue
		}
		overlapped(t, fmt.Sprint("seed ", seed), doc, all)
		doubled++
	}
	if doubled < 10*refused || doubled < 200 {
		t.Errorf("%d configs were doubled and %d refused, want nearly all doubled", doubled, refused)
	}
}
