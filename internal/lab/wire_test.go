package lab_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rekey/internal/lab/labtest"
)

// raw sends a body of any type.
func raw(t *testing.T, l *labtest.Lab, method, path, contentType, body string, header ...string) labtest.Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, l.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return l.Do(req)
}

// TestParameterEncodings: JSON, form, multipart and query mean the same, also
// for DELETE, and so do the three spellings of a list.
func TestParameterEncodings(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Profile: "self-managed"})
	token := l.Info.RegistrationTokens["instance"]
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, field := range [][2]string{{"token", token}, {"tag_list", "a,b"}} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]labtest.Answer{
		"json array":      raw(t, l, "POST", "/api/v4/runners", "application/json", `{"token":"`+token+`","tag_list":["a","b"]}`),
		"json string":     raw(t, l, "POST", "/api/v4/runners", "application/json; charset=utf-8", `{"token":"`+token+`","tag_list":"a, b"}`),
		"form brackets":   raw(t, l, "POST", "/api/v4/runners", "application/x-www-form-urlencoded", "token="+token+"&tag_list[]=a&tag_list%5B%5D=b"),
		"form commas":     raw(t, l, "POST", "/api/v4/runners", "application/x-www-form-urlencoded", "token="+token+"&tag_list=a,b"),
		"query":           raw(t, l, "POST", "/api/v4/runners?token="+token+"&tag_list=a,b", "", ""),
		"multipart":       raw(t, l, "POST", "/api/v4/runners", w.FormDataContentType(), form.String()),
		"body over query": raw(t, l, "POST", "/api/v4/runners?token=CANARY", "application/json", `{"token":"`+token+`","tag_list":["b","a"]}`),
	} {
		var made labtest.Issued
		if got.Status != 201 {
			t.Errorf("%s: got %d %s, want 201", name, got.Status, got.Body)
			continue
		}
		got.Decode(t, &made)
		var d struct {
			Tags []string `json:"tag_list"`
		}
		l.Must(200, "GET", fmt.Sprintf("runners/%d", made.ID), nil, &d)
		if len(d.Tags) != 2 {
			t.Errorf("%s: tags %q, want a and b", name, d.Tags)
		}
		if gone := raw(t, l, "DELETE", "/api/v4/runners", "application/json", `{"token":"`+made.Token+`"}`); gone.Status != 204 {
			t.Errorf("%s: DELETE with a body: got %d %s", name, gone.Status, gone.Body)
		}
	}
}

// TestBadRequests get GitLab's envelopes and never a panic.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		want                           string
	}{
		{"broken json", "POST", "/api/v4/runners/verify", "application/json", `{"token":`, 400, `{"error":"message body does not match declared format"}`},
		{"two documents", "POST", "/api/v4/runners/verify", "application/json", `{} {}`, 400, `{"error":`},
		{"array", "POST", "/api/v4/runners/verify", "application/json", `[]`, 400, `{"error":`},
		{"null", "POST", "/api/v4/runners/verify", "application/json", `null`, 400, `{"error":"token is missing"}`},
		{"number as token", "POST", "/api/v4/runners/verify", "application/json", `{"token":12}`, 403, forbidden},
		{"object as token", "POST", "/api/v4/runners/verify", "application/json", `{"token":{}}`, 400, `{"error":"token is invalid"}`},
		{"nul byte", "POST", "/api/v4/runners/verify", "application/json", `{"token":"a\u0000b"}`, 400, `{"message":"400 Bad request"}`},
		{"invalid utf-8", "POST", "/api/v4/runners/verify", "application/json", "{\"token\":\"\xff\"}", 400, `{"error":`},
		{"invalid utf-8 in a form", "POST", "/api/v4/runners/verify", "application/x-www-form-urlencoded", "token=%ff", 400, `{"message":"400 Bad request"}`},
		{"other type", "POST", "/api/v4/runners/verify", "text/plain", "token=x", 400, `{"error":"token is missing"}`},
		{"too large", "POST", "/api/v4/runners/verify", "application/json", strings.Repeat(" ", 11<<20), 413, `{"message":"413 Request Entity Too Large"}`},
		{"too large poll", "POST", "/api/v4/jobs/request", "application/json", strings.Repeat(" ", 11<<20), 413, `{"message":"413 Request Entity Too Large"}`},
		{"unknown route", "GET", "/api/v4/nothing/here", "", "", 404, `{"error":"404 Not Found"}`},
		{"wrong method", "PATCH", "/api/v4/runners/verify", "", "", 405, `{"error":`},
		{"version 3", "GET", "/api/v3/runners", "", "", 410, `{"error":"API V3 is no longer supported. Use API V4 instead."}`},
		{"group path before the api", "POST", "/group/project/api/v4/runners/verify", "application/json", `{"token":"x"}`, 302, ""},
		{"bad escape", "GET", "/api/v4/projects/%252F%00", "", "", 401, `{"message":"401 Unauthorized"}`},
	} {
		got := raw(t, l, c.method, c.path, c.kind, c.body)
		if got.Status != c.status || !strings.HasPrefix(got.Body, c.want) {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.want)
		}
	}
	if got := raw(t, l, "GET", "/group/api/v4/version", "", ""); got.Header.Get("Location") != l.URL+"/users/sign_in" {
		t.Errorf("redirect: got %q", got.Header.Get("Location"))
	}
}

// TestRecognisable: clients see a GitLab by its headers and sign-in page, people
// see that it is none.
func TestRecognisable(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	got := raw(t, l, "GET", "/api/v4/version", "", "", "X-Request-Id", "0123456789abcdef0123456789abcdef", "Authorization", "Bearer "+l.Admin)
	if got.Status != 200 || !strings.HasPrefix(got.Body, `{"version":"17.11.0","revision":"`) {
		t.Errorf("version: got %d %s", got.Status, got.Body)
	}
	if id := got.Header.Get("X-Request-Id"); id != "0123456789abcdef0123456789abcdef" {
		t.Errorf("X-Request-Id: got %q, want the one sent", id)
	}
	if meta := got.Header.Get("X-Gitlab-Meta"); meta != `{"correlation_id":"0123456789abcdef0123456789abcdef","version":"1"}` {
		t.Errorf("X-Gitlab-Meta: got %q", meta)
	}
	page := raw(t, l, "GET", "/users/sign_in", "", "")
	if page.Status != 200 || !strings.Contains(page.Body, "Not for production") || strings.Contains(page.Body, l.Admin) {
		t.Errorf("sign-in page: got %d %s", page.Status, page.Body)
	}
}

// TestMaintenanceMode refuses every write with a 403 that says nothing about the
// token, and can be ended.
func TestMaintenanceMode(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	r := l.Runner("instance", 0, nil)
	poll := labtest.M{"token": r.Token, "system_id": "s_CANARY000001"}
	poll["last_update"] = l.Call("POST", "jobs/request", "", poll).Header.Get("X-GitLab-Last-Update")
	l.Setting(labtest.M{"maintenance_mode": true, "maintenance_mode_message": "upgrade"})
	const readOnly = `{"message":"You cannot perform write operations on a read-only instance"}`
	for path, body := range map[string]labtest.M{"jobs/request": poll, "runners/verify": {"token": r.Token}, "runners": {"token": "CANARY"}, "user/runners": {}} {
		if got := l.Call("POST", path, l.Admin, body); got.Status != 403 || got.Body != readOnly {
			t.Errorf("%s: got %d %s, want 403 %s", path, got.Status, got.Body, readOnly)
		}
	}
	l.Must(200, "GET", fmt.Sprintf("runners/%d", r.ID), nil, nil)
	l.Setting(labtest.M{"maintenance_mode": false})
	l.MustAs("", 204, "POST", "jobs/request", poll, nil)
}

// TestNoTokenInTheDatabase sweeps every file but the two private ones.
func TestNoTokenInTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Profile: "self-managed", Dir: dir})
	group := l.Group("team", 0)
	tokens := []string{l.Admin, l.Info.RegistrationTokens["instance"], l.PAT(1, "api"), l.Runner("instance", 0, nil).Token, l.Register(nil).Token}
	var shown struct {
		RunnersToken string `json:"runners_token"`
	}
	l.Must(200, "GET", fmt.Sprintf("groups/%d", group), nil, &shown)
	tokens = append(tokens, shown.RunnersToken)
	l.Stop()
	files, err := filepath.Glob(filepath.Join(dir, "lab.sqlite*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("database files: %v %v", files, err)
	}
	for _, file := range files {
		dump, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(dump, []byte("admin@example.com")) {
			t.Errorf("%s: the sweep does not see what is there", file)
		}
		for i, token := range tokens {
			if len(token) < 20 {
				t.Errorf("token %d is empty", i)
			}
			for at := 0; at+16 <= len(token); at += 8 {
				if bytes.Contains(dump, []byte(token[at:at+16])) {
					t.Errorf("%s holds a piece of token %d", file, i)
				}
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v %v, want 0600", file, info.Mode(), err)
		}
	}
}

// TestLostSecrets: without secrets.json no token matches any more.
func TestLostSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Dir: dir})
	r := l.Runner("instance", 0, nil)
	l.Stop()
	if err := os.Remove(filepath.Join(dir, "secrets.json")); err != nil {
		t.Fatal(err)
	}
	l = labtest.Start(t, labtest.Options{Version: "17.11", Dir: dir})
	if got := l.Call("POST", "runners/verify", "", labtest.M{"token": r.Token}); got.Status != 403 || got.Body != forbidden {
		t.Errorf("verify: got %d %s, want 403", got.Status, got.Body)
	}
	l.Must(200, "GET", fmt.Sprintf("runners/%d", r.ID), nil, nil)
}

// TestConcurrentPolls: one job goes to one of many managers.
func TestConcurrentPolls(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	project, _ := l.Project("app", 0)
	l.CIConfig(project, "one:\n  script: [true]\n")
	r := l.Runner("instance", 0, nil)
	l.Pipeline(project, nil)
	var wg sync.WaitGroup
	statuses := make([]int, 16)
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": fmt.Sprintf("s_CANARY%06d", i)}).Status
		})
	}
	wg.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if count[201] != 1 || count[204] != 15 {
		t.Errorf("statuses: got %v, want one 201 and fifteen 204", count)
	}
}

// TestFaultSeam: what stands in the seam acts on API requests, and a panic is GitLab's 500.
func TestFaultSeam(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Fault: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v4/version" {
				panic("a fault that panics")
			}
			next.ServeHTTP(w, r)
		})
	}})
	if got := l.Call("GET", "version", l.Admin, nil); got.Status != 500 || got.Body != `{"message":"500 Internal Server Error"}` {
		t.Errorf("panic: got %d %s", got.Status, got.Body)
	}
	l.Must(200, "GET", "metadata", nil, nil)
}
