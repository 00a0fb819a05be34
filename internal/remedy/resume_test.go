package remedy_test

import (
	"slices"
	"testing"

	"rekey"
)

const dead = "glrt-CANARYdeaddeaddead00"

// interrupted leaves a repair whose token is sealed and whose answer the process
// did not live to note: the journal is cut behind the record that holds it.
func (w *world) interrupted(targets ...rekey.Target) {
	w.t.Helper()
	w.apply(targets...)
	w.cutJournals(func(r rekey.Record) bool { return r.Phase == rekey.PhaseReceived })
}

func TestASealedTokenOutlivesAResumeWithoutUserToken(t *testing.T) {
	t.Parallel()
	for _, r := range []rekey.Remedy{rekey.RemedyCreate, rekey.RemedyReset} {
		t.Run(string(r), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			record := w.Runner("instance", 0, nil)
			w.write(section{"one", dead, record.ID})
			original := w.sections()[0].Token
			w.interrupted(w.target(0, r))
			w.write(section{"one", original.Reveal(), record.ID})
			w.offline = true
			w.resume()
			w.offline = false
			w.resume()
			if got := w.sections()[0].Token; !w.accepted(got) {
				t.Errorf("the section holds %s, which GitLab refuses, want the token that was sealed", got)
			}
			if w.calls["create"]+w.calls["reset"] != 1 {
				t.Errorf("%d records created and %d resets, want one of them once", w.calls["create"], w.calls["reset"])
			}
		})
	}
}

func TestAnOrphanIsRemovedThoughTheFirstLookFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.lose["create"], w.deny["list"] = true, true
	w.apply(w.target(0, rekey.RemedyCreate))
	w.lose["create"] = false
	w.resume() // may still not look
	if w.marked() != 1 {
		t.Fatalf("%d marked records, want the one whose token was lost", w.marked())
	}
	w.deny["list"] = false
	results := w.resume()
	if len(results) != 1 || results[0].Status != rekey.StatusVerified || w.marked() != 0 {
		t.Errorf("got %+v and %d marked records, want one verified repair and none", results, w.marked())
	}
	if n := len(w.records("runners/all")); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

func TestNoSecondResetWhileTheFirstIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	target := w.target(0, rekey.RemedyReset)
	w.noReplace = true
	if first := w.apply(target); first[0].Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want an open repair", first[0])
	}
	second := w.apply(target)
	if second[0].Status != rekey.StatusOpen || w.calls["reset"] != 1 {
		t.Errorf("got %+v after %d resets, want an open repair and 1", second[0], w.calls["reset"])
	}
	w.noReplace = false
	w.resume()
	if got := w.sections()[0].Token; !w.accepted(got) {
		t.Errorf("the section holds %s, which GitLab refuses, want the token that was sealed", got)
	}
}

// Whoever gives an interrupted command again means what its run had finished no second
// time; what another run did is another matter, and so is what failed.
func TestWhatARunHadFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	w.write(section{"one", dead, one.ID}, section{"two", dead, two.ID})
	results := w.apply(w.target(0, rekey.RemedyReset), w.target(1, rekey.RemedyReset))
	failed := w.Runner("instance", 0, nil)
	w.write(section{"three", dead, failed.ID})
	w.deny["reset"] = true
	other := w.apply(w.target(0, rekey.RemedyReset))
	for _, c := range []struct {
		resumed []rekey.Result
		want    []rekey.RunnerID
	}{
		{results[:1], []rekey.RunnerID{rekey.RunnerID(one.ID), rekey.RunnerID(two.ID)}},
		{other, nil},
		{nil, nil},
	} {
		got, err := w.engine().FinishedBeside(c.resumed)
		slices.Sort(got)
		if got = slices.Compact(got); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("beside %+v: got %v (%v), want %v", c.resumed, got, err, c.want)
		}
	}
}
