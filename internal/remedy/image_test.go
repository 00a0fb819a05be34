package remedy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
)

// spaced writes n sections whose token wants to be freed of a space, and returns
// the file and what to do about it.
func (w *world) spaced(n int) (before []byte, targets []rekey.Target) {
	w.t.Helper()
	record := w.Runner("instance", 0, nil)
	var sections []section
	for i := range n {
		sections = append(sections, section{fmt.Sprint("s", i), " " + record.Token, record.ID})
	}
	w.write(sections...)
	before, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range n {
		targets = append(targets, w.target(i, rekey.RemedyRewrite))
	}
	return before, targets
}

func (w *world) journals() (files []string, size int64) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.state, "operations", "*.journal"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			w.t.Fatal(err)
		}
		size += info.Size()
	}
	return files, size
}

func TestManyEditsOfOneFileAreSealedAsDifferences(t *testing.T) {
	t.Parallel()
	const n = 36 // more than one chain of differences
	w := newWorld(t)
	before, targets := w.spaced(n)
	for i, r := range w.apply(targets...) {
		if r.Status != rekey.StatusVerified {
			t.Fatalf("section %d: %+v", i, r)
		}
	}
	files, size := w.journals()
	if whole := int64(n * len(before)); len(files) != n || size > whole {
		t.Errorf("%d journals have %d bytes, want %d with less than the %d of that many images", len(files), size, n, whole)
	}
	if _, err := w.engine().Undo(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(w.config); err != nil || string(after) != string(before) {
		t.Errorf("undo left %d bytes other than the %d before (%v)", len(after), len(before), err)
	}
}

func TestATornWriteIsMendedFromADifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, targets := w.spaced(3)
	w.apply(targets...)
	done, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.cutJournals(func(r rekey.Record) bool { // the one replacement for all of them was under way
		return r.Step == rekey.StepDeliver && r.Phase == rekey.PhaseIntent || r.Seq == 1
	})
	torn := strings.Replace(string(done), `token = "`, `token = `, 1)
	if err := os.WriteFile(w.config, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.resume(); len(r) != 3 || r[2].Status != rekey.StatusVerified {
		t.Fatalf("got %+v, want three verified repairs", r)
	}
	if after, err := os.ReadFile(w.config); err != nil || string(after) != string(done) {
		t.Errorf("the resumed repair left\n%s\nwant\n%s", after, done)
	}
	if _, err := w.engine().Undo(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(w.config); err != nil || string(after) != string(before) {
		t.Errorf("undo left\n%s\nwant\n%s", after, before)
	}
}

func TestJournalsOfOneRunArePrunedTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, targets := w.spaced(3)
	w.apply(targets...)
	opened := 0
	w.cutJournals(func(r rekey.Record) bool { // the last one is still open
		if r.Step == rekey.StepBegin {
			opened++
		}
		return opened < len(targets) || r.Step != rekey.StepEnd
	})
	w.clock.now = w.clock.now.Add(1000 * time.Hour)
	if n, err := w.engine().Prune(time.Hour); n != 0 || err != nil {
		t.Errorf("%d journals pruned (%v) beside an open one of their run, want none", n, err)
	}
	w.resume()
	w.clock.now = w.clock.now.Add(1000 * time.Hour)
	if n, err := w.engine().Prune(time.Hour); n != len(targets) || err != nil {
		t.Errorf("%d journals pruned (%v), want all %d", n, err, len(targets))
	}
}
