package fleet_test

import (
	"slices"
	"testing"

	"rekey"
	"rekey/internal/fleet"
)

// FuzzLedger: what is read is written so that it reads the same and one change
// leaves all other entries as they were, or it is refused.
func FuzzLedger(f *testing.F) {
	f.Add(ledgerText)
	f.Add("schema: rekey.owners/1\nrunners:\n  1:\n  2: {due: 2026-01-01, x-y: [a]}\n")
	f.Add("{schema: rekey.owners/1, runners: {7: {note: \"a\\tb\"}}}")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := fleet.ParseLedger([]byte(text))
		if err != nil {
			return
		}
		before := l.Entries()
		if err := l.Set(fleet.Entry{ID: 987654321, Owner: "new"}); err != nil {
			t.Fatalf("set: %v", err)
		}
		data, err := l.Bytes()
		if err != nil {
			if rekey.KindOf(err) != rekey.KindInvalid {
				t.Fatalf("%q cannot be written: %v", text, err)
			}
			return
		}
		again, err := fleet.ParseLedger(data)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, data, err)
		}
		again.Forget(987654321)
		before = slices.DeleteFunc(before, func(e fleet.Entry) bool { return e.ID == 987654321 })
		if !slices.Equal(again.Entries(), before) {
			t.Errorf("%q became %q: %+v, want %+v", text, data, again.Entries(), before)
		}
	})
}
