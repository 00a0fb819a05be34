package lab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// TestRunnerTokenAnswers is the table of the endpoints that a runner's own token
// opens: every refused token is the same 403, never 401 or 404.
func TestRunnerTokenAnswers(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	r := l.Runner("instance", 0, nil)
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}, nil)
	const unknown = "glrt-CANARYunknown0000000"
	for _, c := range []struct {
		method, path string
		body         labtest.M
		status       int
		want         string
	}{
		{"POST", "runners/verify", labtest.M{}, 400, `{"error":"token is missing"}`},
		{"POST", "runners/verify", labtest.M{"token": unknown}, 403, forbidden},
		{"POST", "runners/verify", labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}, 200, fmt.Sprintf(`{"id":%d,"token":"%s","token_expires_at":null}`, r.ID, r.Token)},
		{"POST", "jobs/request", labtest.M{}, 400, `{"error":"token is missing"}`},
		{"POST", "jobs/request", labtest.M{"token": unknown, "last_update": "x"}, 403, forbidden},
		{"POST", "runners/reset_authentication_token", labtest.M{}, 400, `{"error":"token is missing"}`},
		{"POST", "runners/reset_authentication_token", labtest.M{"token": unknown}, 403, forbidden},
		{"DELETE", "runners/managers", labtest.M{"token": r.Token}, 400, `{"error":"system_id is missing"}`},
		{"DELETE", "runners/managers", labtest.M{"token": unknown, "system_id": "x"}, 403, forbidden},
		{"DELETE", "runners/managers", labtest.M{"token": r.Token, "system_id": "x"}, 404, `{"message":"404 Runner manager not found Not Found"}`},
		{"DELETE", "runners/managers", labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}, 204, ""},
		{"DELETE", "runners", labtest.M{"token": unknown}, 403, forbidden},
		{"DELETE", "runners", labtest.M{"token": r.Token}, 204, ""},
		{"POST", "runners/verify", labtest.M{"token": r.Token}, 403, forbidden},
		{"PUT", "jobs/999", labtest.M{"token": "CANARY", "state": "running"}, 403, forbidden},
	} {
		if got := l.Call(c.method, c.path, "", c.body); got.Status != c.status || got.Body != c.want {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, got.Status, got.Body, c.status, c.want)
		}
	}
}

// TestResetIsImmediate: the old token dies with the answer, also for polls that
// memory answered.
func TestResetIsImmediate(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	r := l.Runner("instance", 0, nil)
	poll := labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}
	poll["last_update"] = l.Call("POST", "jobs/request", "", poll).Header.Get("X-GitLab-Last-Update")
	if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 {
		t.Fatalf("idle poll: got %d", got.Status)
	}
	var reset labtest.Issued
	l.Must(201, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), nil, &reset)
	if got := l.Call("POST", "jobs/request", "", poll); got.Status != 403 {
		t.Errorf("poll with the old token: got %d, want 403", got.Status)
	}
	if got := l.Call("POST", "runners/verify", "", labtest.M{"token": reset.Token}); got.Status != 200 {
		t.Errorf("verify of the new token: got %d", got.Status)
	}
}

// TestDiscovery is the probe that writes nothing, from 18.7 on.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version      string
		good, bad    int
		wantGoodBody string
	}{
		{"18.6", 404, 404, `{"error":"404 Not Found"}`},
		{"18.7", 501, 403, `{"message":"Job Router is not available. Please contact your administrator."}`},
	} {
		l := labtest.Start(t, labtest.Options{Version: c.version})
		r := l.Runner("instance", 0, nil)
		probe := func(token string) labtest.Answer {
			req, err := http.NewRequestWithContext(t.Context(), "GET", l.URL+"/api/v4/runners/router/discovery", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Runner-Token", token)
			return l.Do(req)
		}
		if got := probe(r.Token); got.Status != c.good || got.Body != c.wantGoodBody {
			t.Errorf("%s good token: got %d %s, want %d", c.version, got.Status, got.Body, c.good)
		}
		if got := probe("glrt-CANARY"); got.Status != c.bad {
			t.Errorf("%s bad token: got %d, want %d", c.version, got.Status, c.bad)
		}
		if got := l.Call("GET", fmt.Sprintf("runners/%d/managers", r.ID), l.Admin, nil); got.Body != "[]" {
			t.Errorf("%s: the probe made a manager: %s", c.version, got.Body)
		}
	}
}

// TestExpiry: the shortest interval wins, an expired token is unknown even to its
// own reset, and a reset by id revives the record.
func TestExpiry(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Now: now.Now})
	group := l.Group("top", 0)
	sub := l.Group("sub", group)
	project, _ := l.Project("app", sub)
	if r := l.Runner("group", sub, nil); r.ExpiresAt != "" {
		t.Errorf("without settings: expires %s, want never", r.ExpiresAt)
	}
	l.Must(400, "PUT", fmt.Sprintf("groups/%d", group), labtest.M{"runner_token_expiration_interval": 7199}, nil)
	l.Setting(labtest.M{"runner_token_expiration_interval": 100000, "group_runner_token_expiration_interval": 50000, "project_runner_token_expiration_interval": 90000})
	l.Must(200, "PUT", fmt.Sprintf("groups/%d", group), labtest.M{"subgroup_runner_token_expiration_interval": 40000, "runner_token_expiration_interval": 30000, "project_runner_token_expiration_interval": 20000}, nil)
	for _, c := range []struct {
		scope   string
		owner   int64
		seconds int
	}{{"instance", 0, 100000}, {"group", group, 30000}, {"group", sub, 40000}, {"project", project, 20000}} {
		want := now.Now().Add(time.Duration(c.seconds) * time.Second).UTC().Format("2006-01-02T15:04:05.000Z")
		if r := l.Runner(c.scope, c.owner, nil); r.ExpiresAt != want {
			t.Errorf("%s %d: expires %s, want %s", c.scope, c.owner, r.ExpiresAt, want)
		}
	}
	r := l.Runner("project", project, nil)
	now.advance(20001 * time.Second)
	for _, path := range []string{"runners/verify", "runners/reset_authentication_token", "jobs/request"} {
		if got := l.Call("POST", path, "", labtest.M{"token": r.Token}); got.Status != 403 || got.Body != forbidden {
			t.Errorf("%s after expiry: got %d %s, want 403", path, got.Status, got.Body)
		}
	}
	var reset labtest.Issued
	l.Must(201, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), nil, &reset)
	if got := l.Call("POST", "runners/verify", "", labtest.M{"token": reset.Token}); got.Status != 200 || reset.ExpiresAt == "" {
		t.Errorf("after reset by id: verify %d, expires %q", got.Status, reset.ExpiresAt)
	}
}

// TestContactAndStatus: first contact at once, later ones at most every 40 to 55
// minutes, verify alone no contact before 18.1, and the words for it.
func TestContactAndStatus(t *testing.T) {
	t.Parallel()
	now := newClock()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "18.0", Now: now.Now, Dir: dir})
	r := l.Runner("instance", 0, nil)
	shown := func() (status string, contacted string) {
		t.Helper()
		var d struct {
			Status      string
			ContactedAt *string `json:"contacted_at"`
		}
		l.Must(200, "GET", fmt.Sprintf("runners/%d", r.ID), nil, &d)
		if d.ContactedAt == nil {
			return d.Status, ""
		}
		return d.Status, *d.ContactedAt
	}
	poll := labtest.M{"token": r.Token, "system_id": "s_CANARY000001", "info": labtest.M{"version": "18.0.1"}}
	l.MustAs("", 200, "POST", "runners/verify", poll, nil)
	if status, contacted := shown(); status != "never_contacted" || contacted != "" {
		t.Errorf("after verify at 18.0: got %s %q, want never_contacted", status, contacted)
	}
	l.MustAs("", 204, "POST", "jobs/request", poll, nil)
	first := now.Now().Format("2006-01-02T15:04:05.000Z")
	if status, contacted := shown(); status != "online" || contacted != first {
		t.Errorf("after the first poll: got %s %s, want online %s", status, contacted, first)
	}
	now.advance(39 * time.Minute)
	l.MustAs("", 204, "POST", "jobs/request", poll, nil)
	l.Stop() // what is in memory only goes with the process
	l = labtest.Start(t, labtest.Options{Version: "18.0", Now: now.Now, Dir: dir})
	if _, contacted := shown(); contacted != first {
		t.Errorf("39 minutes later: written contact %s, want the first, %s", contacted, first)
	}
	now.advance(17 * time.Minute)
	l.MustAs("", 204, "POST", "jobs/request", poll, nil)
	l.Stop()
	l = labtest.Start(t, labtest.Options{Version: "18.0", Now: now.Now, Dir: dir})
	if _, contacted := shown(); contacted == first {
		t.Error("56 minutes later: the contact was not written")
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{2*time.Hour - time.Second, "online"}, {time.Second, "offline"}, {7 * 24 * time.Hour, "stale"}} {
		now.advance(c.after)
		if status, _ := shown(); status != c.want {
			t.Errorf("later: got %s, want %s", status, c.want)
		}
	}
	l.MustAs("", 204, "POST", "jobs/request", poll, nil)
	l.Must(200, "PUT", fmt.Sprintf("runners/%d", r.ID), labtest.M{"paused": true}, nil)
	if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 {
		t.Errorf("poll of a paused runner: got %d, want 204", got.Status)
	}
	if status, _ := shown(); status != "paused" {
		t.Errorf("paused: got %s", status)
	}
}

// TestManagers: verify without a system id makes the manager <legacy>.
func TestManagers(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	r := l.Runner("instance", 0, nil)
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": r.Token}, nil)
	l.MustAs("", 204, "POST", "jobs/request", labtest.M{"token": r.Token, "system_id": "s_CANARY000001", "info": labtest.M{"version": "18.11.0"}}, nil)
	var managers []struct {
		SystemID string `json:"system_id"`
		Status   string
		Version  string
	}
	l.Must(200, "GET", fmt.Sprintf("runners/%d/managers", r.ID), nil, &managers)
	if got := fmt.Sprint(managers); got != "[{s_CANARY000001 online 18.11.0} {<legacy> never_contacted }]" {
		t.Errorf("managers: got %s", got)
	}
	if got := l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": strings.Repeat("x", 65)}); got.Status != 500 {
		t.Errorf("system id of 65 characters: got %d, want 500", got.Status)
	}
}
