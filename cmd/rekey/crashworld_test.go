package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rekey/internal/host/ssh/sshtest"
	"rekey/internal/lab/labtest"
)

// world is a lab with some projects, and the one runner host of one attempt at a
// time. Attempts share the lab, never a record.
type world struct {
	t     testing.TB
	lab   *labtest.Lab
	front *front
	web   int64 // acme/web
	api   int64 // acme/api

	ssh                *sshtest.Server // nil: nothing is reached over ssh
	binary             string          // that is run
	dir, config, state string          // of the attempt
}

// front stands before the lab: it counts resets that came from rekey, and plays
// the middlebox that loses an answer.
type front struct {
	mu     sync.Mutex
	resets map[string]int
	lose   *loss // nil: every answer arrives
	asked  int   // requests that came from rekey
}

// loss is one answer that does not arrive as the lab gave it.
type loss struct {
	path *regexp.Regexp // of the request; the method is POST
	nth  int            // where there is no path: which of rekey's requests, from 1
	how  func(w http.ResponseWriter, answer *recorded)
	done bool
}

var (
	createPath = regexp.MustCompile(`/user/runners$`)
	resetPath  = regexp.MustCompile(`/runners/(\d+)/reset_authentication_token$`)
)

func (f *front) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lose := f.saw(r)
		if lose == nil {
			next.ServeHTTP(w, r)
			return
		}
		answer := &recorded{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(answer, r) // the lab commits
		lose.how(w, answer)
	})
}

// saw counts a reset, and returns the loss that befalls this request.
func (f *front) saw(r *http.Request) *loss {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(r.UserAgent(), "rekey/") {
		return nil
	}
	f.asked++
	if f.lose != nil && f.lose.path == nil && f.lose.nth == f.asked {
		f.lose.done = true
		f.countReset(r)
		return f.lose
	}
	if r.Method != http.MethodPost {
		return nil
	}
	f.countReset(r)
	if f.lose == nil || f.lose.done || f.lose.path == nil || !f.lose.path.MatchString(r.URL.Path) {
		return nil
	}
	f.lose.done = true
	return f.lose
}

func (f *front) countReset(r *http.Request) {
	if m := resetPath.FindStringSubmatch(r.URL.Path); m != nil {
		f.resets[m[1]]++
	}
}

func (f *front) begin(lose *loss) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resets, f.lose, f.asked = map[string]int{}, lose, 0
}

// repeated returns the runners that were reset more than once.
func (f *front) repeated() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id, n := range f.resets {
		if n > 1 {
			ids = append(ids, fmt.Sprintf("%s (%d times)", id, n))
		}
	}
	return ids
}

// newWorld starts a lab of a version.
func newWorld(t testing.TB, version string) *world {
	t.Helper()
	w := &world{t: t, binary: mortal, front: &front{resets: map[string]int{}}}
	w.lab = labtest.Start(t, labtest.Options{Version: version, Fault: w.front.middleware})
	group := w.lab.Group("acme", 0)
	w.web, _ = w.lab.Project("web", group)
	w.api, _ = w.lab.Project("api", group)
	w.lab.Setting(labtest.M{"allow_runner_registration_token": false})
	for _, project := range []int64{w.web, w.api} {
		w.lab.Must(http.StatusOK, "PUT", fmt.Sprintf("projects/%d", project), labtest.M{"ci_pipeline_variables_minimum_override_role": "maintainer"}, nil)
		w.lab.CIConfig(project, canary)
	}
	return w
}

// canary is the pipeline of docs/guides/canary.md.
const canary = `rekey-canary:
  tags: [$REKEY_CANARY_TAG]
  rules:
    - if: $REKEY_CANARY_TAG
  variables:
    GIT_STRATEGY: none
  script:
    - echo canary
`

// host makes an empty runner host and takes every record out of the lab.
func (w *world) host(lose *loss) {
	w.t.Helper()
	for _, r := range w.records() {
		w.lab.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", r.ID), nil, nil)
	}
	w.front.begin(lose)
	w.dir = w.t.TempDir()
	w.config, w.state = filepath.Join(w.dir, "etc", "config.toml"), filepath.Join(w.dir, "state")
	must(w.t, os.MkdirAll(filepath.Dir(w.config), 0o700))
	w.write(".runner_system_id", "r_CANARY012345")
}

// write puts a file beside the config.
func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(filepath.Dir(w.config), name)
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (w *world) read() string {
	w.t.Helper()
	data, err := os.ReadFile(w.config)
	must(w.t, err)
	return string(data)
}

// record is a runner as the lab's API shows it.
type record struct {
	ID          int64    `json:"id"`
	Tags        []string `json:"tag_list"`
	RunUntagged bool     `json:"run_untagged"`
	Description string   `json:"description"`
	Paused      bool     `json:"paused"`
	Locked      bool     `json:"locked"`
	Projects    []struct {
		ID int64 `json:"id"`
	} `json:"projects"`
}

// records lists every record with its details.
func (w *world) records() []record {
	w.t.Helper()
	var list, detailed []record
	w.lab.Must(http.StatusOK, "GET", "runners/all?per_page=100", nil, &list)
	for _, r := range list {
		var one record
		w.lab.Must(http.StatusOK, "GET", fmt.Sprintf("runners/%d", r.ID), nil, &one)
		detailed = append(detailed, one)
	}
	return detailed
}

// verify asks the lab, not rekey, whose token it is; 0 when it is nobody's.
func (w *world) verify(token string) int64 {
	w.t.Helper()
	answer := w.lab.Call("POST", "runners/verify", "", labtest.M{"token": token, "system_id": "r_CANARY012345"})
	if answer.Status != http.StatusOK {
		return 0
	}
	var r record
	answer.Decode(w.t, &r)
	return r.ID
}

// run runs rekey on this host, with a user token unless bare. at is the point at
// which it is killed (0: never), log where its points are written ("": nowhere).
func (w *world) run(bare bool, at int, log string, args ...string) ended {
	w.t.Helper()
	env := []string{"HOME=" + w.dir, "REKEY_STATE_DIR=" + w.state, "REKEY_CRASH_AT=" + strconv.Itoa(at), "REKEY_CRASH_LOG=" + log}
	if !bare {
		env = append(env, "GITLAB_HOST="+w.lab.URL, "GITLAB_TOKEN="+w.lab.Admin)
	}
	if w.ssh != nil {
		env = append(env, "PATH="+filepath.Dir(w.ssh.Program)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	}
	return execute(w.t, w.binary, env, "", args...)
}

// reset gives a record another token, as somebody else would.
func (w *world) reset(id int64) {
	w.t.Helper()
	w.lab.Must(http.StatusCreated, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", id), nil, nil)
}

// remove deletes a record, as somebody else would.
func (w *world) remove(id int64) {
	w.t.Helper()
	w.lab.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", id), nil, nil)
}

// erase makes the host one on which no gitlab-runner was ever configured.
func (w *world) erase() {
	w.t.Helper()
	must(w.t, os.RemoveAll(filepath.Dir(w.config)))
}
