package matrix

import (
	"fmt"
	"net/http"
	"time"

	"rekey/internal/lab/labtest"
)

// recordScenarios are what became of the record in GitLab, and what it says.
var recordScenarios = []Scenario{
	{
		Cause: "record-deleted", Name: "deleted in the page",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Delete(r)
		},
		Cells: deletedCells,
	},
	{
		Cause: "record-deleted", Name: "unregistered by another host that shares the token",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.MustAs("", http.StatusNoContent, "DELETE", "runners", labtest.M{"token": r.Token}, nil)
		},
		Cells: deletedCells,
	},
	{
		Cause: "record-deleted", Name: "the newest of all",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Delete(r)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "record-deleted likely"},
			{Who: Alone, Verdict: "invalid", Answer: "record-deleted possible | rotated-elsewhere possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "rotated-elsewhere", Name: "reset in the page",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Ago(age, func() { w.Poll(r.Token, thisHost, w.Version+".0") })
			w.Config("host", thisHost, w.Planted(r))
			w.Reset(r)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "rotated-elsewhere likely"},
			{Who: Alone, Verdict: "invalid", Answer: "rotated-elsewhere possible | record-deleted possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "rotated-elsewhere", Name: "rotated by another host that shares the token",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Ago(age, func() { w.Poll(r.Token, thisHost, w.Version+".0") })
			w.Config("host", thisHost, w.Planted(r))
			var fresh labtest.Issued
			w.MustAs("", http.StatusCreated, "POST", "runners/reset_authentication_token", labtest.M{"token": r.Token}, &fresh)
			w.Poll(fresh.Token, otherHost, w.Version+".0")
		},
		Cells: []Cell{
			{Who: WithToken, Until: "16.11", Verdict: "invalid", Answer: "rotated-elsewhere likely"},
			{Who: WithToken, Verdict: "invalid", Answer: "rotated-elsewhere certain"},
			{Who: Alone, Verdict: "invalid", Answer: "rotated-elsewhere possible | record-deleted possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "token-expired", Name: "an instance runner's, that nobody rotated",
		Plant: func(w *World) { w.Config("host", thisHost, w.Planted(w.expiring("instance", 0))) },
		Cells: expiredCells,
	},
	{
		Cause: "token-expired", Name: "a project runner's, that was switched off over the date",
		Plant: func(w *World) {
			project, _ := w.Project(w.Unique("web"), 0)
			r := w.expiring("project", project)
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: expiredCells,
	},
	{
		Cause: "token-expired", Name: "expired, and reset in the page since",
		Plant: func(w *World) {
			r := w.expiring("instance", 0)
			w.Config("host", thisHost, w.Planted(r))
			w.Reset(r)
		},
		Cells: expiredCells,
	},
	{
		Cause: "token-expired", Name: "in a section written by hand, without dates",
		Plant: func(w *World) {
			s := w.Planted(w.expiring("instance", 0))
			s.Obtained, s.Expires = time.Time{}, time.Time{}
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "token-expired possible | rotated-elsewhere possible | server-restored possible | wrong-instance possible"},
			{Who: Alone, Verdict: "invalid", Answer: "token-expired possible | rotated-elsewhere possible | record-deleted possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "wrong-scope", Name: "a runner of another project",
		Plant: func(w *World) {
			api, _ := w.Project(w.Unique("api"), 0)
			_, web := w.Project(w.Unique("web"), 0)
			w.Config("host", thisHost, w.Planted(w.Made("project", api, nil)))
			w.Args = append(w.Args, "--expect-project", web)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "valid", Answer: "wrong-scope likely"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	},
	{
		Cause: "wrong-scope", Name: "a runner of another group",
		Plant: func(w *World) {
			one, two := w.Group(w.Unique("one"), 0), w.Group(w.Unique("two"), 0)
			_, web := w.Project(w.Unique("web"), two)
			w.Config("host", thisHost, w.Planted(w.Made("group", one, nil)))
			w.Args = append(w.Args, "--expect-project", web)
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "valid", Answer: "wrong-scope likely"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	},
	{
		Cause: "wrong-scope", Name: "an instance runner where a project's was meant",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Args = append(w.Args, "--expect-scope", "project")
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "valid", Answer: "wrong-scope certain"},
			{Since: "17.11", Verdict: "valid", Answer: "wrong-scope certain"}, // the token's text tells its scope
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	},
	idle("paused", labtest.M{"paused": true}, "certain"),
	idle("for protected branches only", labtest.M{"access_level": "ref_protected"}, "possible"),
	idle("for tagged jobs only", labtest.M{"run_untagged": false, "tag_list": []string{"gpu"}}, "possible"),
	skewed("a gitlab-runner of three years ago", "13.12.0"),
	skewed("a gitlab-runner newer than its GitLab", "20.1.0"),
	orphaned("the group was deleted under it", "group", false),
	orphaned("the project was deleted under it, and GitLab rejects orphans", "project", true),
}

var (
	deletedCells = []Cell{
		{Who: WithToken, Verdict: "invalid", Answer: "record-deleted likely"},
		{Who: Alone, Verdict: "invalid", Answer: "record-deleted possible | rotated-elsewhere possible | server-restored possible | wrong-instance possible"},
	}
	expiredCells = []Cell{
		{Who: WithToken, Verdict: "invalid", Answer: "token-expired certain"},
		{Who: Alone, Verdict: "invalid", Answer: "token-expired likely"},
	}
)

// expiring makes a runner long ago whose token is over.
func (w *World) expiring(scope string, owner int64) labtest.Issued {
	key := map[string]string{"instance": "runner_token_expiration_interval", "project": "project_runner_token_expiration_interval"}[scope]
	w.Setting(labtest.M{key: int((7 * 24 * time.Hour).Seconds())})
	defer w.Setting(labtest.M{key: nil})
	return w.Made(scope, owner, nil)
}

// idle is a runner whose own settings keep jobs from it.
func idle(name string, attributes labtest.M, confidence string) Scenario {
	return Scenario{
		Cause: "online-but-idle", Name: name,
		Plant: func(w *World) {
			r := w.Made("instance", 0, attributes)
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "valid", Answer: "online-but-idle " + confidence},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	}
}

// skewed is a runner of another age. Before 17.1 GitLab lists no managers, so that
// the version may be another host's.
func skewed(name, version string) Scenario {
	return Scenario{
		Cause: "version-skew", Name: name,
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Poll(r.Token, thisHost, version)
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{
			{Who: WithToken, Until: "16.11", Verdict: "valid", Answer: "version-skew likely"},
			{Who: WithToken, Verdict: "valid", Answer: "version-skew certain"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	}
}

// orphaned is a runner whose owner is gone.
func orphaned(name, scope string, rejects bool) Scenario {
	return Scenario{
		Cause: "runner-orphaned", Name: name,
		Plant: func(w *World) {
			var owner int64
			if scope == "group" {
				owner = w.Group(w.Unique("team"), 0)
			} else {
				owner, _ = w.Project(w.Unique("app"), 0)
			}
			w.Config("host", thisHost, w.Planted(w.Made(scope, owner, nil)))
			for flag, value := range map[string]bool{"lab_orphan_runners": true, "reject_orphaned_runners": rejects} {
				w.Must(http.StatusCreated, "POST", "features/"+flag, labtest.M{"value": value}, nil)
				w.Undo(func() { w.Must(http.StatusCreated, "POST", "features/"+flag, labtest.M{"value": false}, nil) })
			}
			w.Must(http.StatusAccepted, "DELETE", fmt.Sprintf("%ss/%d", scope, owner), nil, nil)
		},
		Cells: []Cell{
			{Until: "16.11", Answer: "not applicable: only GitLab 17.x to 18.x knows orphaned runners"},
			{Since: "19.3", Answer: "not applicable: only GitLab 17.x to 18.x knows orphaned runners"},
			{Until: "17.11", Verdict: "unknown", Answer: "runner-orphaned certain"},
			// From 18.7 on the probe does not look at the owner; the record does.
			{Who: WithToken, Verdict: "valid", Answer: "runner-orphaned likely"},
			{Who: Alone, Verdict: "valid", Answer: "unknown"},
		},
	}
}
