// Package labtest starts a lab for a test and sets it up through its HTTP API, as
// any GitLab client would. It owns nothing but the requests; what they mean is
// the lab's.
package labtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
)

// Options of a test's lab. Version is as people write it ("17.11"; empty is
// 17.11), Profile as lab.Options has it. Now defaults to the machine's clock.
type Options struct {
	Version string
	Profile string
	Dir     string // empty: a fresh t.TempDir
	Now     func() time.Time
	Fault   lab.Middleware
}

// Lab is a running lab. Its methods fail the test on an unexpected answer.
type Lab struct {
	*lab.Server
	URL   string
	Admin string // the administrator's token
	Info  lab.Info
	t     testing.TB
	close func()
}

// Start serves a lab until the test ends.
func Start(t testing.TB, o Options) *Lab {
	t.Helper()
	server, err := lab.Open(t.Context(), o.filled(t))
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	l := serve(t, server)
	l.Server, l.Info = server, server.Info()
	l.Admin = l.Info.AdminToken
	return l
}

// filled are the lab's own options.
func (o Options) filled(t testing.TB) lab.Options {
	t.Helper()
	version, err := rekey.ParseVersion(cmp.Or(o.Version, "17.11"))
	if err != nil {
		t.Fatalf("lab version: %v", err)
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return lab.Options{Dir: o.Dir, Version: version, Profile: o.Profile, Now: o.Now, Fault: o.Fault}
}

// opened is a lab of either kind.
type opened interface {
	Handler() http.Handler
	SetURL(url string)
	Close() error
}

// serve serves it until the test ends, or Stop.
func serve(t testing.TB, server opened) *Lab {
	front := httptest.NewServer(server.Handler())
	server.SetURL(front.URL)
	l := &Lab{URL: front.URL, t: t}
	l.close = sync.OnceFunc(func() {
		front.Close()
		if err := server.Close(); err != nil {
			t.Errorf("close lab: %v", err)
		}
	})
	t.Cleanup(l.close)
	return l
}

// Stop ends the lab before the test does, so that its directory can be reopened.
func (l *Lab) Stop() { l.close() }

// Answer is what the lab said.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Decode reads the JSON body into out.
func (a Answer) Decode(t testing.TB, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), out); err != nil {
		t.Fatalf("answer %d is no JSON: %v: %s", a.Status, err, a.Body)
	}
}

// Call sends body as JSON (nil: none) to a path below /api/v4 with the user token
// ("" for none).
func (l *Lab) Call(method, path, token string, body any) Answer {
	l.t.Helper()
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			l.t.Fatalf("encode body: %v", err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(l.t.Context(), method, l.URL+"/api/v4/"+path, reader)
	if err != nil {
		l.t.Fatalf("request: %v", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Private-Token", token)
	}
	return l.Do(r)
}

// Do sends a request of the caller's own making; redirects are not followed.
func (l *Lab) Do(r *http.Request) Answer {
	l.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		l.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return Answer{response.StatusCode, response.Header, string(raw)}
}

// Must is Call for the administrator that fails the test on another status, and
// decodes the answer into out unless that is nil.
func (l *Lab) Must(status int, method, path string, body, out any) {
	l.t.Helper()
	l.MustAs(l.Admin, status, method, path, body, out)
}

// MustAs is Must with another user's token.
func (l *Lab) MustAs(token string, status int, method, path string, body, out any) {
	l.t.Helper()
	a := l.Call(method, path, token, body)
	if a.Status != status {
		l.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.Status, a.Body, status)
	}
	if out != nil {
		a.Decode(l.t, out)
	}
}

// M is a JSON object.
type M = map[string]any

type identified struct {
	ID       int64  `json:"id"`
	FullPath string `json:"full_path"`
	Path     string `json:"path_with_namespace"`
}

// User makes a user and returns the id.
func (l *Lab) User(username string) int64 {
	l.t.Helper()
	var made identified
	l.Must(http.StatusCreated, "POST", "users", M{"username": username, "name": username, "email": username + "@example.com", "force_random_password": true}, &made)
	return made.ID
}

// PAT makes a personal access token.
func (l *Lab) PAT(userID int64, scopes ...string) string {
	l.t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("users/%d/personal_access_tokens", userID), M{"name": "test", "scopes": scopes}, &made)
	return made.Token
}

// Group makes a group, below a parent unless that is 0, and returns the id.
func (l *Lab) Group(path string, parent int64) int64 {
	l.t.Helper()
	body := M{"name": path, "path": path}
	if parent != 0 {
		body["parent_id"] = parent
	}
	var made identified
	l.Must(http.StatusCreated, "POST", "groups", body, &made)
	return made.ID
}

// Project makes a project with a README, in the administrator's namespace where
// group is 0, and returns its id and full path.
func (l *Lab) Project(path string, group int64) (int64, string) {
	l.t.Helper()
	body := M{"name": path, "path": path, "initialize_with_readme": true}
	if group != 0 {
		body["namespace_id"] = group
	}
	var made identified
	l.Must(http.StatusCreated, "POST", "projects", body, &made)
	return made.ID, made.Path
}

// Member gives a user a role in "groups" or "projects".
func (l *Lab) Member(kind string, id, userID int64, level int) {
	l.t.Helper()
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("%s/%d/members", kind, id), M{"user_id": userID, "access_level": level}, nil)
}

// Issued is a runner's id and token.
type Issued struct {
	ID        int64  `json:"id"`
	Token     string `json:"token"`
	ExpiresAt string `json:"token_expires_at"`
}

// Runner makes a record with POST /user/runners: scope is instance, group or
// project, owner the id of the latter two; attributes may be nil.
func (l *Lab) Runner(scope string, owner int64, attributes M) Issued {
	l.t.Helper()
	body := M{"runner_type": scope + "_type"}
	if owner != 0 {
		body[scope+"_id"] = owner
	}
	for k, v := range attributes {
		body[k] = v
	}
	var made Issued
	l.Must(http.StatusCreated, "POST", "user/runners", body, &made)
	return made
}

// Register registers by the legacy flow with the instance token.
func (l *Lab) Register(attributes M) Issued {
	l.t.Helper()
	body := M{"token": l.Info.RegistrationTokens["instance"]}
	for k, v := range attributes {
		body[k] = v
	}
	var made Issued
	l.MustAs("", http.StatusCreated, "POST", "runners", body, &made)
	return made
}

// Setting changes application settings.
func (l *Lab) Setting(settings M) {
	l.t.Helper()
	l.Must(http.StatusOK, "PUT", "application/settings", settings, nil)
}

// CIConfig commits a .gitlab-ci.yml to the default branch without running it.
func (l *Lab) CIConfig(project int64, content string) {
	l.t.Helper()
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/repository/files/%s", project, url.PathEscape(".gitlab-ci.yml")),
		M{"branch": "main", "content": content, "commit_message": "add ci [skip ci]"}, nil)
}

// AllowVariables lets developers set pipeline variables, which new projects of
// profile gitlab.com refuse from 18.0 on.
func (l *Lab) AllowVariables(project int64) {
	l.t.Helper()
	l.Must(http.StatusOK, "PUT", fmt.Sprintf("projects/%d", project), M{"ci_pipeline_variables_minimum_override_role": "developer"}, nil)
}

// Pipeline runs the default branch with variables and returns the pipeline's id.
func (l *Lab) Pipeline(project int64, variables map[string]string) int64 {
	l.t.Helper()
	given := []M{}
	for k, v := range variables {
		given = append(given, M{"key": k, "value": v})
	}
	var made identified
	l.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/pipeline", project), M{"ref": "main", "variables": given}, &made)
	return made.ID
}

// For is the same lab to a part of the test: unexpected answers fail t instead.
func (l *Lab) For(t testing.TB) *Lab {
	view := *l
	view.t = t
	return &view
}
