package lab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

const tooMany = `{"message":{"error":"This endpoint has been requested too many times. Try again later."}}`

// TestJobRateLimits: each endpoint has its own count per token and minute, idle
// polls from memory count too, and 0 switches off.
func TestJobRateLimits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	r, other := l.Runner("instance", 0, nil), l.Runner("instance", 0, nil)
	l.Setting(labtest.M{"runner_jobs_request_api_limit": 3, "runner_jobs_patch_trace_api_limit": 1, "runner_jobs_endpoints_api_limit": 2})
	poll := labtest.M{"token": r.Token, "system_id": "s_0123456789ab"}
	for i := range 3 {
		got := l.Call("POST", "jobs/request", "", poll)
		if got.Status != 204 {
			t.Fatalf("poll %d: got %d %s, want 204", i, got.Status, got.Body)
		}
		poll["last_update"] = got.Header.Get("X-GitLab-Last-Update")
	}
	got := l.Call("POST", "jobs/request", "", poll)
	if got.Status != 429 || got.Body != tooMany || got.Header.Get("Retry-After") != "60" {
		t.Errorf("fourth poll: got %d %s Retry-After %q, want 429 %s 60", got.Status, got.Body, got.Header.Get("Retry-After"), tooMany)
	}
	if got := l.Call("POST", "jobs/request", "", labtest.M{"token": other.Token}); got.Status != 204 {
		t.Errorf("another runner: got %d %s, want 204", got.Status, got.Body)
	}
	if got := l.Call("POST", "jobs/request", "", labtest.M{}); got.Status != 400 {
		t.Errorf("without a token: got %d, want 400 before any limit", got.Status)
	}
	for i, want := range []int{403, 403, 429} {
		if got := l.Call("PUT", "jobs/1", "", labtest.M{"token": "CANARY"}); got.Status != want {
			t.Errorf("update %d: got %d %s, want %d", i, got.Status, got.Body, want)
		}
	}
	for i, want := range []int{403, 429} {
		if got := raw(t, l, "PATCH", "/api/v4/jobs/1/trace", "text/plain", "x", "Job-Token", "CANARY", "Content-Range", "0-0"); got.Status != want {
			t.Errorf("trace %d: got %d %s, want %d", i, got.Status, got.Body, want)
		}
	}
	clock.advance(time.Minute)
	if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 {
		t.Errorf("next minute: got %d %s, want 204", got.Status, got.Body)
	}
	l.Setting(labtest.M{"runner_jobs_request_api_limit": 0})
	for range 5 {
		if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 {
			t.Errorf("limit 0: got %d %s, want 204", got.Status, got.Body)
		}
	}
	old := labtest.Start(t, labtest.Options{Version: "18.4"})
	old.Setting(labtest.M{"runner_jobs_endpoints_api_limit": 1})
	for range 3 {
		if got := old.Call("PUT", "jobs/1", "", labtest.M{"token": "CANARY"}); got.Status != 403 {
			t.Errorf("before 18.5: got %d, want 403", got.Status)
		}
	}
}

// TestThrottles are the general limits per user and per address: headers on every
// answer, plain text when over.
func TestThrottles(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	user := l.PAT(l.User("someone"), "api")
	r := l.Runner("instance", 0, nil)
	if got := l.Call("GET", "version", user, nil); got.Header.Get("RateLimit-Limit") != "" {
		t.Errorf("off by default: got RateLimit-Limit %q", got.Header.Get("RateLimit-Limit"))
	}
	l.Setting(labtest.M{"throttle_authenticated_api_enabled": true, "throttle_authenticated_api_requests_per_period": 5, "throttle_authenticated_api_period_in_seconds": 600,
		"throttle_unauthenticated_api_enabled": true, "throttle_unauthenticated_api_requests_per_period": 1, "throttle_unauthenticated_api_period_in_seconds": 60})
	got := l.Call("GET", "version", user, nil)
	for name, want := range map[string]string{"RateLimit-Limit": "1", "RateLimit-Name": "throttle_authenticated_api", "RateLimit-Observed": "1", "RateLimit-Remaining": "4",
		"RateLimit-Reset": fmt.Sprint(clock.Now().Unix() + 600)} {
		if h := got.Header.Get(name); h != want {
			t.Errorf("%s: got %q, want %q", name, h, want)
		}
	}
	for range 4 {
		l.Call("GET", "version", user, nil)
	}
	got = l.Call("GET", "version", user, nil)
	if got.Status != 429 || got.Body != "Retry later" || got.Header.Get("Content-Type") != "text/plain" || got.Header.Get("Retry-After") != "600" ||
		got.Header.Get("RateLimit-ResetTime") != clock.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat) {
		t.Errorf("over: got %d %q %v", got.Status, got.Body, got.Header)
	}
	if got := l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token}); got.Status != 204 || got.Header.Get("RateLimit-Limit") != "" {
		t.Errorf("a runner's poll: got %d with RateLimit-Limit %q, want 204 and none", got.Status, got.Header.Get("RateLimit-Limit"))
	}
	l.Call("GET", "version", "", nil)
	if got := l.Call("GET", "version", "", nil); got.Status != 429 || got.Header.Get("RateLimit-Name") != "throttle_unauthenticated_api" {
		t.Errorf("anonymous: got %d %s", got.Status, got.Header.Get("RateLimit-Name"))
	}
}

// TestMigrating: runner endpoints answer 429 before anything else, others go on.
func TestMigrating(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	r := l.Runner("instance", 0, nil)
	l.Must(201, "POST", "features/lab_migrating_runners", labtest.M{"value": true}, nil)
	for _, path := range []string{"jobs/request", "runners/verify", "runners"} {
		got := l.Call("POST", path, "", labtest.M{"token": r.Token, "last_update": "x"})
		if got.Status != 429 || got.Body != `{"message":"Executing database migrations. Please retry later."}` || got.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: got %d %s Retry-After %q", path, got.Status, got.Body, got.Header.Get("Retry-After"))
		}
	}
	if got := l.Call("GET", "runners", l.Admin, nil); got.Status != 200 {
		t.Errorf("user endpoint: got %d", got.Status)
	}
}

// TestLongPolling: a poll with the current value is held until something changes,
// and answered without a new value.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Dir: dir})
	if err := l.SetLongPolling(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	r := l.Runner("instance", 0, nil)
	poll := labtest.M{"token": r.Token, "system_id": "s_0123456789ab"}
	first := l.Call("POST", "jobs/request", "", poll)
	if first.Status != 204 || first.Header.Get("X-GitLab-Last-Update") == "" || first.Header.Get("Gitlab-Ci-Builds-Polling") != "yes" {
		t.Fatalf("first poll: got %d %v, want 204 with both headers", first.Status, first.Header)
	}
	poll["last_update"] = first.Header.Get("X-GitLab-Last-Update")
	answered := make(chan labtest.Answer)
	ask := func() { answered <- l.Call("POST", "jobs/request", "", poll) }
	go ask()
	for held := false; !held; { // an edit may come before the poll does, which then learns of it
		l.Must(200, "PUT", fmt.Sprintf("runners/%d", r.ID), labtest.M{"description": "edited"}, nil)
		select {
		case got := <-answered:
			if got.Status != 204 {
				t.Fatalf("held poll: got %d %s, want 204", got.Status, got.Body)
			}
			if value := got.Header.Get("X-GitLab-Last-Update"); value != "" {
				poll["last_update"] = value
				go ask()
				continue
			}
			held = true
		default:
		}
	}
	if got := l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "last_update": "x", "info": strings.Repeat("x", 33<<10)}); got.Status != 413 {
		t.Errorf("body over 32 KiB: got %d, want 413", got.Status)
	}
	if err := l.SetLongPolling(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	delete(poll, "last_update")
	poll["last_update"] = l.Call("POST", "jobs/request", "", poll).Header.Get("X-GitLab-Last-Update")
	if got := l.Call("POST", "jobs/request", "", poll); got.Status != 204 || got.Header.Get("X-GitLab-Last-Update") != "" {
		t.Errorf("time over: got %d, last update %q, want 204 without", got.Status, got.Header.Get("X-GitLab-Last-Update"))
	}
	l.Stop()
	if again := labtest.Start(t, labtest.Options{Version: "18.11", Dir: dir}); again.LongPolling() != time.Millisecond {
		t.Errorf("after a restart: polls held %s, want 1ms", again.LongPolling())
	}
}
