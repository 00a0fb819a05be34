package remedy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

func (w *world) abort() remedy.Aborted {
	w.t.Helper()
	done, err := w.engine().Abort(w.t.Context())
	if err != nil {
		w.t.Fatalf("abort: %v", err)
	}
	return done
}

// Wherever a repair that makes a record was cut, giving it up leaves neither the
// record nor the edit.
func TestAbortLeavesNoRecordThatNobodyHolds(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*world, rekey.Target){
		"answer lost":   func(w *world, t rekey.Target) { w.lose["create"], w.deny["list"] = true, true; w.apply(t) },
		"not delivered": func(w *world, t rekey.Target) { w.noReplace = true; w.apply(t) },
		"sealed alone":  func(w *world, t rekey.Target) { w.interrupted(t) },
		"not proved":    func(w *world, t rekey.Target) { w.mute = true; w.apply(t) },
	} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		plant(w, w.target(0, rekey.RemedyCreate))
		w.deny["list"], w.noReplace, w.mute, w.lose["create"] = false, false, false, false
		done := w.abort()
		if n := len(w.records("runners/all")); n != 0 || len(done.Undone) != 1 {
			t.Errorf("%s: %d records are left and %d operations given up (%+v), want none and one", name, n, len(done.Undone), done)
		}
		if got := w.sections()[0].Token; got != rekey.NewToken(dead) && name != "sealed alone" { // there the journal does not know of the edit
			t.Errorf("%s: the section holds %s, want the token from before", name, got)
		}
		if open := w.resume(); len(open) != 0 {
			t.Errorf("%s: still open: %+v", name, open)
		}
	}
}

// A record that others came to use is theirs.
func TestAbortSparesARecordInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.mute = true
	w.apply(w.target(0, rekey.RemedyCreate))
	w.mute = false
	token := w.sections()[0].Token
	w.polls(token, "s_ba9876543210")
	done := w.abort()
	if !w.accepted(token) || !strings.Contains(done.Undone[0].Text, "in use") {
		t.Errorf("the record is there: %v (%s), want it there because it is in use", w.accepted(token), done.Undone[0].Text)
	}
}

// A reset cannot be taken back: the new token goes into the section, so that the
// record has a holder and the token is not lost.
func TestAbortBringsAResetToItsEnd(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*world, rekey.Target){
		"not delivered": func(w *world, t rekey.Target) { w.noReplace = true; w.apply(t) },
		"not proved":    func(w *world, t rekey.Target) { w.mute = true; w.apply(t) },
		"replaced": func(w *world, t rekey.Target) {
			w.lose["reset"], w.noReplace = true, true
			w.apply(t)
		},
	} {
		w := newWorld(t)
		record := w.Runner("instance", 0, nil)
		w.write(section{"one", dead, record.ID})
		plant(w, w.target(0, rekey.RemedyReset))
		w.noReplace, w.mute, w.lose["reset"] = false, false, false
		done := w.abort()
		if len(done.Finished) != 1 || done.Finished[0].Status != rekey.StatusVerified {
			t.Fatalf("%s: got %+v, want one repair brought to its end", name, done)
		}
		if got := w.sections()[0].Token; !w.accepted(got) || len(w.records("runners/all")) != 1 || w.marked() != 0 {
			t.Errorf("%s: the section holds %s (accepted: %v), %d records, %d marked; want an accepted one, 1 and 0",
				name, got, w.accepted(got), len(w.records("runners/all")), w.marked())
		}
		if w.calls["reset"] != 1 {
			t.Errorf("%s: %d resets, want 1", name, w.calls["reset"])
		}
	}
}

func TestAbortKeepsAFileThatOthersWroteSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.mute = true
	w.apply(w.target(0, rekey.RemedyCreate))
	w.mute = false
	w.write(section{"one", "glrt-CANARYanothertoken00", 0})
	done, err := w.engine().Abort(t.Context())
	if err == nil || len(done.Undone) != 1 || w.sections()[0].Token != rekey.NewToken("glrt-CANARYanothertoken00") {
		t.Errorf("got %+v, %v, the section holds %s; want an error and the file as somebody else wrote it", done, err, w.sections()[0].Token)
	}
}

func TestNothingOpenIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.engine().Abort(t.Context())
	_, rerr := w.engine().ResumeOpen(t.Context())
	for _, e := range []error{err, rerr} {
		if rekey.KindOf(e) != rekey.KindNotFound || rekey.HintOf(e) == "" {
			t.Errorf("got %v, want an error of kind not found with a hint", e)
		}
	}
}

func (w *world) summaries() []remedy.Summary {
	w.t.Helper()
	store, err := remedy.ReadStore(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := store.Summaries()
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestTheJournalIsToldInWordsWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID}, section{"two", "glrt-CANARYdeaddeaddead01", 0})
	w.lose["reset"] = true
	w.apply(w.target(0, rekey.RemedyReset), w.target(1, rekey.RemedyCreate))
	text := ""
	for _, s := range w.summaries() {
		if s.State != remedy.StateEnded || s.Held != "" || s.Done != s.Steps && s.Target.Name == "two" {
			t.Errorf("%s: got %+v, want an operation that ended with all its steps and is not held", s.Operation, s)
		}
		for _, l := range s.Lines {
			text += l.Text + "\n"
		}
	}
	for _, s := range append(w.sections(), w.sections()...) {
		if strings.Contains(text, s.Token.Reveal()) {
			t.Errorf("the journal's text holds a token")
		}
	}
	for _, want := range []string{"begun: reset of section \"one\"", "about to: reset the token", "the answer to the reset was lost", "sealed", "done: edit", "over: verified"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// What is unfinished stays, and so does a token that may have no other copy; a
// later reset of the same record lets it go.
func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	names := func(list []remedy.Summary) (names []string) {
		for _, s := range list {
			names = append(names, s.Target.Name)
		}
		slices.Sort(names)
		return names
	}
	prunable := func() (gone, stay []string) {
		g, s := remedy.Prunable(w.summaries(), w.clock.Now().Add(48*time.Hour), 24*time.Hour)
		return names(g), names(s)
	}
	w.write(section{"undone", dead, record.ID}, section{"open", "glrt-CANARYdeaddeaddead01", 0}, section{"done", "glrt-CANARYdeaddeaddead02", 0})
	targets := []rekey.Target{w.target(0, rekey.RemedyReset), w.target(1, rekey.RemedyCreate), w.target(2, rekey.RemedyCreate)}
	targets[0].Causes = []rekey.Cause{rekey.RotatedElsewhere} // the token from before was refused
	w.apply(targets[0])
	w.undo()
	w.clock.now = w.clock.now.Add(time.Minute)
	w.apply(targets[2])
	w.clock.now = w.clock.now.Add(time.Minute)
	w.mute = true
	w.apply(targets[1])
	w.mute = false
	if gone, stay := prunable(); !slices.Equal(gone, []string{"done"}) || !slices.Equal(stay, []string{"open", "undone"}) {
		t.Errorf("go %v, stay %v; want [done] and [open undone]", gone, stay)
	}
	if gone, _ := remedy.Prunable(w.summaries(), w.clock.Now(), 24*time.Hour); len(gone) != 0 {
		t.Errorf("young journals go: %v", names(gone))
	}
	w.clock.now = w.clock.now.Add(time.Minute)
	w.apply(w.target(0, rekey.RemedyReset))
	if gone, stay := prunable(); !slices.Equal(gone, []string{"done", "undone", "undone"}) || !slices.Equal(stay, []string{"open"}) {
		t.Errorf("after a later reset: go %v, stay %v; want [done undone undone] and [open]", gone, stay)
	}
}

// A run ends after so many failures: what was not begun is not begun.
func TestARunStopsAfterSoManyFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var sections []section
	for i := range 40 {
		sections = append(sections, section{fmt.Sprint("s", i), fmt.Sprintf("glrt-CANARYdead%012d", i), 0})
	}
	w.write(sections...)
	var targets []rekey.Target
	for i := range sections {
		targets = append(targets, w.target(i, rekey.RemedyCreate))
	}
	w.deny["create"] = true
	e := w.engine()
	e.Options.AbortAfter = 3
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	if tried := w.calls["create"]; tried < 3 || tried > 16 {
		t.Errorf("%d records were asked for, want at least 3 and no more than are begun side by side", tried)
	}
	last := results[len(results)-1]
	if last.Status != rekey.StatusFailed || !strings.Contains(last.Reason, "not begun") {
		t.Errorf("the last is %+v, want it not begun", last)
	}
	if open := w.resume(); len(open) != 0 {
		t.Errorf("still open: %+v", open)
	}
}

// So does one whose resets are all answered by nothing: each costs a runner its
// record.
func TestARunStopsAfterSoManyLostResets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var sections []section
	for i := range 40 {
		r := w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}})
		sections = append(sections, section{fmt.Sprint("s", i), fmt.Sprintf("glrt-CANARYdead%012d", i), r.ID})
	}
	w.write(sections...)
	var targets []rekey.Target
	for i := range sections {
		targets = append(targets, w.target(i, rekey.RemedyReset))
	}
	w.lose["reset"] = true
	e := w.engine()
	e.Options.AbortAfter = 3
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	if tried := w.calls["reset"]; tried < 3 || tried > 16 {
		t.Errorf("%d resets were sent, want at least 3 and no more than are begun side by side", tried)
	}
	if last := results[len(results)-1]; last.Status != rekey.StatusFailed || !strings.Contains(last.Reason, "lost the answer") {
		t.Errorf("the last is %+v, want it not begun", last)
	}
}
