// Package secretstoretest is what every secret store must do, as a suite that each
// passes against the real product, and the starters of those products for tests. It
// owns the promises of the port and the table of what each store supports, which is
// made of what was seen. It refuses to stand in for a product.
package secretstoretest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// Part is a store before a real product, as the suite needs it.
type Part struct {
	Store secretstore.Store
	// Ref names a secret that is not there yet; other names are other secrets.
	Ref func(name string) secretstore.Ref
	// Beside names another field in the same secret; nil where there is none.
	Beside func(secretstore.Ref) secretstore.Ref
	// Place is where Ref's secrets are listed.
	Place secretstore.Ref
	// Lossy is the same store over a line that loses the answer to the next write; nil
	// where no line is between.
	Lossy func(t *testing.T) secretstore.Store
	// Seed writes a value past the store, for one that only reads.
	Seed func(t *testing.T, ref secretstore.Ref, value string)
}

// Token makes a token that leak sweeps can find; n tells them apart.
func Token(n int) rekey.Token { return rekey.NewToken(fmt.Sprintf("glrt-CANARY%014d", n)) }

// Run runs the suite and returns what was seen, for the table.
func Run(t *testing.T, p Part) Row {
	t.Helper()
	f, err := p.Store.Features(t.Context(), p.Ref("features"))
	if err != nil {
		t.Fatalf("Features: %v", err)
	}
	s := suite{Part: p, has: f}
	s.absence(t)
	if !f.Write {
		return s.readOnly(t)
	}
	s.roundTrip(t)
	s.expectations(t)
	s.writersAtOnce(t)
	s.neighbours(t)
	s.metadata(t)
	s.versions(t)
	s.lists(t)
	s.deletes(t)
	s.watches(t)
	s.loses(t)
	s.ends(t)
	return s.row()
}

type suite struct {
	Part
	has  secretstore.Features
	lost string // what happened when an answer was lost
}

// kind fails the test unless err is of the kind, and holds no token.
func kind(t *testing.T, what string, err error, want rekey.Kind) {
	t.Helper()
	if err == nil || rekey.KindOf(err) != want {
		t.Errorf("%s: got %v (%s), want kind %s", what, err, rekey.KindOf(err), want)
	}
	Sweep(t, err)
}

// Sweep fails the test when a token is in the error or its hint.
func Sweep(t *testing.T, err error) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v %#v %s", err, err, err, rekey.HintOf(err)); strings.Contains(text, "CANARY") {
		t.Errorf("the error holds a secret: %s", text)
	}
}

func (s suite) get(t *testing.T, ref secretstore.Ref, version secretstore.Version) secretstore.Secret {
	t.Helper()
	secret, err := s.Store.Get(t.Context(), ref, version)
	if err != nil {
		t.Fatalf("Get %s: %v\n%s", ref, err, rekey.HintOf(err))
	}
	return secret
}

func (s suite) put(t *testing.T, ref secretstore.Ref, value rekey.Token, p secretstore.Put) secretstore.Version {
	t.Helper()
	version, err := s.Store.Put(t.Context(), ref, value, p)
	if err != nil {
		t.Fatalf("Put %s: %v\n%s", ref, err, rekey.HintOf(err))
	}
	if version == "" {
		t.Fatalf("Put %s: no version", ref)
	}
	return version
}

func (s suite) absence(t *testing.T) {
	ref := s.Ref("absent")
	_, err := s.Store.Get(t.Context(), ref, "")
	kind(t, "Get of nothing", err, rekey.KindNotFound)
	if rekey.HintOf(err) == "" {
		t.Error("Get of nothing: no hint says what to do")
	}
	if s.has.Delete {
		kind(t, "Delete of nothing", s.Store.Delete(t.Context(), ref), rekey.KindNotFound)
	}
	if s.has.Write {
		_, err = s.Store.Put(t.Context(), ref, Token(1), secretstore.Put{If: secretstore.Current("7")})
		kind(t, "Put over nothing that expects a version", err, rekey.KindConflict)
	}
}

func (s suite) readOnly(t *testing.T) Row {
	ref := s.Ref("seeded")
	s.Seed(t, ref, Token(1).Reveal())
	if got := s.get(t, ref, ""); got.Value != Token(1) || got.Version == "" {
		t.Errorf("Get: got %v at %q, want %v", got.Value, got.Version, Token(1))
	}
	_, err := s.Store.Put(t.Context(), ref, Token(2), secretstore.Put{})
	kind(t, "Put", err, rekey.KindInvalid)
	kind(t, "Delete", s.Store.Delete(t.Context(), ref), rekey.KindInvalid)
	kind(t, "Watch", s.Store.Watch(t.Context(), ref, ""), rekey.KindInvalid)
	_, err = s.Store.Versions(t.Context(), ref)
	kind(t, "Versions", err, rekey.KindInvalid)
	_, err = s.Store.List(t.Context(), ref)
	kind(t, "List", err, rekey.KindInvalid)
	return s.row()
}

// roundTrip: what is written is read again, byte for byte.
func (s suite) roundTrip(t *testing.T) {
	ref := s.Ref("round-trip")
	for i, value := range []rekey.Token{Token(1), Token(2), rekey.NewToken("glrt-t1_CANARY.01.~/+=@:")} {
		version := s.put(t, ref, value, secretstore.Put{})
		if got := s.get(t, ref, ""); got.Value != value || got.Version != version {
			t.Errorf("value %d: got %v at %q, want %v at %q", i, got.Value, got.Version, value, version)
		}
	}
}

// expectations: a write that expects what is not there changes nothing.
func (s suite) expectations(t *testing.T) {
	ref := s.Ref("expected")
	first := s.put(t, ref, Token(1), secretstore.Put{If: secretstore.Absent()})
	_, err := s.Store.Put(t.Context(), ref, Token(2), secretstore.Put{If: secretstore.Absent()})
	kind(t, "Put that expects nothing over something", err, rekey.KindConflict)
	second := s.put(t, ref, Token(3), secretstore.Put{If: secretstore.Current(first)})
	if second == first {
		t.Errorf("Put of another value: version %q stayed", first)
	}
	_, err = s.Store.Put(t.Context(), ref, Token(4), secretstore.Put{If: secretstore.Current(first)})
	kind(t, "Put that expects an old version", err, rekey.KindConflict)
	if got := s.get(t, ref, ""); got.Value != Token(3) || got.Version != second {
		t.Errorf("after the conflicts: got %v at %q, want %v at %q", got.Value, got.Version, Token(3), second)
	}
}

// writersAtOnce: where the comparison is atomic, one of many wins; whatever is, a
// value that was reported written to one winner is the one that is there.
func (s suite) writersAtOnce(t *testing.T) {
	ref := s.Ref("contended")
	first := s.put(t, ref, Token(0), secretstore.Put{})
	const writers = 6
	won := make([]bool, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			_, err := s.Store.Put(t.Context(), ref, Token(i+1), secretstore.Put{If: secretstore.Current(first)})
			won[i] = err == nil
			if err != nil {
				kind(t, "a writer that lost", err, rekey.KindConflict)
			}
		})
	}
	all.Wait()
	winners, last := 0, 0
	for i, w := range won {
		if w {
			winners, last = winners+1, i+1
		}
	}
	switch {
	case winners == 0:
		t.Error("of writers at once nobody won")
	case s.has.Swap == secretstore.SwapAtomic && winners != 1:
		t.Errorf("of %d writers with one expectation %d won, want 1", writers, winners)
	case winners == 1:
		if got := s.get(t, ref, ""); got.Value != Token(last) {
			t.Errorf("writer %d won, and %v is there", last, got.Value)
		}
	}
}

// neighbours: another field of the same secret stays.
func (s suite) neighbours(t *testing.T) {
	if s.Beside == nil {
		return
	}
	ref := s.Ref("neighbours")
	s.put(t, ref, Token(1), secretstore.Put{})
	s.put(t, s.Beside(ref), Token(2), secretstore.Put{})
	s.put(t, ref, Token(3), secretstore.Put{})
	if got := s.get(t, s.Beside(ref), ""); got.Value != Token(2) {
		t.Errorf("a write changed the field beside it to %v", got.Value)
	}
	if err := s.Store.Delete(t.Context(), ref); err != nil {
		t.Fatalf("Delete of one field: %v", err)
	}
	_, err := s.Store.Get(t.Context(), ref, "")
	kind(t, "Get of a field that was deleted", err, rekey.KindNotFound)
	if got := s.get(t, s.Beside(ref), ""); got.Value != Token(2) {
		t.Errorf("deleting a field changed the one beside it to %v", got.Value)
	}
}

func (s suite) metadata(t *testing.T) {
	ref := s.Ref("metadata")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := secretstore.Metadata{RunnerID: 42, Owner: "team-ci", RotatedAt: at, NextDue: at.AddDate(0, 3, 0)}
	s.put(t, ref, Token(1), secretstore.Put{Meta: want})
	if !s.has.Metadata {
		if got := s.get(t, ref, "").Meta; !got.IsZero() {
			t.Errorf("metadata: got %+v of a store that says it has none", got)
		}
		return
	}
	if got := s.get(t, ref, "").Meta; got != want {
		t.Errorf("metadata: got %+v, want %+v", got, want)
	}
	later := at.AddDate(0, 1, 0)
	s.put(t, ref, Token(2), secretstore.Put{Meta: secretstore.Metadata{RotatedAt: later}})
	want.RotatedAt, want.NextDue = later, time.Time{} // the date was the old token's
	if got := s.get(t, ref, "").Meta; got != want {
		t.Errorf("metadata after a rotation: got %+v, want %+v", got, want)
	}
}

func (s suite) versions(t *testing.T) {
	ref := s.Ref("versions")
	first := s.put(t, ref, Token(1), secretstore.Put{})
	second := s.put(t, ref, Token(2), secretstore.Put{})
	all, err := s.Store.Versions(t.Context(), ref)
	if !s.has.Versions {
		kind(t, "Versions", err, rekey.KindInvalid)
		_, err = s.Store.Get(t.Context(), ref, first)
		kind(t, "Get of an earlier version", err, rekey.KindNotFound)
		if hint := rekey.HintOf(err); !strings.Contains(hint, "rekey secret get "+ref.String()) || strings.Contains(hint, "--versions`") {
			t.Errorf("Get of an earlier version: the hint is %q, want the way to the one that is there", hint)
		}
		return
	}
	if err != nil {
		t.Fatalf("Versions: %v", err)
	}
	if len(all) != 2 || all[0].Version != second || !all[0].Current || all[1].Version != first || all[1].Current {
		t.Errorf("Versions: got %+v, want %s (current), %s", all, second, first)
	}
	if got := s.get(t, ref, first); got.Value != Token(1) || got.Version != first {
		t.Errorf("the first version: got %v at %q", got.Value, got.Version)
	}
	other := s.Ref("versions-other")
	foreign := s.put(t, other, Token(3), secretstore.Put{})
	if foreign == first || foreign == second { // versions that count alike
		foreign = "77"
	}
	_, err = s.Store.Get(t.Context(), ref, foreign)
	kind(t, "Get of a version that is not there", err, rekey.KindNotFound)
	if hint, want := rekey.HintOf(err), "`rekey secret list "+ref.String()+" --versions`"; !strings.Contains(hint, want) || strings.Contains(hint, "put") {
		t.Errorf("Get of a version that is not there: the hint is %q, want %s alone", hint, want)
	}
}

func (s suite) lists(t *testing.T) {
	ref := s.Ref("listed")
	s.put(t, ref, Token(1), secretstore.Put{})
	all, err := s.Store.List(t.Context(), s.Place)
	if !s.has.List {
		kind(t, "List", err, rekey.KindInvalid)
		return
	}
	if err != nil {
		t.Fatalf("List %s: %v", s.Place, err)
	}
	for _, e := range all {
		if e.Ref.Place == ref.Place && e.Ref.Name == ref.Name {
			return
		}
	}
	t.Errorf("List %s: %s is not among %v", s.Place, ref, all)
}

// deletes: gone is gone, twice is told, and the name can be used again.
func (s suite) deletes(t *testing.T) {
	ref := s.Ref("deleted")
	s.put(t, ref, Token(1), secretstore.Put{})
	if err := s.Store.Delete(t.Context(), ref); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err := s.Store.Get(t.Context(), ref, "")
	kind(t, "Get after Delete", err, rekey.KindNotFound)
	kind(t, "Delete again", s.Store.Delete(t.Context(), ref), rekey.KindNotFound)
	s.put(t, ref, Token(2), secretstore.Put{If: secretstore.Absent()})
	if got := s.get(t, ref, ""); got.Value != Token(2) {
		t.Errorf("after Delete and Put: got %v", got.Value)
	}
}

func (s suite) watches(t *testing.T) {
	ref := s.Ref("watched")
	first := s.put(t, ref, Token(1), secretstore.Put{})
	if !s.has.Watch {
		kind(t, "Watch", s.Store.Watch(t.Context(), ref, first), rekey.KindInvalid)
		return
	}
	seen := make(chan error, 1)
	go func() { seen <- s.Store.Watch(t.Context(), ref, first) }()
	s.put(t, ref, Token(2), secretstore.Put{})
	if err := <-seen; err != nil {
		t.Errorf("Watch: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	now := s.get(t, ref, "").Version
	go func() { seen <- s.Store.Watch(ctx, ref, now) }()
	stop()
	if err := <-seen; err == nil {
		t.Error("Watch returned without a change when its context ended")
	}
}

// loses: a write whose answer is lost is looked for, not repeated.
func (s *suite) loses(t *testing.T) {
	if s.Lossy == nil {
		s.lost = "no line between"
		return
	}
	ref := s.Ref("lost")
	before := s.put(t, ref, Token(1), secretstore.Put{})
	version, err := s.Lossy(t).Put(t.Context(), ref, Token(2), secretstore.Put{If: secretstore.Current(before)})
	got := s.get(t, ref, "")
	switch {
	case got.Value != Token(2):
		t.Errorf("the write whose answer was lost: %v is there, and it said %v", got.Value, err)
	case err != nil:
		t.Errorf("the write whose answer was lost: %v, want nil: it is there", err)
	case version != got.Version:
		t.Errorf("the write whose answer was lost: version %q, want %q", version, got.Version)
	}
	if s.has.Versions {
		if all, err := s.Store.Versions(t.Context(), ref); err != nil || len(all) != 2 {
			t.Errorf("after a lost answer: versions %+v, %v, want two: nothing is written twice", all, err)
		}
	}
	s.lost = "found by looking"
}

// ends: a context that is over ends the question.
func (s suite) ends(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if s.Lossy == nil {
		return
	}
	_, err := s.Store.Get(ctx, s.Ref("listed"), "")
	if err == nil {
		t.Error("Get with a context that is over: no error")
	}
	Sweep(t, err)
}
