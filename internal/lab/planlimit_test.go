package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// TestPlanLimits: both flows and the assignment refuse one runner too many, each
// in its own words, and abandoned runners free their place.
func TestPlanLimits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Profile: "self-managed", Now: clock.Now})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	other, _ := l.Project("other", group)
	movable := l.Runner("project", other, nil)
	l.Must(200, "PUT", "application/plan_limits", labtest.M{"plan_name": "default", "ci_registered_group_runners": 1, "ci_registered_project_runners": 1}, nil)
	var shown map[string]any
	l.Must(200, "GET", "application/plan_limits", nil, &shown)
	if shown["ci_registered_group_runners"] != 1.0 || shown["ci_registered_project_runners"] != 1.0 || shown["ci_project_subscriptions"] != 2.0 {
		t.Fatalf("limits: got %v", shown)
	}
	var tokens struct {
		Token string `json:"runners_token"`
	}
	register := func(kind string, id int64) labtest.Answer {
		l.Must(200, "GET", fmt.Sprintf("%ss/%d", kind, id), nil, &tokens)
		return l.Call("POST", "runners", "", labtest.M{"token": tokens.Token})
	}
	create := func(kind string, id int64) labtest.Answer {
		return l.Call("POST", "user/runners", l.Admin, labtest.M{"runner_type": kind + "_type", kind + "_id": id})
	}
	rows := []struct {
		name   string
		got    func() labtest.Answer
		status int
		want   string
	}{
		{"first of the group", func() labtest.Answer { return create("group", group) }, 201, ""},
		{"second of the group", func() labtest.Answer { return create("group", group) }, 400,
			`{"message":"400 Bad request - Runner namespaces base Maximum number of ci registered group runners (1) exceeded"}`},
		{"registered for the group", func() labtest.Answer { return register("group", group) }, 400,
			`{"message":{"runner_namespaces.base":["Maximum number of ci registered group runners (1) exceeded"]}}`},
		{"first of the project", func() labtest.Answer { return register("project", project) }, 201, ""},
		{"registered for the project", func() labtest.Answer { return register("project", project) }, 400,
			`{"message":{"runner_projects.base":["Maximum number of ci registered project runners (1) exceeded"]}}`},
		{"second of the project", func() labtest.Answer { return create("project", project) }, 400,
			`{"message":"400 Bad request - Runner projects base Maximum number of ci registered project runners (1) exceeded"}`},
		{"assigned to the project", func() labtest.Answer {
			return l.Call("POST", fmt.Sprintf("projects/%d/runners", project), l.Admin, labtest.M{"runner_id": movable.ID})
		}, 400, `{"message":"Validation failed: Maximum number of ci registered project runners (1) exceeded"}`},
		{"an instance runner", func() labtest.Answer { return create("instance", 0) }, 201, ""},
		{"after a week", func() labtest.Answer { clock.advance(8 * 24 * time.Hour); return create("group", group) }, 201, ""},
		{"no limit", func() labtest.Answer {
			l.Must(200, "PUT", "application/plan_limits", labtest.M{"plan_name": "default", "ci_registered_group_runners": 0}, nil)
			return create("group", group)
		}, 201, ""},
		{"unknown plan", func() labtest.Answer {
			return l.Call("PUT", "application/plan_limits", l.Admin, labtest.M{"plan_name": "x", "ci_active_jobs": 1})
		}, 400, `{"error":"plan_name does not have a valid value"}`},
		{"nothing to change", func() labtest.Answer {
			return l.Call("PUT", "application/plan_limits", l.Admin, labtest.M{"plan_name": "default"})
		}, 400, `{"error":"ci_instance_level_variables, ci_pipeline_size`},
		{"not an administrator", func() labtest.Answer {
			return l.Call("GET", "application/plan_limits", l.PAT(l.User("nobody"), "api"), nil)
		}, 403, forbidden},
	}
	for _, row := range rows {
		if got := row.got(); got.Status != row.status || !strings.HasPrefix(got.Body, row.want) {
			t.Errorf("%s: got %d %s, want %d %s", row.name, got.Status, got.Body, row.status, row.want)
		}
	}
}

// TestOwnTokenExpiry is token_expires_at and token_rotation_deadline.
func TestOwnTokenExpiry(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	in := func(d time.Duration) string { return clock.Now().Add(d).UTC().Format(time.RFC3339) }
	day := 24 * time.Hour
	for _, c := range []struct {
		name            string
		expire, rotate  string
		status          int
		want            string
		settingInterval any
	}{
		{"too soon", in(time.Minute), "", 400, `{"message":"400 Bad request - token_expires_at must be at least`, nil},
		{"too late", in(16 * day), "", 400, `{"message":"400 Bad request - token_expires_at is too far in the future (maximum is ` + in(15*day) + `)"}`, nil},
		{"beyond the setting", in(3 * day), "", 400, `{"message":"400 Bad request - token_expires_at is too far in the future (maximum is ` + in(day) + `)"}`, 86400},
		{"deadline alone", "", in(day), 400, `{"message":"400 Bad request - token_expires_at is required when token_rotation_deadline is specified"}`, nil},
		{"deadline past", in(day), in(-day), 400, `{"message":"400 Bad request - token_rotation_deadline cannot be in the past"}`, nil},
		{"deadline after expiry", in(day), in(2 * day), 400, `{"message":"400 Bad request - token_rotation_deadline must be less than or equal to token_expires_at"}`, nil},
		{"no time", "soon", "", 400, `{"error":"token_expires_at is invalid"}`, nil},
		{"fine", in(day), in(day / 2), 201, `{"id":`, nil},
	} {
		l.Setting(labtest.M{"runner_token_expiration_interval": c.settingInterval})
		body := labtest.M{"runner_type": "instance_type"}
		if c.expire != "" {
			body["token_expires_at"] = c.expire
		}
		if c.rotate != "" {
			body["token_rotation_deadline"] = c.rotate
		}
		if got := l.Call("POST", "user/runners", l.Admin, body); got.Status != c.status || !strings.HasPrefix(got.Body, c.want) {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.want)
		}
	}
	late := l.Runner("instance", 0, labtest.M{"token_expires_at": in(day), "token_rotation_deadline": in(day / 2)})
	soon := l.Runner("instance", 0, labtest.M{"token_expires_at": in(day), "token_rotation_deadline": in(day / 2)})
	if got := l.Call("POST", "runners/reset_authentication_token", "", labtest.M{"token": soon.Token}); got.Status != 201 || !strings.Contains(got.Body, `"token_expires_at":null`) {
		t.Errorf("rotation before the deadline: got %d %s", got.Status, got.Body)
	}
	clock.advance(13 * time.Hour)
	const over = `{"error":"Token rotation deadline has passed"}`
	if got := l.Call("POST", "runners/reset_authentication_token", "", labtest.M{"token": late.Token}); got.Status != 403 || got.Body != over {
		t.Errorf("rotation after the deadline: got %d %s, want 403 %s", got.Status, got.Body, over)
	}
	if got := l.Call("POST", fmt.Sprintf("runners/%d/reset_authentication_token", late.ID), l.Admin, nil); got.Status != 403 || got.Body != over {
		t.Errorf("reset after the deadline: got %d %s, want 403 %s", got.Status, got.Body, over)
	}
	old := labtest.Start(t, labtest.Options{Version: "18.9"})
	if made := old.Runner("instance", 0, labtest.M{"token_expires_at": in(time.Second), "token_rotation_deadline": in(-day)}); made.ExpiresAt != "" {
		t.Errorf("before 18.10: got expiry %q, want the parameters ignored", made.ExpiresAt)
	}
}

// TestFeatureFlags: what is set is listed with its gates and survives.
func TestFeatureFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Dir: dir})
	for _, c := range []struct {
		name, value string
		want        string
	}{
		{"job_router", "true", `{"name":"job_router","state":"on","gates":[{"key":"boolean","value":true}],"definition":{"name":"job_router","type":"development","default_enabled":false}}`},
		{"some_flag", "30", `{"name":"some_flag","state":"conditional","gates":[{"key":"boolean","value":false},{"key":"percentage_of_time","value":30}],"definition":null}`},
		{"some_flag", "false", `{"name":"some_flag","state":"off","gates":[{"key":"boolean","value":false}],"definition":null}`},
	} {
		if got := l.Call("POST", "features/"+c.name, l.Admin, labtest.M{"value": c.value}); got.Status != 201 || got.Body != c.want {
			t.Errorf("%s=%s: got %d %s, want 201 %s", c.name, c.value, got.Status, got.Body, c.want)
		}
	}
	if got := l.Call("POST", "features/x", l.PAT(l.User("nobody"), "api"), labtest.M{"value": true}); got.Status != 403 || got.Body != forbidden {
		t.Errorf("set by a user: got %d %s", got.Status, got.Body)
	}
	l.Stop()
	again := labtest.Start(t, labtest.Options{Version: "18.11", Dir: dir})
	var listed []struct{ Name string }
	again.Must(200, "GET", "features", nil, &listed)
	if len(listed) != 2 {
		t.Errorf("after a restart: got %v, want two flags", listed)
	}
	again.Must(204, "DELETE", "features/some_flag", nil, nil)
}
