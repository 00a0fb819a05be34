package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
	"rekey/internal/lab/labtest"
)

// open is what OpenFleet says.
func (w *world) open(in app.FleetInput) (*app.App, error) {
	w.t.Helper()
	a := app.New(func(name string) (string, bool) {
		v, ok := map[string]string{"GITLAB_HOST": w.URL, "GITLAB_TOKEN": w.Admin}[name]
		return v, ok
	}, "test")
	_, err := a.OpenFleet(w.t.Context(), in)
	return a, err
}

func text(s string) *string { return &s }

func moment(t *testing.T, s string) *fleet.Moment {
	t.Helper()
	m, err := fleet.ParseMoment(s)
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestOwnersFileIsBegunChangedAndJoined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	mine, nobodys, gone := w.Runner("instance", 0, labtest.M{"description": "build"}), w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
	path := filepath.Join(t.TempDir(), fleet.LedgerFile)
	a, _ := w.open(app.FleetInput{})
	in := app.FleetInput{Owners: path}
	ids := []rekey.RunnerID{rekey.RunnerID(mine.ID), rekey.RunnerID(gone.ID)}
	edit := app.OwnerEdit{Owner: text("team-ci"), RotatedAt: moment(t, "today"), Due: moment(t, "90d")}
	if _, err := a.SetOwner(t.Context(), in, ids, edit); err != nil {
		t.Fatal(err)
	}
	w.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", gone.ID), nil, nil)
	w.advance(100 * day)
	rows, err := a.Owners(t.Context(), app.OwnersInput{Fleet: in})
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v; want 3", len(rows), err)
	}
	if r := rows[0]; r.Owner != "team-ci" || r.CreatedBy != "root" || r.Known != fleet.KnownYes || !r.Overdue || r.Due.Sub(r.RotatedAt) != 90*day {
		t.Errorf("the runner with an owner: %+v", r)
	}
	if rows[1].Owner != "" || int64(rows[1].ID) != nobodys.ID || rows[2].Known != fleet.KnownGone {
		t.Errorf("got %+v, want one without an owner and one that is gone", rows[1:])
	}
	if _, err := a.SetOwner(t.Context(), in, ids, edit); rekey.KindOf(err) != rekey.KindNotFound {
		t.Errorf("writing down a record that is gone: %v, want not found", err)
	}
	if err := a.ForgetOwner(path, ids[1:]); err != nil {
		t.Errorf("forgetting it: %v", err)
	}
	if err := a.ForgetOwner(path, ids[1:]); rekey.KindOf(err) != rekey.KindNotFound {
		t.Errorf("forgetting it again: %v, want not found", err)
	}
}

// TestOwnersFileThatCannotServeIsRefused: the same id is another runner there,
// and "keep" would spare the wrong one.
func TestOwnersFileThatCannotServeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		kind rekey.Kind
		want string
	}{
		"of another GitLab": {"schema: rekey.owners/1\ngitlab: https://gitlab.example.com\n", rekey.KindConflict, "is about https://gitlab.example.com"},
		"broken":            {"schema: [", rekey.KindInvalid, "no YAML"},
		"twice":             {"schema: rekey.owners/1\nrunners:\n  1: {}\n  1: {}\n", rekey.KindInvalid, "named twice"},
		"UTF-16":            {"\xff\xfes\x00c\x00", rekey.KindInvalid, "owners file"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := w.open(app.FleetInput{Owners: path})
		if rekey.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.kind, c.want)
		}
		_, err = a.SetOwner(t.Context(), app.FleetInput{Owners: path}, []rekey.RunnerID{1}, app.OwnerEdit{Owner: text("x")})
		if after, _ := os.ReadFile(path); err == nil || string(after) != c.text {
			t.Errorf("%s: set gives %v and leaves %q, want an error and the file as it was", name, err, after)
		}
	}
	if _, err := w.open(app.FleetInput{Owners: filepath.Join(dir, "absent")}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("a file that was named and is not there: %v, want invalid", err)
	}
	if _, err := w.open(app.FleetInput{Owners: dir}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("a directory: %v, want invalid", err)
	}
}

// TestKeepSparesFromPruning follows the word from the file to the plan.
func TestKeepSparesFromPruning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "17.11")
	r := w.Runner("instance", 0, nil)
	w.contact(r)
	path, keep := filepath.Join(t.TempDir(), "owners.yaml"), true
	a, _ := w.open(app.FleetInput{})
	if _, err := a.SetOwner(t.Context(), app.FleetInput{Owners: path}, []rekey.RunnerID{rekey.RunnerID(r.ID)}, app.OwnerEdit{Keep: &keep}); err != nil {
		t.Fatal(err)
	}
	w.advance(60 * day)
	plan := w.plan(w.fleet(w.Admin, app.FleetInput{Owners: path}), fleet.PruneRule{OlderThan: 30 * day})
	if len(plan.Delete) != 0 || len(plan.Spare) != 1 || plan.Spare[0].Why != "the owners file says keep" {
		t.Errorf("got %+v, want it spared", plan)
	}
}

// TestSelectExpiring: expiry by the instance setting, and what a contact disproves.
func TestSelectExpiring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	before := w.Runner("instance", 0, nil)
	w.Setting(labtest.M{"runner_token_expiration_interval": int64(90 * 24 * 3600)})
	soon := w.Runner("instance", 0, nil)
	w.contact(before)
	w.contact(soon)
	w.advance(85 * day)
	late := w.Runner("instance", 0, nil)
	marks := []fleet.Mark{fleet.MarkExpiring}
	o, err := w.fleet(w.Admin, app.FleetInput{}).Select(t.Context(), marks, 7*day)
	if err != nil || len(o.Shown) != 2 {
		t.Fatalf("%+v, %v; want the two of 85 days ago", o, err)
	}
	for _, s := range o.Shown {
		if int64(s.Record.Runner.ID) == late.ID || s.Remarks[len(s.Remarks)-1].Confidence != rekey.Possible {
			t.Errorf("shown %+v, want not the new one, and an estimate called possible", s)
		}
	}
	w.advance(10 * day)
	w.contact(before) // its token was issued before the setting, and lives on
	o, err = w.fleet(w.Admin, app.FleetInput{}).Select(t.Context(), marks, time.Hour)
	if err != nil || len(o.Shown) != 1 || int64(o.Shown[0].Record.Runner.ID) != soon.ID {
		t.Errorf("%+v, %v; want only the one that was silent since", o.Shown, err)
	}
}

func TestExpiryOfAGroupThatRESTDoesNotShowIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.5")
	w.Group("team", 0)
	puts := 0
	w.on(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.Method == http.MethodPut:
			puts++
		case strings.HasSuffix(r.URL.Path, "/groups/team"):
			rw.Header().Set("Content-Type", "application/json")
			_, _ = rw.Write([]byte(`{"id":2,"full_path":"team"}`))
			return
		}
		next.ServeHTTP(rw, r)
	})
	a, _ := w.open(app.FleetInput{})
	e, err := a.OpenExpiry(t.Context(), app.Access{}, "team", "")
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := e.ParseExpiry("group=90d")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(t.Context(), []app.ExpirySetting{wanted}); err == nil || !strings.Contains(rekey.HintOf(err), "GraphQL") || puts != 0 {
		t.Errorf("got %v after %d PUTs, want a refusal that names GraphQL after none", err, puts)
	}
	for _, bad := range []string{"group", "nobody=90d", "group=1h", "group=-1d", "group=", "=90d"} {
		if _, err := e.ParseExpiry(bad); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
	}
}
