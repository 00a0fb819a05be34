package remedy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/remedy"
)

// Without the key the error tells which runners it is about, from what is not sealed,
// and what is lost: a token that nobody has yet, no other.
func TestALostKeyIsToldWithWhatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID}, section{"two", dead[:len(dead)-1] + "2", 0})
	w.apply(w.target(0, rekey.RemedyReset))
	opened := func() error {
		_, err := remedy.OpenStore(w.state, w.clock)
		return err
	}
	key := filepath.Join(w.state, "key.txt")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	wants := func(what string, err error, texts ...string) {
		t.Helper()
		all := fmt.Sprintf("%v → %s", err, rekey.HintOf(err))
		for _, text := range texts {
			if rekey.KindOf(err) != rekey.KindConflict || !strings.Contains(all, text) {
				t.Errorf("%s: got %s, want %q in it", what, all, text)
			}
		}
		if strings.Contains(all, dead) {
			t.Errorf("%s: the error holds a token: %s", what, all)
		}
	}
	w.cutJournals(func(r rekey.Record) bool { return r.Phase == rekey.PhaseReceived })
	wants("not delivered", opened(), "1 journal sealed with it is there", fmt.Sprintf("reset of section \"one\" in %s, runner %d", w.config, record.ID), "-1 (", "it is not finished",
		"received and not delivered yet is lost", "in a config.toml or in a store already are not affected", "operations away", "`rekey rotate` makes a new token")
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	w.polls(w.sections()[0].Token, ownSystem)
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified {
		t.Fatalf("the resumption got %+v, want it proved", r)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	wants("delivered", opened(), "no token is lost", "cannot be undone")
}
