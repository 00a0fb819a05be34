package remedy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
)

func TestWhatTheRecordDidNotTakeIsTold(t *testing.T) {
	t.Parallel()
	for forget, want := range map[string]string{
		"":                 "",
		"access_level":     "access_level is not_protected, not ref_protected",
		"maximum_timeout":  "maximum_timeout is 0s, not 1h0m0s",
		"maintenance_note": "the maintenance note is another",
		"description":      "the description is",
	} {
		t.Run(forget, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.write(section{"one", dead, 0})
			target := w.target(0, rekey.RemedyCreate)
			target.Attributes.AccessLevel, target.Attributes.MaximumTimeout, target.Attributes.MaintenanceNote = "ref_protected", time.Hour, "ask the web team"
			w.forget = forget
			notes := strings.Join(w.apply(target)[0].Notes, "\n")
			if want == "" && notes != "" || !strings.Contains(notes, want) {
				t.Errorf("the notes are %q, want %q", notes, want)
			}
		})
	}
}

// replacedReset is a project runner of two projects whose reset lost its answer.
func (w *world) replacedReset(locked bool) (target rekey.Target, record labtest.Issued, second int64) {
	w.t.Helper()
	first, path := w.Project("one", 0)
	second, other := w.Project("two", 0)
	record = w.Runner("project", first, labtest.M{"tag_list": []string{"deploy"}})
	w.Must(201, "POST", fmt.Sprintf("projects/%d/runners", second), labtest.M{"runner_id": record.ID}, nil)
	w.write(section{"one", dead, record.ID})
	target = w.target(0, rekey.RemedyReset)
	refs := []rekey.Ref{{ID: first, Path: path}, {ID: second, Path: other}}
	target.Attributes = &rekey.Attributes{Scope: rekey.ScopeProject, Owner: refs[0], Projects: refs, Description: "one", Tags: []string{"deploy"}, Locked: locked}
	w.lose["reset"] = true
	return target, record, second
}

func TestAReplacedRecordStaysUntilTheNewOneServesItsProjects(t *testing.T) {
	t.Parallel()
	for _, locked := range []bool{false, true} {
		w := newWorld(t)
		target, record, second := w.replacedReset(locked)
		w.deny["assign"] = true
		first := w.apply(target)[0]
		if w.calls["delete"] != 0 || first.Status != rekey.StatusOpen || !strings.Contains(first.Reason, "two") {
			t.Errorf("locked %v: got %s after %d deletions (%s), want an open repair that names the project, and none", locked, first.Status, w.calls["delete"], first.Reason)
		}
		w.deny["assign"] = false
		again := w.resume()
		if len(again) != 1 || again[0].Status != rekey.StatusVerified {
			t.Fatalf("locked %v: got %+v, want verified", locked, again)
		}
		if missing := "is not assigned to " + target.Attributes.Projects[1].Path; !strings.Contains(strings.Join(first.Notes, ""), missing) || len(again[0].Notes) != 0 {
			t.Errorf("locked %v: the notes are %q, then %q, want %q and then nothing", locked, first.Notes, again[0].Notes, missing)
		}
		left := w.records("runners/all")
		if len(left) != 1 || left[0].ID == rekey.RunnerID(record.ID) || len(left[0].Projects) != 2 || left[0].Locked != locked {
			t.Errorf("locked %v: got %+v, want the new record alone, on both projects (the second is %d)", locked, left, second)
		}
	}
}

func TestARecordWithTooManyTagsIsNotReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	target := w.target(0, rekey.RemedyReset)
	for i := range 51 {
		target.Attributes.Tags = append(target.Attributes.Tags, fmt.Sprint("tag", i))
	}
	w.lose["reset"] = true
	r := w.apply(target)[0]
	if w.calls["create"] != 0 || r.Status != rekey.StatusOpen || !strings.Contains(r.Reason, "52 tags") {
		t.Errorf("got %+v after %d records were made, want an open repair that speaks of 52 tags, and none", r, w.calls["create"])
	}
}

func TestARefusalWhereManagersAreNotNamedSaysUntilWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	w.polls(rekey.NewToken(record.Token), ownSystem)
	w.unnamed = true
	seen := w.records("runners/all")[0].ContactedAt
	r := w.apply(w.target(0, rekey.RemedyReset))[0]
	until := seen.Add(2 * time.Hour).UTC().Format("15:04")
	if w.calls["reset"] != 0 || !strings.Contains(r.Reason, "two hours after its last contact") || !strings.Contains(r.Next, until) || !strings.Contains(r.Next, "--separate-record") {
		t.Errorf("got %+v after %d resets, want a refusal until %s", r, w.calls["reset"], until)
	}
}

func TestAResumeKeepsGitLabsTimeOfTheToken(t *testing.T) {
	t.Parallel()
	for _, r := range []rekey.Remedy{rekey.RemedyCreate, rekey.RemedyReset} {
		w := newWorld(t)
		record := w.Runner("instance", 0, nil)
		w.write(section{"one", dead, record.ID})
		w.issuedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		w.noReplace = true
		w.apply(w.target(0, r))
		w.noReplace = false
		w.resume()
		if got := w.sections()[0].ObtainedAt; !got.Equal(w.issuedAt) {
			t.Errorf("%s: token_obtained_at is %s, want GitLab's %s", r, got, w.issuedAt)
		}
	}
}

func TestOrphansAreLookedForAgainWhenGitLabAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	w.lose["create"], w.down["list"] = true, true
	r := w.apply(w.target(0, rekey.RemedyCreate))[0]
	if r.Status != rekey.StatusOpen || strings.Contains(r.Reason, "may not") || !strings.Contains(r.Next, "when GitLab answers") {
		t.Errorf("got %+v, want an open repair that waits for GitLab, not for another user token", r)
	}
	w.lose["create"], w.down["list"] = false, false
	if again := w.resume(); len(again) != 1 || again[0].Status != rekey.StatusVerified || len(w.records("runners/all")) != 1 {
		t.Errorf("got %+v and %d records, want verified and one", again, len(w.records("runners/all")))
	}
}
