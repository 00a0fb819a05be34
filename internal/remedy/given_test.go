package remedy_test

import (
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
)

// applyGiven repairs with a token that a colleague gave to this process.
func (w *world) applyGiven(token string, targets ...rekey.Target) []rekey.Result {
	w.t.Helper()
	e := w.engine()
	e.Given = rekey.NewToken(token)
	e.Options.Canaries, e.Options.CanaryTimeout = []string{"acme/canary"}, 1
	results, err := e.Apply(w.t.Context(), rekey.Plan{Targets: targets})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

func TestAGivenTokenIsProvedOnItsOwnRecord(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		w := newWorld(t)
		old := w.Runner("instance", 0, labtest.M{"tag_list": []string{"old"}})
		made := w.Runner("instance", 0, labtest.M{"tag_list": []string{"new"}})
		w.write(section{"one", dead, old.ID})
		results := w.applyGiven(made.Token, w.target(0, rekey.RemedyGiven))
		if cut {
			w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepReload })
			results = w.resume()
		}
		if len(results) != 1 || results[0].RunnerID != rekey.RunnerID(made.ID) || results[0].Status != rekey.StatusVerified {
			t.Errorf("interrupted %v: got %+v, want runner %d verified", cut, results, made.ID)
		}
		if s := w.sections()[0]; s.ID != rekey.RunnerID(made.ID) {
			t.Errorf("interrupted %v: the section has the id %d, want %d", cut, s.ID, made.ID)
		}
		if w.marked() != 0 {
			t.Errorf("interrupted %v: %d records still wear the canary's tag", cut, w.marked())
		}
	}
}

func TestATokenIsNotGivenToAnotherSection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, 0}, section{"two", dead[:len(dead)-1] + "2", 0})
	w.applyGiven(made.Token, w.target(0, rekey.RemedyGiven))
	w.write(section{"one", dead, 0}, section{"two", dead[:len(dead)-1] + "2", 0})
	w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepBegin })
	e := w.engine()
	e.Given = rekey.NewToken(made.Token) // meant for section two
	if _, err := e.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.sections()[0].Token; got != rekey.NewToken(dead) {
		t.Errorf("section one holds %s, want what it had: the token was given for another", got)
	}
}

func TestAGivenTokenIsKeptUntilItCanBeDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, 0})
	w.mute = true
	if first := w.applyGiven(made.Token, w.target(0, rekey.RemedyGiven)); first[0].Status != rekey.StatusOpen {
		t.Errorf("got %+v, want an open repair", first[0])
	}
	w.mute = false
	w.resume()
	if got := w.sections()[0].Token; got != rekey.NewToken(made.Token) {
		t.Errorf("the section holds %s, want the token that was given", got)
	}
}
