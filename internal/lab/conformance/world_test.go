package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
)

type M = labtest.M

// world is a case's part of a lab: everything it makes has names of its own.
type world struct {
	*labtest.Lab
	*witness
	version rekey.Version
	clock   *clock          // of a case by itself
	options labtest.Options // likewise
}

// clock moves when a case says so.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var counter atomic.Int64

func name(prefix string) string { return fmt.Sprintf("%s-%d", prefix, counter.Add(1)) }

const (
	guest, reporter, developer, maintainer, owner = 10, 20, 30, 40, 50
)

// group makes a group, below a parent unless that is 0.
func (w *world) group(parent int64) int64 { return w.Group(name("team"), parent) }

// project makes one that lets in neither instance nor group runners, so that no
// other case's runner gets its jobs; in 0 it is the administrator's.
func (w *world) project(group int64) int64 {
	id, _ := w.Project(name("app"), group)
	w.Must(200, "PUT", at("projects/%d", id), M{"shared_runners_enabled": false, "group_runners_enabled": false}, nil)
	return id
}

// person makes a user and a token with scopes, api by default.
func (w *world) person(scopes ...string) (int64, string) {
	if len(scopes) == 0 {
		scopes = []string{"api"}
	}
	id := w.User(name("user"))
	return id, w.PAT(id, scopes...)
}

// member makes a user with a role and returns a token.
func (w *world) member(kind string, id int64, level int, scopes ...string) string {
	user, token := w.person(scopes...)
	w.Member(kind, id, user, level)
	return token
}

func at(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// send makes a request whose body is of any type; path is below /api/v4/ unless it
// begins with a slash.
func (w *world) send(method, path, contentType, body string, header ...string) labtest.Answer {
	if !strings.HasPrefix(path, "/") {
		path = "/api/v4/" + path
	}
	req, err := http.NewRequest(method, w.URL+path, strings.NewReader(body)) //nolint:noctx // it ends with the test's server
	if err != nil {
		w.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.Do(req)
}

// post, get and so on call without or as the administrator.
func (w *world) anon(method, path string, body any) labtest.Answer {
	return w.Call(method, path, "", body)
}

func (w *world) admin(method, path string, body any) labtest.Answer {
	return w.Call(method, path, w.Admin, body)
}

// want compares status and, unless it is empty, the whole body.
func (w *world) want(a labtest.Answer, status int, body string) {
	if a.Status != status || body != "" && a.Body != body {
		w.Errorf("got %d %s, want %d %s", a.Status, a.Body, status, body)
	}
}

// wantPart compares status and looks for a text in the body.
func (w *world) wantPart(a labtest.Answer, status int, part string) {
	if a.Status != status || !strings.Contains(a.Body, part) {
		w.Errorf("got %d %s, want %d with %q", a.Status, a.Body, status, part)
	}
}

// object is the body of an answer with the status wanted.
func (w *world) object(a labtest.Answer, status int) M {
	var found M
	if a.Status != status {
		w.Fatalf("got %d %s, want %d", a.Status, a.Body, status)
	}
	w.decode(a.Body, &found)
	return found
}

// objects is object for an array.
func (w *world) objects(a labtest.Answer) []M {
	var found []M
	if a.Status != 200 {
		w.Fatalf("got %d %s, want 200", a.Status, a.Body)
	}
	w.decode(a.Body, &found)
	return found
}

func (w *world) decode(body string, into any) {
	if err := json.Unmarshal([]byte(body), into); err != nil {
		w.Fatalf("no JSON: %v: %s", err, body)
	}
}

// is compares as JSON does.
func (w *world) is(what string, got, want any) {
	g, _ := json.Marshal(got)
	s, _ := json.Marshal(want)
	if string(g) != string(s) {
		w.Errorf("%s: got %s, want %s", what, g, s)
	}
}

func (w *world) true(what string, holds bool) {
	if !holds {
		w.Errorf("%s: it does not hold", what)
	}
}

// keys says whether an object has exactly these.
func (w *world) keys(found M, want ...string) {
	for _, key := range want {
		if _, there := found[key]; !there {
			w.Errorf("no %s in %v", key, found)
		}
	}
	if len(found) != len(want) {
		w.Errorf("got %d keys in %v, want exactly %v", len(found), found, want)
	}
}

// has says whether an object has at least these.
func (w *world) has(found M, want ...string) {
	for _, key := range want {
		if _, there := found[key]; !there {
			w.Errorf("no %s in %v", key, found)
		}
	}
}

// ids are those of a list.
func ids(rows []M) []float64 {
	found := []float64{}
	for _, row := range rows {
		id, _ := row["id"].(float64)
		found = append(found, id)
	}
	return found
}

// runner is GET /runners/:id as the administrator.
func (w *world) runner(id int64) M { return w.object(w.admin("GET", at("runners/%d", id), nil), 200) }

// managers is GET /runners/:id/managers.
func (w *world) managers(id int64) []M {
	return w.objects(w.admin("GET", at("runners/%d/managers", id), nil))
}

// verify and poll are what a runner calls.
func (w *world) verify(token string) labtest.Answer {
	return w.anon("POST", "runners/verify", M{"token": token, "system_id": "s_CANARY"})
}

func (w *world) poll(token string, more ...M) labtest.Answer {
	body := M{"token": token, "system_id": "s_CANARY"}
	for _, m := range more {
		for k, v := range m {
			body[k] = v
		}
	}
	return w.anon("POST", "jobs/request", body)
}

const (
	garbage          = "GR1348941CANARYnotissued00"
	forbidden        = `{"message":"403 Forbidden"}`
	noAccess         = `{"message":"403 Forbidden - No access granted"}`
	unauthorized     = `{"message":"401 Unauthorized"}`
	insufficient     = `{"message":"403 Forbidden - Insufficient permissions"}`
	invalidToken     = `{"message":"403 Forbidden - invalid token supplied"}`
	gone             = `{"message":"410 Gone - runner registration disallowed"}`
	tokenMissing     = `{"error":"token is missing"}`
	lookupMiss       = `{"message":"404 Not found"}`
	tooManyTags      = `{"message":{"tags_list":["Too many tags specified. Please limit the number of tags to 50"]}}`
	insufficientPart = `"error":"insufficient_scope"`
)

func tags(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("tag%d", i)
	}
	return all
}

// registrationToken is runners_token of "groups/1" or "projects/1".
func (w *world) registrationToken(path string) string {
	token, _ := w.object(w.admin("GET", path, nil), 200)["runners_token"].(string)
	return token
}
