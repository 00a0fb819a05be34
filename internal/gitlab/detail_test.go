package gitlab_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/lab/labtest"
)

func TestDetailsAreInOrderAndTellWhatIsGone(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.5", Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC) }})
	ids := []rekey.RunnerID{999}
	for range 40 {
		ids = append(ids, rekey.RunnerID(l.Runner("instance", 0, nil).ID))
	}
	done := make(chan int, 100)
	found, err := client(t, l.URL, l.Admin).Details(t.Context(), ids, func(n, _ int) { done <- n })
	if err != nil || len(found) != len(ids) || len(done) != len(ids) {
		t.Fatalf("%d details, %d reports, %v; want %d of each", len(found), len(done), err, len(ids))
	}
	for i, d := range found[1:] {
		if d.Err != nil || d.Runner.ID != ids[i+1] || !d.ManagersKnown || d.Runner.Creator != "root" || !d.ReadAt.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
			t.Fatalf("detail %d: %+v, want runner %d by root, read by the server's clock", i, d, ids[i+1])
		}
	}
	if rekey.KindOf(found[0].Err) != rekey.KindNotFound {
		t.Errorf("a record that is not there: %v, want not found", found[0].Err)
	}
	if _, err := client(t, l.URL, "glpat-CANARYCANARYCANARY00").Details(t.Context(), ids, nil); rekey.KindOf(err) != rekey.KindDenied {
		t.Errorf("with a token of nobody: %v, want denied", err)
	}
}

func TestCreatorIsToldFromNobodyAndFromNotTold(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"17.11": false, "18.5": true} {
		l := labtest.Start(t, labtest.Options{Version: version, Profile: "self-managed"})
		made, legacy := l.Runner("instance", 0, nil), l.Register(nil)
		c := client(t, l.URL, l.Admin)
		a, b := c.Detail(t.Context(), rekey.RunnerID(made.ID)).Runner, c.Detail(t.Context(), rekey.RunnerID(legacy.ID)).Runner
		if a.CreatorKnown != known || b.CreatorKnown != known || b.Creator != "" || (a.Creator == "root") != known {
			t.Errorf("%s: created %q (%v), registered %q (%v); want known: %v", version, a.Creator, a.CreatorKnown, b.Creator, b.CreatorKnown, known)
		}
	}
}

func TestDeleteOfAChangedRecordIsAConflict(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.5"})
	made, c := l.Runner("instance", 0, nil), client(t, l.URL, l.Admin)
	read := c.Detail(t.Context(), rekey.RunnerID(made.ID)).ReadAt
	l.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", made.ID), labtest.M{"description": "changed"}, nil)
	if err := c.DeleteRunnerUnchanged(t.Context(), rekey.RunnerID(made.ID), read); rekey.KindOf(err) != rekey.KindConflict {
		t.Errorf("a record changed in the second of reading: %v, want a conflict", err)
	}
	if err := c.DeleteRunnerUnchanged(t.Context(), rekey.RunnerID(made.ID), time.Now().Add(time.Hour)); err != nil {
		t.Errorf("an unchanged record: %v", err)
	}
}

func TestExpirySettings(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.5"})
	c := client(t, l.URL, l.Admin)
	_, project := l.Project("app", l.Group("team", 0))
	for _, reach := range []gitlab.ExpiryReach{{Reach: gitlab.ReachInstance}, {Reach: gitlab.ReachProject, Owner: project}} {
		before, err := c.ExpirySettings(t.Context(), reach)
		if err != nil || !before[0].Known || before[0].Interval != 0 {
			t.Fatalf("%v before: %+v, %v; want never", reach, before, err)
		}
		key := before[len(before)-1].Key
		after, err := c.SetExpiry(t.Context(), reach, map[string]time.Duration{key: 90 * 24 * time.Hour})
		if got := after[len(after)-1]; err != nil || got.Interval != 90*24*time.Hour {
			t.Errorf("%v after: %+v, %v; want 90 days", reach, after, err)
		}
		after, err = c.SetExpiry(t.Context(), reach, map[string]time.Duration{key: 0})
		if got := after[len(after)-1]; err != nil || !got.Known || got.Interval != 0 {
			t.Errorf("%v taken back: %+v, %v; want never", reach, after, err)
		}
	}
	_, err := client(t, l.URL, l.PAT(l.User("someone"), "api")).ExpirySettings(t.Context(), gitlab.ExpiryReach{Reach: gitlab.ReachInstance})
	if rekey.KindOf(err) != rekey.KindDenied {
		t.Errorf("for somebody: %v, want denied", err)
	}
}
