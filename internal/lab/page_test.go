package lab_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

const banner = "This is a rekey lab, not GitLab. Not for production."

// browser is a client that keeps cookies and follows no redirect.
type browser struct {
	t      *testing.T
	url    string
	client *http.Client
}

func newBrowser(t *testing.T, url string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) do(method, path string, form url.Values, header ...string) labtest.Answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	got, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return labtest.Answer{Status: got.StatusCode, Header: got.Header, Body: string(body)}
}

func (b *browser) get(path string) labtest.Answer { b.t.Helper(); return b.do("GET", path, nil) }

// post sends a form and returns where the answer leads; the form must be taken.
func (b *browser) post(path string, form url.Values) string {
	b.t.Helper()
	got := b.do("POST", path, form)
	if got.Status != http.StatusSeeOther {
		b.t.Fatalf("POST %s: got %d %s, want 303", path, got.Status, got.Body)
	}
	return got.Header.Get("Location")
}

func signedIn(t *testing.T, l *labtest.Lab, token string) *browser {
	t.Helper()
	b := newBrowser(t, l.URL)
	b.post("/users/sign_in", url.Values{"token": {token}})
	return b
}

// TestPagesCarryTheBanner: nobody takes a page for GitLab's, and none is cached,
// framed or able to load what is not the lab's.
func TestPagesCarryTheBanner(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "16.11"})
	project, path := l.Project("app", 0)
	l.CIConfig(project, "build:\n  script: [echo hi]\n")
	l.Pipeline(project, nil)
	r := l.Runner("project", project, labtest.M{"maintenance_note": "note", "maximum_timeout": 600, "tag_list": "a,b"})
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}, nil)
	b := signedIn(t, l, l.Admin)
	for path, want := range map[string]string{
		"/":               "GitLab 16.11",
		"/-/lab/accepted": "verify-touches-created",
		"/-/lab/runners":  "runs untagged",
		"/-/lab/runners?status=paused&tag_list=a": "No runner here",
		"/-/lab/runners/new":                      "New runner",
		"/-/lab/runners/1":                        "s_CANARY000001",
		"/-/lab/runners/1/token":                  "shown once and is not kept",
		"/-/lab/jobs":                             "#1 build",
		"/-/lab/projects/1/jobs/1":                `id="trace"`,
		"/-/lab/settings":                         "allow_runner_registration_token",
		"/-/lab/nothing":                          "404",
		"/nothing":                                "404",
		"/-/lab/runners/99":                       "404 Not found",
		"/-/lab/runners/x":                        "id is invalid",
		"/-/lab/runners?status=x":                 "status does not have a valid value",
		"/-/lab/runners?tag_list=%00":             "400",
	} {
		got := b.get(path)
		if !strings.Contains(got.Body, banner) || !strings.Contains(got.Body, want) {
			t.Errorf("%s: got %d %s, want the banner and %q", path, got.Status, got.Body, want)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'self'"} {
			if !strings.HasPrefix(got.Header.Get(name), want) {
				t.Errorf("%s: %s is %q, want %q", path, name, got.Header.Get(name), want)
			}
		}
		if inline := regexp.MustCompile(`<script>|<style|style="|\son[a-z]+="`).FindString(got.Body); inline != "" {
			t.Errorf("%s: %q would be refused by the page's own policy", path, inline)
		}
	}
	if got := b.get("/" + path + "/-/jobs/1"); got.Header.Get("Location") != "/-/lab/projects/1/jobs/1" {
		t.Errorf("the job's web_url: got %d to %q", got.Status, got.Header.Get("Location"))
	}
	for _, asset := range []string{"page.css", "trace.js"} {
		if got := newBrowser(t, l.URL).get("/-/lab/assets/" + asset); got.Status != 200 || strings.Contains(got.Header.Get("Content-Type"), "html") {
			t.Errorf("%s: got %d %s", asset, got.Status, got.Header.Get("Content-Type"))
		}
	}
	if got := b.get("/-/lab/assets/layout.html"); got.Status != 404 {
		t.Errorf("a template: got %d, want 404", got.Status)
	}
}

// TestStrangersSeeOnlySignIn: every page and unknown address leads there, as on a
// GitLab, and the API takes no cookie.
func TestStrangersSeeOnlySignIn(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	b := newBrowser(t, l.URL)
	for _, path := range []string{"/-/lab/runners", "/-/lab/settings", "/-/lab/runners/1/token", "/group/project", "/-/jobs/1"} {
		if got := b.get(path); got.Status/100 != 3 || !strings.HasSuffix(got.Header.Get("Location"), "/users/sign_in") {
			t.Errorf("%s: got %d to %q, want the sign-in page", path, got.Status, got.Header.Get("Location"))
		}
	}
	for _, path := range []string{"/", "/users/sign_in"} {
		got := b.get(path)
		if got.Status != 200 || !strings.Contains(got.Body, `property="og:site_name"`) || !strings.Contains(got.Body, "/users/sign_in") || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	expired := l.PAT(l.User("dana"), "create_runner")
	for name, form := range map[string]url.Values{"wrong token": {"token": {"glpat-CANARYwrong"}}, "no token": {}, "somebody else's": {"token": {l.Admin}, "username": {"dana"}},
		"a scope that sees nothing": {"token": {expired}}} {
		if got := b.do("POST", "/users/sign_in", form); got.Status != 401 || got.Header.Get("Set-Cookie") != "" || strings.Contains(got.Body, form.Get("token")+"x") {
			t.Errorf("%s: got %d, cookie %q", name, got.Status, got.Header.Get("Set-Cookie"))
		}
	}
	got := b.do("POST", "/users/sign_in", url.Values{"token": {l.Admin}, "username": {"root"}})
	cookie := got.Header.Get("Set-Cookie")
	if got.Status != 303 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || strings.Contains(cookie, l.Admin) {
		t.Errorf("sign in: got %d with cookie %q", got.Status, cookie)
	}
	if got := b.get("/api/v4/user"); got.Status != 401 {
		t.Errorf("the API with a session's cookie: got %d, want 401", got.Status)
	}
	b.post("/users/sign_out", url.Values{})
	if got := b.get("/-/lab/runners"); got.Status != 303 {
		t.Errorf("after signing out: got %d, want 303", got.Status)
	}
}

// TestForgedFormsAreRefused: another site's form changes nothing, whatever cookie
// comes with it.
func TestForgedFormsAreRefused(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	l.Runner("instance", 0, nil)
	b := signedIn(t, l, l.Admin)
	for _, path := range []string{"/-/lab/runners", "/-/lab/runners/1/pause", "/-/lab/runners/1/reset", "/-/lab/runners/1/delete", "/-/lab/settings", "/users/sign_in", "/users/sign_out"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example.com"}} {
			if got := b.do("POST", path, url.Values{"paused": {"true"}, "runner_type": {"instance_type"}}, header...); got.Status != 403 {
				t.Errorf("%s with %q: got %d, want 403", path, header, got.Status)
			}
		}
	}
	var all []struct{ Paused bool }
	l.Must(200, "GET", "runners/all", nil, &all)
	if len(all) != 1 || all[0].Paused {
		t.Errorf("runners: got %+v, want the one of before", all)
	}
}

var shownToken = regexp.MustCompile(`<code id="token">([^<]+)</code>`)

// TestTokenIsShownOnce: after the form and after a reset, to the browser that
// ordered it, in no address, and never again.
func TestTokenIsShownOnce(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	b, other := signedIn(t, l, l.Admin), signedIn(t, l, l.Admin)
	next := b.post("/-/lab/runners", url.Values{"runner_type": {"instance_type"}, "tag_list": {"a, b"}, "description": {"made"}})
	if next != "/-/lab/runners/1/token" {
		t.Fatalf("the form leads to %q", next)
	}
	if got := other.get(next); shownToken.MatchString(got.Body) {
		t.Errorf("another session saw the token")
	}
	b.do("HEAD", next, nil)
	first := shownToken.FindStringSubmatch(b.get(next).Body)
	if first == nil {
		t.Fatal("the token is not on the page")
	}
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": first[1]}, nil)
	for _, path := range []string{next, "/-/lab/runners/1", "/-/lab/runners"} {
		if strings.Contains(b.get(path).Body, first[1]) {
			t.Errorf("%s shows the token again", path)
		}
	}
	var made struct {
		Tags        []string `json:"tag_list"`
		RunUntagged bool     `json:"run_untagged"`
		Description string
	}
	l.Must(200, "GET", "runners/1", nil, &made)
	if len(made.Tags) != 2 || made.RunUntagged || made.Description != "made" {
		t.Errorf("the runner of the form: got %+v", made)
	}
	second := shownToken.FindStringSubmatch(b.get(b.post("/-/lab/runners/1/reset", url.Values{})).Body)
	if second == nil || second[1] == first[1] {
		t.Fatalf("after the reset: got %q, want another token", second)
	}
	l.MustAs("", 403, "POST", "runners/verify", labtest.M{"token": first[1]}, nil)
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": second[1]}, nil)
}

// TestUnseenTokensExpire: a token that nobody fetched is not kept for the next day.
func TestUnseenTokensExpire(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Now: clock.Now})
	b := signedIn(t, l, l.Admin)
	next := b.post("/-/lab/runners", url.Values{"runner_type": {"instance_type"}, "run_untagged": {"on"}})
	clock.advance(time.Hour)
	if shownToken.MatchString(b.get(next).Body) {
		t.Error("the token is still shown an hour later")
	}
	clock.advance(12 * time.Hour)
	if got := b.get("/-/lab/runners"); got.Status != 303 {
		t.Errorf("the session after thirteen hours: got %d, want 303", got.Status)
	}
}

// TestPageHasNoRightsOfItsOwn: what the API refuses a user, the page refuses in the
// API's words.
func TestPageHasNoRightsOfItsOwn(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	group := l.Group("team", 0)
	mine, _ := l.Project("mine", group)
	hidden, _ := l.Project("hidden", 0)
	for _, project := range []int64{mine, hidden} {
		l.CIConfig(project, fmt.Sprintf("job-of-%d:\n  script: [echo hi]\n", project))
		l.Pipeline(project, nil)
	}
	instance, owned := l.Runner("instance", 0, nil), l.Runner("project", mine, labtest.M{"description": "ours"})
	foreign := l.Runner("project", hidden, labtest.M{"description": "theirs"})
	dana := l.User("dana")
	l.Member("projects", mine, dana, 40)
	b := signedIn(t, l, l.PAT(dana, "api"))
	looks := signedIn(t, l, l.PAT(dana, "read_api"))
	page := func(r labtest.Issued) string { return fmt.Sprintf("/-/lab/runners/%d", r.ID) }
	if got := b.get("/-/lab/runners").Body; !strings.Contains(got, "ours") || strings.Contains(got, "theirs") {
		t.Errorf("the list of runners: got %s", got)
	}
	if got := b.get("/-/lab/jobs").Body; !strings.Contains(got, fmt.Sprintf("job-of-%d", mine)) || strings.Contains(got, fmt.Sprintf("job-of-%d", hidden)) {
		t.Errorf("the list of jobs: got %s", got)
	}
	if got := b.get("/").Body; strings.Contains(got, fmt.Sprintf("job-of-%d", hidden)) || strings.Contains(got, "/-/lab/settings") {
		t.Errorf("the overview: got %s", got)
	}
	form := url.Values{"runner_type": {"project_type"}, "project_id": {fmt.Sprint(hidden)}, "run_untagged": {"on"}, "paused": {"true"}}
	for _, c := range []struct {
		b            *browser
		method, path string
		status       int
	}{
		{b, "GET", page(foreign), 403}, {b, "GET", page(foreign) + "/token", 403},
		{b, "GET", "/-/lab/settings", 403}, {b, "POST", "/-/lab/settings", 403},
		{b, "GET", fmt.Sprintf("/-/lab/projects/%d/jobs/2", hidden), 404}, {b, "GET", fmt.Sprintf("/-/lab/projects/%d/jobs/2/trace", hidden), 404},
		{b, "POST", "/-/lab/runners", 403},
		{b, "POST", page(instance) + "/pause", 403}, {b, "POST", page(instance) + "/reset", 403}, {b, "POST", page(instance) + "/delete", 403},
		{b, "POST", page(foreign) + "/delete", 403},
		{looks, "GET", page(owned), 200}, {looks, "POST", page(owned) + "/reset", 403}, {looks, "POST", page(owned) + "/pause", 403},
		{b, "POST", page(owned) + "/pause", 303},
	} {
		send := form
		if c.method == "GET" {
			send = nil
		} else if c.path == "/-/lab/settings" {
			send = url.Values{"was.admin_mode": {"false"}, "admin_mode": {"on"}}
		}
		if got := c.b.do(c.method, c.path, send); got.Status != c.status || shownToken.MatchString(got.Body) {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.path, got.Status, got.Body, c.status)
		}
	}
	var r struct{ Paused bool }
	l.Must(200, "GET", fmt.Sprintf("runners/%d", owned.ID), nil, &r)
	if !r.Paused {
		t.Error("the maintainer's pause did nothing")
	}
	if next := b.post(page(owned)+"/delete", url.Values{}); next != "/-/lab/runners" || l.Call("GET", fmt.Sprintf("runners/%d", owned.ID), l.Admin, nil).Status != 404 {
		t.Errorf("the maintainer's delete: leads to %q, and the runner is there", next)
	}
}

// TestPagesEscape whatever people wrote into records and logs.
func TestPagesEscape(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	project, _ := l.Project("app", 0)
	const evil = `<script>alert("CANARY")</script>`
	l.CIConfig(project, "evil:\n  script: [echo hi]\n")
	l.Pipeline(project, nil)
	r := l.Runner("project", project, labtest.M{"description": evil, "maintenance_note": evil, "tag_list": evil})
	l.Setting(labtest.M{"maintenance_mode_message": evil, "maintenance_mode": false})
	j := ask(t, l, r, nil)
	appendTrace(t, l, j, 0, evil)
	b := signedIn(t, l, l.Admin)
	pages := []string{"/", "/-/lab/runners", "/-/lab/runners/1", "/-/lab/runners?tag_list=" + url.QueryEscape(evil), "/-/lab/jobs", fmt.Sprintf("/-/lab/projects/%d/jobs/%d", project, j.ID), "/-/lab/settings"}
	for _, path := range pages {
		if got := b.get(path); got.Status != 200 || strings.Contains(got.Body, "<script>alert") {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	if got := b.get("/-/lab/runners/1").Body; !strings.Contains(got, "&lt;script&gt;alert(") {
		t.Errorf("the description is not on the page: %s", got)
	}
	got := b.do("POST", "/-/lab/runners", url.Values{"runner_type": {evil}, "description": {evil}})
	if got.Status != 400 || strings.Contains(got.Body, "<script>alert") || !strings.Contains(got.Body, "&lt;script&gt;") {
		t.Errorf("the form again: got %d %s", got.Status, got.Body)
	}
}

// TestTraceIsFollowed: parts join without loss, half characters and colours wait,
// and the runner is told that somebody looks.
func TestTraceIsFollowed(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	project, _ := l.Project("app", 0)
	l.CIConfig(project, "build:\n  script: [echo hi]\n")
	l.Pipeline(project, nil)
	j := ask(t, l, l.Runner("project", project, nil), nil)
	b := signedIn(t, l, l.Admin)
	page := fmt.Sprintf("/-/lab/projects/%d/jobs/%d", project, j.ID)
	size, shown, from := 0, "", 0
	for _, chunk := range []string{"section_start:1:prep\r\x1b[0K\x1b[32;1mready\x1b[0;m\n", "caf\xc3", "\xa9 \x1b[3", "1mred\x1b[0m", "\r\nsection_en", "d:2:prep\r\x1b[0K", "done\n"} {
		appendTrace(t, l, j, size, chunk)
		size += len(chunk)
		var part struct {
			Text       string
			From, Size int
			Status     string
			Live       bool
		}
		b.get(fmt.Sprintf("%s/trace?from=%d", page, from)).Decode(t, &part)
		if part.From != from || part.Status != "running" || !part.Live {
			t.Errorf("from %d: got %+v", from, part)
		}
		shown, from = shown+part.Text, part.Size
	}
	if want := "ready\ncafé red\ndone\n"; shown != want || from != size {
		t.Errorf("the log: got %q to %d, want %q to %d", shown, from, want, size)
	}
	if got := appendTrace(t, l, j, size, "more"); got.Header.Get("X-GitLab-Trace-Update-Interval") != "3" {
		t.Errorf("the runner is told to come every %q s, want 3", got.Header.Get("X-GitLab-Trace-Update-Interval"))
	}
	if got := b.get(page).Body; !strings.Contains(got, "café red") || !strings.Contains(got, "data-live") || !strings.Contains(got, `http-equiv="refresh"`) {
		t.Errorf("the page: got %s", got)
	}
	l.MustAs("", 200, "PUT", fmt.Sprintf("jobs/%d", j.ID), labtest.M{"token": j.Token, "state": "success"}, nil)
	if got := b.get(page).Body; strings.Contains(got, "data-live") || strings.Contains(got, "http-equiv") {
		t.Error("the page of a finished job goes on asking")
	}
}

// TestSettingsForm changes what the form changed and nothing else.
func TestSettingsForm(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.0", Profile: "self-managed"})
	b := signedIn(t, l, l.Admin)
	form := url.Values{"was.allow_runner_registration_token": {"true"}, "was.runner_token_expiration_interval": {""}, "runner_token_expiration_interval": {"7200"},
		"was.signup_enabled": {"true"}, "signup_enabled": {"on"}, "was.valid_runner_registrars": {"project,group"}, "valid_runner_registrars": {"group"}}
	b.post("/-/lab/settings", form)
	var got map[string]any
	l.Must(200, "GET", "application/settings", nil, &got)
	if got["allow_runner_registration_token"] != false || got["runner_token_expiration_interval"] != 7200.0 || got["signup_enabled"] != false || fmt.Sprint(got["valid_runner_registrars"]) != "[group]" {
		t.Errorf("settings: got %v", got)
	}
	form = url.Values{"was.runner_token_expiration_interval": {"7200"}, "runner_token_expiration_interval": {"5"}}
	if got := b.do("POST", "/-/lab/settings", form); got.Status != 400 || !strings.Contains(got.Body, "must be greater than or equal to 7200") {
		t.Errorf("a bad value: got %d %s", got.Status, got.Body)
	}
}

// TestPageObeysOrders: what makes writes fail for clients makes them fail here, and
// looking at pages uses no order up.
func TestPageObeysOrders(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	b := newBrowser(t, r.URL())
	b.post("/users/sign_in", url.Values{"token": {r.admin()}})
	if _, err := r.AddFault(lab.Fault{Path: "**", Status: 503, Body: "CANARY"}); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"runner_type": {"instance_type"}, "run_untagged": {"on"}}
	if got := b.get("/-/lab/runners"); got.Status != 200 {
		t.Errorf("looking while an order waits: got %d, want 200", got.Status)
	}
	if got := b.do("POST", "/-/lab/runners", form); got.Status != 503 || got.Header.Get(lab.FaultHeader) == "" {
		t.Errorf("creating as ordered to fail: got %d %s", got.Status, got.Body)
	}
	if err := r.SetReadOnly(true); err != nil {
		t.Fatal(err)
	}
	if got := b.do("POST", "/-/lab/runners", form); got.Status != 403 || !strings.Contains(got.Body, "read-only instance") {
		t.Errorf("creating while read-only: got %d %s", got.Status, got.Body)
	}
	if err := r.SetReadOnly(false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Upgrade(t.Context(), rekey.Version{Major: 18}); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/"); got.Status != 200 || !strings.Contains(got.Body, "GitLab 18.0") {
		t.Errorf("the session after an upgrade: got %d %s", got.Status, got.Body)
	}
	token := shownToken.FindStringSubmatch(b.get(b.post("/-/lab/runners", form)).Body)
	if token == nil {
		t.Fatal("the token is not on the page")
	}
	admin := r.admin()
	if err := r.LoseSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/-/lab/runners"); got.Status != 303 {
		t.Errorf("the session after the secrets were lost: got %d, want 303", got.Status)
	}
	r.stop()
	for name, secret := range map[string]string{"the runner's token": token[1], "the user's token": admin} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log holds %s", name)
		}
	}
}

// appendTrace sends more of a job's log as its runner does.
func appendTrace(t *testing.T, l *labtest.Lab, j *given, start int, text string) labtest.Answer {
	t.Helper()
	got := raw(t, l, "PATCH", fmt.Sprintf("/api/v4/jobs/%d/trace", j.ID), "text/plain", text,
		"Job-Token", j.Token, "Content-Range", fmt.Sprintf("%d-%d", start, start+len(text)-1))
	if got.Status != 202 {
		t.Fatalf("trace: got %d %s", got.Status, got.Body)
	}
	return got
}
