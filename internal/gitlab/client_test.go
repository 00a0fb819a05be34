package gitlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
)

const userToken = "glpat-CANARYuseruseruser1"

func testClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := NewClient(Options{URL: url, Token: rekey.NewToken(userToken), Now: time.Now, UserAgent: "rekey/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sweep fails the test when a token is in the error or in its chain.
func sweep(t *testing.T, err error) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v %s", err, err, rekey.HintOf(err)); strings.Contains(text, "CANARY") {
		t.Errorf("the error holds a token: %s", text)
	}
}

func TestNewClientRefusesWhatIsNoUserToken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "glrt-CANARYaaaaaaaaaaaaaa", "glpat-CANARY\n", "GR1348941CANARYaaaaaaaaaaaaaa", "a b"} {
		_, err := NewClient(Options{URL: "https://h", Token: rekey.NewToken(text), Now: time.Now})
		if rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("NewClient with %q: %v, want invalid", text, err)
		}
		sweep(t, err)
	}
	if _, err := NewClient(Options{URL: "", Token: rekey.NewToken(userToken), Now: time.Now}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("without URL: %v, want invalid", err)
	}
}

func TestRunnerReadsTheRecord(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET /api/v4/runners/7": {200, `{"id":7,"description":"d","runner_type":"project_type","paused":true,"status":"never_contacted","online":null,
		"tag_list":["a","b"],"run_untagged":false,"locked":true,"access_level":"ref_protected","maximum_timeout":3600,"maintenance_note":null,"contacted_at":null,
		"created_at":"2026-01-02T03:04:05.678Z","version":null,"job_execution_status":"active",
		"projects":[{"id":3,"path_with_namespace":"g/p"}],"groups":[{"id":9,"web_url":"https://h/x/groups/top/sub"}]}`, nil}})
	c := testClient(t, f.URL)
	r, err := c.Runner(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != 7 || r.Scope != rekey.ScopeProject || !r.Paused || !r.Locked || r.RunUntagged || r.MaximumTimeout != time.Hour ||
		r.Online != nil || !r.ContactedAt.IsZero() || r.CreatedAt.Year() != 2026 || len(r.Tags) != 2 ||
		r.Projects[0] != (rekey.Ref{ID: 3, Path: "g/p"}) || r.Groups[0] != (rekey.Ref{ID: 9, Path: "top/sub"}) {
		t.Errorf("got %+v", r)
	}
	if got := f.last["GET /api/v4/runners/7"].Header.Get("Private-Token"); got != userToken {
		t.Errorf("Private-Token = %q, want the user token", got)
	}
	if busy, known, err := c.Busy(t.Context(), 7); !busy || !known || err != nil {
		t.Errorf("Busy = %v, %v, %v, want true, true, nil", busy, known, err)
	}
}

func TestFailuresOfReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		kind   rekey.Kind
		reason error
		hint   string
		says   string
	}{
		{404, `{"message":"404 Not found"}`, rekey.KindNotFound, nil, "", "404 Not found"},
		{404, `{"error":"404 Not Found"}`, rekey.KindNotFound, ErrNoRoute, "", "no such endpoint"},
		{404, `<html><title>nope</title></html>`, rekey.KindUnavailable, nil, "", "HTML"},
		{401, `{"message":"401 Unauthorized"}`, rekey.KindDenied, ErrTokenRefused, "read_api", "refuses"},
		{401, `{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}`, rekey.KindDenied, ErrTokenRefused, "", "revoked"},
		{403, `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api read_api"}`, rekey.KindDenied, ErrScope, "manage_runner", "scope"},
		{403, `{"message":"403 Forbidden - No access granted"}`, rekey.KindDenied, nil, "Maintainer", "No access granted"},
		{403, `{"message":"You cannot perform write operations on a read-only instance"}`, rekey.KindUnavailable, ErrReadOnly, "", "read-only"},
		{403, `<html>WAF</html>`, rekey.KindUnavailable, nil, "", "HTML"},
		{400, `{"error":"id is invalid"}`, rekey.KindInvalid, nil, "", "id is invalid"},
		{409, `{"message":"409 Conflict: Resource lock"}`, rekey.KindConflict, nil, "", "lock"},
		{500, `{"message":"500 Internal Server Error"}`, rekey.KindUnavailable, nil, "", "500"},
		{200, `<html>login</html>`, rekey.KindUnavailable, nil, "", "HTML"},
		{200, `{"id":8}`, rekey.KindUnavailable, nil, "", "another runner"},
	} {
		f := newFake(t, map[string]canned{"GET /api/v4/runners/7": {c.status, c.body, nil}})
		_, err := testClient(t, f.URL).Runner(t.Context(), 7)
		if rekey.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || !strings.Contains(rekey.HintOf(err), c.hint) {
			t.Errorf("%d %s: %v (%s, hint %q), want %s saying %q, hint %q", c.status, c.body, err, rekey.KindOf(err), rekey.HintOf(err), c.kind, c.says, c.hint)
		}
		if c.reason != nil && !errors.Is(err, c.reason) {
			t.Errorf("%d %s: %v is not %v", c.status, c.body, err, c.reason)
		}
		if OutcomeUnknown(err) {
			t.Errorf("%d %s: a read's outcome is unknown", c.status, c.body)
		}
		sweep(t, err)
	}
}

func TestReadsAreRepeatedChangesAreNot(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.answers["GET /api/v4/runners/7"] = []canned{{503, "", nil}, {429, "Retry later", header("Retry-After", "0")}, {200, `{"id":7}`, nil}}
	f.answers["DELETE /api/v4/runners/7"] = []canned{{503, "", nil}, {204, "", nil}}
	c := testClient(t, f.URL)
	if _, err := c.Runner(t.Context(), 7); err != nil || f.calls("GET /api/v4/runners/7") != 3 {
		t.Errorf("read: %v after %d requests, want success after 3", err, f.calls("GET /api/v4/runners/7"))
	}
	err := c.DeleteRunner(t.Context(), 7)
	if !OutcomeUnknown(err) || rekey.KindOf(err) != rekey.KindUnavailable || f.calls("DELETE /api/v4/runners/7") != 1 {
		t.Errorf("change: %v after %d requests, want outcome unknown after 1", err, f.calls("DELETE /api/v4/runners/7"))
	}
	f.answers["PUT /api/v4/runners/7"] = []canned{{429, "Retry later", header("Retry-After", "0")}}
	paused := true
	if _, err := c.UpdateRunner(t.Context(), 7, rekey.RunnerEdit{Paused: &paused}); !errors.Is(err, ErrRateLimited) || OutcomeUnknown(err) || f.calls("PUT /api/v4/runners/7") != 1 {
		t.Errorf("limited change: %v after %d requests, want rate limited, known, after 1", err, f.calls("PUT /api/v4/runners/7"))
	}
}

func TestRateLimitBeyondTheDeadlineIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET /api/v4/runners/7": {429, "Retry later", header("Retry-After", "60")}})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	_, err := testClient(t, f.URL).Runner(ctx, 7)
	if !errors.Is(err, ErrRateLimited) || time.Since(start) > 3*time.Second || !strings.Contains(rekey.HintOf(err), "1m0s") {
		t.Errorf("got %v (hint %q) after %s, want rate limited at once", err, rekey.HintOf(err), time.Since(start))
	}
}

func TestUserTokenStaysOnItsGitLab(t *testing.T) {
	t.Parallel()
	elsewhere := newFake(t, map[string]canned{"GET /api/v4/runners/7": {200, `{"id":7}`, nil}, "POST /api/v4/user/runners": {201, `{"id":7,"token":"x"}`, nil}})
	f := newFake(t, map[string]canned{
		"GET /api/v4/runners/7":     {302, "", header("Location", elsewhere.URL+"/api/v4/runners/7")},
		"POST /api/v4/user/runners": {307, "", header("Location", elsewhere.URL+"/api/v4/user/runners")},
		"DELETE /api/v4/runners/7":  {308, "", header("Location", elsewhere.URL+"/api/v4/runners/7")},
	})
	c := testClient(t, f.URL)
	_, readErr := c.Runner(t.Context(), 7)
	_, createErr := c.CreateRunner(t.Context(), rekey.NewRunner{Scope: rekey.ScopeInstance}, func([]byte) error { t.Error("sealed a redirect"); return nil })
	for name, err := range map[string]error{"read": readErr, "create": createErr, "delete": c.DeleteRunner(t.Context(), 7)} {
		if !errors.Is(err, ErrRedirected) || !strings.Contains(err.Error(), elsewhere.URL) || OutcomeUnknown(err) {
			t.Errorf("%s: %v, want a redirect that names its target", name, err)
		}
		sweep(t, err)
	}
	if elsewhere.total() != 0 {
		t.Errorf("the target got %d requests, want 0", elsewhere.total())
	}
	for _, target := range []string{elsewhere.URL + "/api/v4/user", f.URL + "/users/sign_in", "https" + strings.TrimPrefix(f.URL, "http") + "/api/v4/user", f.URL + ".evil.example.com/api/v4/user"} {
		before := f.total()
		resp, err := c.http.Get(target)
		if err == nil {
			_ = resp.Body.Close()
		}
		if !errors.Is(err, errElsewhere) && err == nil || f.total() != before || elsewhere.total() != 0 {
			t.Errorf("GET %s: %v, want it stopped", target, err)
		}
	}
}

func TestGuardKnowsTheSubPath(t *testing.T) {
	t.Parallel()
	g := &guard{base: "https://h/gitlab"}
	for text, want := range map[string]bool{
		"https://h/gitlab/api/v4/user": true, "https://H:443/gitlab/api/v4/user": true,
		"https://h/api/v4/user": false, "https://h/gitlab2/api/v4/user": false, "http://h/gitlab/api/v4/user": false, "https://h:8443/gitlab/api/v4/user": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.owns(u); got != want {
			t.Errorf("owns(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestOAuthTokenIsABearer(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"GET /api/v4/runners/7": {200, `{"id":7}`, nil}})
	secret := strings.Repeat("c0ffee00", 8)
	c, err := NewClient(Options{URL: f.URL, Token: rekey.NewToken(secret), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Runner(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	h := f.last["GET /api/v4/runners/7"].Header
	if h.Get("Authorization") != "Bearer "+secret || h.Get("Private-Token") != "" {
		t.Errorf("headers %v, want Bearer alone", h)
	}
}

func TestManagers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		n      int
		known  bool
		kind   rekey.Kind
	}{
		{200, `[{"id":1,"system_id":"s_0123456789ab","version":"17.11.0","status":"online","contacted_at":"2026-01-02T03:04:05.678Z"},{"id":2,"system_id":"r_0123456789ab","status":"never_contacted","contacted_at":null}]`, 2, true, ""},
		{200, `[]`, 0, true, ""},
		{404, `{"error":"404 Not Found"}`, 0, false, ""},
		{404, `{"message":"404 Not found"}`, 0, false, rekey.KindNotFound},
		{403, `{"message":"403 Forbidden - No access granted"}`, 0, false, rekey.KindDenied},
	} {
		f := newFake(t, map[string]canned{"GET /api/v4/runners/7/managers": {c.status, c.body, nil}})
		got, known, err := testClient(t, f.URL).Managers(t.Context(), 7)
		if len(got) != c.n || known != c.known || (err == nil) != (c.kind == "") || err != nil && rekey.KindOf(err) != c.kind {
			t.Errorf("%d %s: %d managers, known %v, %v, want %d, %v, %q", c.status, c.body, len(got), known, err, c.n, c.known, c.kind)
		}
	}
}

func TestListFollowsHeadersOnly(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(w http.ResponseWriter, r *http.Request, page string){
		"x-next-page": func(w http.ResponseWriter, _ *http.Request, page string) { w.Header().Set("X-Next-Page", page) },
		"link": func(w http.ResponseWriter, r *http.Request, page string) {
			if page != "" {
				w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%s>; rel="next"`, r.Host, r.URL.Path, page))
			}
		},
	} {
		var mu sync.Mutex
		var queries []string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			queries = append(queries, r.URL.Path+"?"+r.URL.RawQuery)
			mu.Unlock()
			following := map[string]string{"": "2", "1": "2", "2": "3", "3": ""}[r.URL.Query().Get("page")]
			next(w, r, following)
			_, _ = io.WriteString(w, `[{"id":1,"runner_type":"group_type","online":true}]`)
		}))
		got, err := testClient(t, srv.URL).List(t.Context(), ListOptions{Reach: ReachGroup, Owner: "top/sub", Tags: []string{"a", "b"}, Status: "offline", Type: rekey.ScopeGroup})
		srv.Close()
		if err != nil || len(got) != 3 || len(queries) != 3 {
			t.Errorf("%s: %d runners by %d requests, %v, want 3 by 3", name, len(got), len(queries), err)
		}
		for _, part := range []string{"/groups/top/sub/runners?", "tag_list=a%2Cb", "status=offline", "type=group_type", "per_page=100"} {
			if !strings.Contains(queries[0], part) {
				t.Errorf("%s: query %s lacks %s", name, queries[0], part)
			}
		}
	}
}

func TestListReaches(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{
		"GET /api/v4/runners": {200, `[{"id":1}]`, nil}, "GET /api/v4/runners/all": {200, `[{"id":1},{"id":2}]`, nil},
		"GET /api/v4/projects/g%2Fp%2Ex/runners": {200, `[{"id":1},{"id":2},{"id":3}]`, nil},
	})
	c := testClient(t, f.URL)
	for want, o := range map[int]ListOptions{1: {}, 2: {Reach: ReachAll}, 3: {Reach: ReachProject, Owner: "g/p.x"}} {
		if got, err := c.List(t.Context(), o); err != nil || len(got) != want {
			t.Errorf("%+v: %d runners, %v, want %d", o, len(got), err, want)
		}
	}
	if _, err := c.List(t.Context(), ListOptions{Reach: ReachInstance}); err != nil || !strings.Contains(f.last["GET /api/v4/runners/all"].URL.RawQuery, "type=instance_type") {
		t.Errorf("instance: %v, query %s", err, f.last["GET /api/v4/runners/all"].URL.RawQuery)
	}
	if _, err := c.List(t.Context(), ListOptions{Reach: ReachGroup}); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("group without owner: %v, want invalid", err)
	}
}

func TestFindByTag(t *testing.T) {
	t.Parallel()
	denied := canned{403, `{"message":"403 Forbidden"}`, nil}
	scope := canned{403, `{"error":"insufficient_scope","error_description":"x","scope":"api read_api"}`, nil}
	f := newFake(t, map[string]canned{
		"GET /api/v4/runners/all": denied, "GET /api/v4/runners": {200, `[{"id":1},{"id":2},{"id":3}]`, nil},
		"GET /api/v4/runners/1": {200, `{"id":1,"tag_list":["rekey-op"]}`, nil},
		"GET /api/v4/runners/2": {200, `{"id":2,"tag_list":["production"]}`, nil},
		"GET /api/v4/runners/3": {404, `{"message":"404 Not found"}`, nil},
	})
	got, err := testClient(t, f.URL).FindByTag(t.Context(), "rekey-op")
	if err != nil || len(got) != 1 || got[0].ID != 1 || f.last["GET /api/v4/runners"].URL.Query().Get("tag_list") != "rekey-op" {
		t.Errorf("got %v, %v, want runner 1 alone: the record that really carries the tag", got, err)
	}
	f = newFake(t, map[string]canned{"GET /api/v4/runners/all": scope, "GET /api/v4/runners": scope})
	if _, err := testClient(t, f.URL).FindByTag(t.Context(), "rekey-op"); rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(rekey.HintOf(err), "read_api") {
		t.Errorf("got %v, hint %q, want denied naming read_api", err, rekey.HintOf(err))
	}
}

func TestUpdateSendsOnlyWhatChanges(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{"PUT /api/v4/runners/7": {200, `{"id":7,"tag_list":["a"],"runner_type":"instance_type"}`, nil}, "GET /api/v4/runners/7": {200, `{"id":7}`, nil}})
	c := testClient(t, f.URL)
	zero, hour, note, yes, tags, none := time.Duration(0), time.Hour, "", true, []string{"a"}, []string(nil)
	for want, edit := range map[string]rekey.RunnerEdit{
		`{"maximum_timeout":null}`:                 {MaximumTimeout: &zero},
		`{"maximum_timeout":3600}`:                 {MaximumTimeout: &hour},
		`{"maintenance_note":"","tag_list":["a"]}`: {MaintenanceNote: &note, Tags: &tags},
		`{"tag_list":[]}`:                          {Tags: &none},
		`{"locked":true,"paused":true}`:            {Locked: &yes, Paused: &yes},
	} {
		r, err := c.UpdateRunner(t.Context(), 7, edit)
		if err != nil || r.ID != 7 || r.Scope != rekey.ScopeInstance || f.bodies["PUT /api/v4/runners/7"] != want {
			t.Errorf("sent %s, got %+v, %v, want %s", f.bodies["PUT /api/v4/runners/7"], r, err, want)
		}
	}
	before := f.calls("PUT /api/v4/runners/7")
	if _, err := c.UpdateRunner(t.Context(), 7, rekey.RunnerEdit{}); err != nil || f.calls("PUT /api/v4/runners/7") != before {
		t.Errorf("empty edit: %v, %d more requests, want none", err, f.calls("PUT /api/v4/runners/7")-before)
	}
}

func TestAssignAndDelete(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{
		"POST /api/v4/projects/g%2Fp/runners":     {201, `{"id":7}`, nil},
		"DELETE /api/v4/projects/g%2Fp/runners/7": {204, ``, nil},
		"POST /api/v4/projects/5/runners":         {403, `{"message":"403 Forbidden - Runner is locked"}`, nil},
		"DELETE /api/v4/runners/7":                {204, ``, nil},
		"DELETE /api/v4/runners/8":                {404, `{"message":"404 Not found"}`, nil},
	})
	c := testClient(t, f.URL)
	if err := errors.Join(c.AssignProject(t.Context(), "g/p", 7), c.UnassignProject(t.Context(), "g/p", 7), c.DeleteRunner(t.Context(), 7)); err != nil {
		t.Error(err)
	}
	if got := f.bodies["POST /api/v4/projects/g%2Fp/runners"]; got != `{"runner_id":7}` {
		t.Errorf("sent %s", got)
	}
	if err := c.AssignProject(t.Context(), "5", 7); rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(err.Error(), "Runner is locked") {
		t.Errorf("locked: %v, want denied with GitLab's reason", err)
	}
	if err := c.DeleteRunner(t.Context(), 8); rekey.KindOf(err) != rekey.KindNotFound || OutcomeUnknown(err) {
		t.Errorf("gone: %v, want not found", err)
	}
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	scope := canned{403, `{"error":"insufficient_scope","error_description":"x","scope":"api read_api read_user"}`, nil}
	me := canned{200, `{"id":1,"username":"root","is_admin":true}`, nil}
	self := canned{200, `{"id":5,"user_id":1,"scopes":["create_runner"]}`, nil}
	for _, c := range []struct {
		user, self canned
		want       string
		reason     error
	}{
		{me, self, "root true [create_runner]", nil},
		{me, canned{404, `{"message":"404 Not found"}`, nil}, "root true []", nil},
		{scope, self, " false [create_runner]", nil},
		{scope, scope, " false []", ErrScope},
		{canned{401, `{"message":"401 Unauthorized"}`, nil}, self, " false []", ErrTokenRefused},
	} {
		f := newFake(t, map[string]canned{"GET /api/v4/user": c.user, "GET /api/v4/personal_access_tokens/self": c.self})
		u, err := testClient(t, f.URL).WhoAmI(t.Context())
		if got := fmt.Sprintf("%s %v %v", u.Name, u.Admin, u.Scopes); got != c.want || !errors.Is(err, c.reason) {
			t.Errorf("got %q, %v, want %q, %v", got, err, c.want, c.reason)
		}
	}
}

func TestVersionAndSettings(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{
		"GET /api/v4/version":              {200, `{"version":"15.1.6-ee","revision":"x"}`, nil},
		"GET /api/v4/application/settings": {200, `{"allow_runner_registration_token":false,"valid_runner_registrars":["project"]}`, nil},
	})
	c := testClient(t, f.URL)
	text, v, err := c.Version(t.Context())
	if err != nil || text != "15.1.6-ee" || v != (rekey.Version{Major: 15, Minor: 1, Patch: 6}) {
		t.Errorf("Version = %q, %v, %v", text, v, err)
	}
	s, err := c.Settings(t.Context())
	if err != nil || s.RegistrationAllowed == nil || *s.RegistrationAllowed || len(s.Registrars) != 1 {
		t.Errorf("Settings = %+v, %v, want registration off", s, err)
	}
	f.answers["GET /api/v4/metadata"] = []canned{{200, `{"version":"18.5.0","revision":"x"}`, nil}}
	f.answers["GET /api/v4/application/settings"] = []canned{{200, `{}`, nil}}
	if _, v, err := c.Version(t.Context()); err != nil || !v.AtLeast(18, 5) {
		t.Errorf("metadata: %v, %v", v, err)
	}
	if s, err := c.Settings(t.Context()); err != nil || s.RegistrationAllowed != nil {
		t.Errorf("old settings = %+v, %v, want unknown", s, err)
	}
}
