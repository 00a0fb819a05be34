package remedy_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
)

// polls is a manager of that system id at work.
func (w *world) polls(token rekey.Token, id rekey.SystemID) {
	w.t.Helper()
	w.Call("POST", "jobs/request", "", labtest.M{"token": token.Reveal(), "system_id": string(id), "info": labtest.M{"name": "gitlab-runner"}})
}

func (w *world) undo() string {
	w.t.Helper()
	done, err := w.engine().Undo(w.t.Context(), "")
	if err != nil || len(done) != 1 {
		w.t.Fatalf("undo: got %+v, %v, want one operation undone", done, err)
	}
	return done[0].Text
}

func TestUndoDeletesARecordOnlyIfNobodyElseUsesIt(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		w.apply(w.target(0, rekey.RemedyCreate))
		token := w.sections()[0].Token
		w.polls(token, ownSystem)
		if shared {
			w.polls(token, "s_ba9876543210")
		}
		text := w.undo()
		if w.accepted(token) != shared || w.sections()[0].Token != rekey.NewToken(dead) {
			t.Errorf("shared %v: the record is there: %v, the section holds %s (%s), want it there only when shared, and the old token",
				shared, w.accepted(token), w.sections()[0].Token, text)
		}
	}
}

// A rotation by reset has killed a good token: putting it back would lock the runner out,
// whether the rotation has come to its end or not. What was refused before may come back.
func TestUndoLeavesARotatedSectionItsToken(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, c := range map[string]struct {
		causes   []rekey.Cause
		open     bool
		want, of string
	}{
		"rotated":             {want: "`rekey rotate`", of: "new"},
		"rotated, not proved": {open: true, want: "`rekey fix --resume`", of: "new"},
		"repaired":            {causes: []rekey.Cause{rekey.RotatedElsewhere}, of: "old"},
	} {
		w := all.fresh()
		record := w.Runner("instance", 0, nil)
		w.write(section{"one", record.Token, record.ID})
		target := w.target(0, rekey.RemedyReset)
		target.Causes = c.causes
		w.mute = c.open
		w.apply(target)
		w.mute = false
		done, err := w.engine().Undo(t.Context(), "")
		if (err != nil) != (c.want != "") || err != nil && (len(done) != 1 || !strings.Contains(rekey.HintOf(done[0].Err), c.want)) {
			t.Errorf("%s: got %+v, %v, want the hint %q", name, done, err, c.want)
		}
		token := w.sections()[0].Token
		if isOld := token == rekey.NewToken(record.Token); isOld != (c.of == "old") || w.accepted(token) == isOld {
			t.Errorf("%s: the section holds %s, want the %s token", name, token, c.of)
		}
	}
}

func TestUndoGivesUpWhatIsOpen(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*world){
		"lost answer":   func(w *world) { w.lose["create"], w.deny["list"] = true, true },
		"not delivered": func(w *world) { w.noReplace = true },
	} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		plant(w)
		w.apply(w.target(0, rekey.RemedyCreate))
		w.deny["list"], w.noReplace = false, false
		text := w.undo()
		if n := len(w.records("runners/all")); n != 0 {
			t.Errorf("%s: %d records are left (%s), want none", name, n, text)
		}
		if open := w.resume(); len(open) != 0 {
			t.Errorf("%s: still open: %+v", name, open)
		}
	}
}

func TestUndoTakesTheMarkerOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, 0})
	w.onJobs = func() { w.deny["update"] = true } // the tag cannot be taken off again for now
	if r := w.applyGiven(made.Token, w.target(0, rekey.RemedyGiven)); r[0].Status != rekey.StatusOpen || w.marked() != 1 {
		t.Fatalf("got %+v and %d marked records, want an open repair and one", r, w.marked())
	}
	w.deny["update"] = false
	if text := w.undo(); w.marked() != 0 {
		t.Errorf("%d records still wear the marker (%s), want none", w.marked(), text)
	}
}

func TestAnUndoIsRepeatedForARecordThatCouldNotBeDeleted(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*world, bool){
		"no user token":   func(w *world, on bool) { w.offline = on },
		"GitLab is down":  func(w *world, on bool) { w.down["delete"], w.down["managers"] = on, on },
		"may not delete":  func(w *world, on bool) { w.deny["delete"] = on },
		"nobody is named": func(w *world, on bool) { w.unnamed = on },
	} {
		w := newWorld(t)
		w.write(section{"one", dead, 0})
		w.apply(w.target(0, rekey.RemedyCreate))
		made := w.sections()[0].Token
		w.polls(made, ownSystem)
		plant(w, true)
		done, err := w.engine().Undo(t.Context(), "")
		if err == nil || len(done) != 1 || !strings.Contains(err.Error(), "is still there") || !strings.Contains(rekey.HintOf(err), "--undo --run") {
			t.Errorf("%s: got %+v, %v (%s), want that the record is still there and how to repeat", name, done, err, rekey.HintOf(err))
		}
		if got := w.sections()[0].Token; got != rekey.NewToken(dead) {
			t.Errorf("%s: the section holds %s, want what it had", name, got)
		}
		w.write(section{"one", dead[:len(dead)-1] + "2", 0}) // somebody repairs it meanwhile
		if open := w.resume(); len(open) != 0 {
			t.Errorf("%s: a repair that is being undone was resumed: %+v", name, open)
		}
		if n, err := w.engine().Prune(-time.Hour); n != 0 || err != nil {
			t.Errorf("%s: %d journals pruned (%v), want the open one kept", name, n, err)
		}
		plant(w, false)
		text := w.undo()
		if n := len(w.records("runners/all")); n != 0 || w.sections()[0].Token != rekey.NewToken(dead[:len(dead)-1]+"2") {
			t.Errorf("%s: %d records are left and the section holds %s (%s), want none and what somebody put there", name, n, w.sections()[0].Token, text)
		}
		if _, err := w.engine().Undo(t.Context(), ""); rekey.KindOf(err) != rekey.KindNotFound {
			t.Errorf("%s: a third undo: %v, want that there is nothing to undo", name, err)
		}
	}
}

func TestOneRecordThatStaysDoesNotKeepTheOtherConfigsFromUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0}, section{"two", dead[:len(dead)-1] + "2", 0})
	before, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(w.target(0, rekey.RemedyCreate), w.target(1, rekey.RemedyCreate))
	w.deny["delete"] = true
	done, err := w.engine().Undo(t.Context(), "")
	if after, rerr := os.ReadFile(w.config); err == nil || len(done) != 2 || rerr != nil || string(after) != string(before) {
		t.Errorf("got %+v, %v, and the config\n%s\nwant two records that stay and\n%s", done, err, after, before)
	}
}

func TestARepairThatIsBeingUndoneIsNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.noReplace = true
	w.apply(w.target(0, rekey.RemedyCreate))
	w.noReplace, w.offline = false, true
	if _, err := w.engine().Undo(t.Context(), ""); err == nil {
		t.Fatal("the undo without a user token had no error")
	}
	w.offline = false
	if r := w.resume(); len(r) != 0 || w.sections()[0].Token != rekey.NewToken(dead) {
		t.Errorf("got %+v and the token %s, want nothing resumed and the old token", r, w.sections()[0].Token)
	}
	if text := w.undo(); len(w.records("runners/all")) != 0 {
		t.Errorf("the record is still there (%s)", text)
	}
}

func TestARepeatedUndoKeepsARecordThatTheConfigRefersTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.apply(w.target(0, rekey.RemedyCreate))
	made := w.sections()[0]
	w.offline = true
	if _, err := w.engine().Undo(t.Context(), ""); err == nil {
		t.Fatal("the undo without a user token had no error")
	}
	w.offline = false
	w.write(section{"one", made.Token.Reveal(), int64(made.ID)})
	if text := w.undo(); !w.accepted(made.Token) {
		t.Errorf("the record that the config refers to was deleted (%s)", text)
	}
}

func TestAnUndoThatWasInterruptedIsDoneAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.apply(w.target(0, rekey.RemedyCreate))
	w.write(section{"one", dead, 0}, section{"two", dead[:len(dead)-1] + "2", 0}) // put back, and edited by somebody
	w.undo()
	if n := len(w.records("runners/all")); n != 0 || len(w.sections()) != 2 {
		t.Errorf("%d records and %d sections, want none and 2", n, len(w.sections()))
	}
}
