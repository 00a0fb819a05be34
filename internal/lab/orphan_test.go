package lab_test

import (
	"fmt"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestOrphans: a runner whose owner is gone is told so in the versions that can
// have one, in the words of the flag.
func TestOrphans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version string
		reject  bool
		status  int
		want    string
	}{
		{"18.11", true, 403, `{"message":"403 Forbidden - Runner is orphaned"}`},
		{"18.11", false, 422, `{"message":"Runner is orphaned"}`},
	} {
		l := labtest.Start(t, labtest.Options{Version: c.version})
		group := l.Group("team", 0)
		project, _ := l.Project("app", 0)
		grouped, owned := l.Runner("group", group, nil), l.Runner("project", project, nil)
		l.Must(201, "POST", "features/lab_orphan_runners", labtest.M{"value": true}, nil)
		l.Must(201, "POST", "features/reject_orphaned_runners", labtest.M{"value": c.reject}, nil)
		l.Must(202, "DELETE", fmt.Sprintf("groups/%d", group), nil, nil)
		l.Must(202, "DELETE", fmt.Sprintf("projects/%d", project), nil, nil)
		for _, r := range []labtest.Issued{grouped, owned} {
			for _, path := range []string{"runners/verify", "jobs/request"} {
				if got := l.Call("POST", path, "", labtest.M{"token": r.Token}); got.Status != c.status || got.Body != c.want {
					t.Errorf("%s reject=%v: got %d %s, want %d %s", path, c.reject, got.Status, got.Body, c.status, c.want)
				}
			}
		}
	}
}

// TestOwnerGone: ownership moves to the oldest project left, and with the last
// one the runner goes.
func TestOwnerGone(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	first, _ := l.Project("first", 0)
	second, _ := l.Project("second", 0)
	third, _ := l.Project("third", 0)
	r := l.Runner("project", first, nil)
	for _, id := range []int64{third, second} {
		l.Must(201, "POST", fmt.Sprintf("projects/%d/runners", id), labtest.M{"runner_id": r.ID}, nil)
	}
	verify := func() int { return l.Call("POST", "runners/verify", "", labtest.M{"token": r.Token}).Status }
	l.Must(202, "DELETE", fmt.Sprintf("projects/%d", first), nil, nil)
	if got := verify(); got != 200 {
		t.Errorf("owner gone, two left: got %d, want 200", got)
	}
	if got := l.Call("DELETE", fmt.Sprintf("projects/%d/runners/%d", third, r.ID), l.Admin, nil); got.Status != 403 {
		t.Errorf("the next owner: got %d %s, want 403", got.Status, got.Body)
	}
	l.Must(204, "DELETE", fmt.Sprintf("projects/%d/runners/%d", second, r.ID), nil, nil)
	l.Must(202, "DELETE", fmt.Sprintf("projects/%d", third), nil, nil)
	if got := verify(); got != 403 {
		t.Errorf("last project gone: got %d, want 403", got)
	}
}

// TestDiscoveryFlags: 501 proves a token good, and the flags name a router.
func TestDiscoveryFlags(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	project, _ := l.Project("app", 0)
	owned, instance := l.Runner("project", project, nil), l.Runner("instance", 0, nil)
	ask := func(token string) labtest.Answer {
		return raw(t, l, "GET", "/api/v4/runners/router/discovery", "", "", "Runner-Token", token)
	}
	const unavailable = `{"message":"Job Router is not available. Please contact your administrator."}`
	check := func(name, token string, status int, want string) {
		t.Helper()
		if got := ask(token); got.Status != status || want != "" && got.Body != want {
			t.Errorf("%s: got %d %s, want %d %s", name, got.Status, got.Body, status, want)
		}
	}
	check("unknown", "glrt-CANARY", 403, forbidden)
	check("flags off", owned.Token, 501, unavailable)
	l.Must(201, "POST", "features/job_router", labtest.M{"value": true}, nil)
	check("flag on", owned.Token, 200, "")
	check("instance runner", instance.Token, 501, unavailable)
	l.Must(201, "POST", "features/job_router_instance_runners", labtest.M{"value": true}, nil)
	check("both flags", instance.Token, 200, "")
}
