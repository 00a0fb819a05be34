package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekey"
)

// These tests run the real rekey against unmodified gitlab-runner binaries, those
// that `make e2e` found: GITLAB_RUNNER is a list of paths.

// e2eRunner is one gitlab-runner binary.
type e2eRunner struct {
	path    string
	version rekey.Version
}

func e2eRunners(t *testing.T) []e2eRunner {
	t.Helper()
	var found []e2eRunner
	for _, path := range strings.Fields(os.Getenv("GITLAB_RUNNER")) {
		out, err := exec.Command(path, "--version").CombinedOutput()
		if err != nil {
			t.Fatalf("%s --version: %v", path, err)
		}
		m := regexp.MustCompile(`Version:\s+(\S+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s --version says no version: %s", path, out)
		}
		v, err := rekey.ParseVersion(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e2eRunner{path, v})
	}
	if len(found) == 0 {
		t.Skip("no gitlab-runner in GITLAB_RUNNER: what needs one is not tested")
	}
	return found
}

var e2eRekey = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rekey")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// e2eLab is a `rekey lab up` of its own process.
type e2eLab struct {
	t          *testing.T
	rekey, dir string
	URL        string            `json:"url"`
	Admin      string            `json:"admin_token"`
	Register   map[string]string `json:"registration_tokens"`
	project    int64
}

func e2eLabUp(t *testing.T, args ...string) *e2eLab {
	t.Helper()
	bin, err := e2eRekey()
	if err != nil {
		t.Fatal(err)
	}
	l := &e2eLab{t: t, rekey: bin, dir: t.TempDir()}
	e2eBackground(t, exec.Command(bin, append([]string{"lab", "up", "--data", filepath.Join(l.dir, "lab"), "--listen", "127.0.0.1:0"}, args...)...))
	l.await("the lab", func() bool {
		text, err := os.ReadFile(filepath.Join(l.dir, "lab", "lab.json"))
		return err == nil && json.Unmarshal(text, l) == nil && l.URL != ""
	})
	var group, project struct{ ID int64 }
	l.call("POST", "groups", map[string]any{"name": "acme", "path": "acme"}, &group)
	l.call("POST", "projects", map[string]any{"name": "web", "path": "web", "namespace_id": group.ID, "initialize_with_readme": true}, &project)
	l.project = project.ID
	l.call("PUT", fmt.Sprintf("projects/%d", l.project), map[string]any{"ci_pipeline_variables_minimum_override_role": "developer"}, nil)
	l.call("POST", fmt.Sprintf("projects/%d/repository/files/%s", l.project, url.PathEscape(".gitlab-ci.yml")), map[string]any{"branch": "main", "commit_message": "ci [skip ci]", "content": e2eCI}, nil)
	return l
}

const e2eCI = `rekey-canary:
  tags: [$REKEY_CANARY_TAG]
  rules:
    - if: $REKEY_CANARY_TAG
  variables:
    GIT_STRATEGY: none
  script:
    - echo "hello from $CI_JOB_NAME in $CI_PROJECT_PATH"
`

// e2eBackground starts a process that the test's end stops; its output is shown
// when the test failed.
func e2eBackground(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var mu sync.Mutex
	var out bytes.Buffer
	w := writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return out.Write(p) })
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(cmd.Args[:3], " "), out.String())
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (l *e2eLab) await(what string, done func() bool) {
	l.t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			l.t.Fatalf("%s: not within 60 s", what)
		case <-tick.C:
		}
	}
}

func (l *e2eLab) call(method, path string, body, into any) {
	l.t.Helper()
	text, err := l.try(method, path, body)
	if err != nil {
		l.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			l.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

func (l *e2eLab) try(method, path string, body any) ([]byte, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, l.URL+"/api/v4/"+path, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("PRIVATE-TOKEN", l.Admin)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer, err
}

// newRunner creates a record for the project, tagged e2e.
func (l *e2eLab) newRunner() (id int64, token string) {
	l.t.Helper()
	var r struct {
		ID    int64
		Token string
	}
	l.call("POST", "user/runners", map[string]any{"runner_type": "project_type", "project_id": l.project, "tag_list": "e2e", "description": "e2e"}, &r)
	return r.ID, r.Token
}

// command runs gitlab-runner to its end and returns what it printed.
func (r e2eRunner) command(t *testing.T, config string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.path, append(args, "--config", config)...)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(config))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r e2eRunner) must(t *testing.T, config string, args ...string) string {
	t.Helper()
	out, err := r.command(t, config, args...)
	if err != nil {
		t.Fatalf("gitlab-runner %s: %v\n%s", args[0], err, out)
	}
	return out
}

func (r e2eRunner) run(t *testing.T, config string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	faster := strings.Replace(string(text), "check_interval = 0", "check_interval = 1", 1)
	if err := os.WriteFile(config, []byte(faster), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(r.path, "run", "--config", config, "--working-directory", filepath.Dir(config))
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(config))
	e2eBackground(t, cmd)
}

// jobRuns starts a pipeline for the tag and waits for its job to succeed on the
// runner; its trace must be whole.
func (l *e2eLab) jobRuns(tag string, runner int64) {
	l.t.Helper()
	var pipeline struct{ ID int64 }
	l.call("POST", fmt.Sprintf("projects/%d/pipeline", l.project), map[string]any{"ref": "main", "variables": []map[string]string{{"key": "REKEY_CANARY_TAG", "value": tag}}}, &pipeline)
	var jobs []struct {
		ID     int64
		Status string
		Runner *struct{ ID int64 }
	}
	l.await("a job on runner "+fmt.Sprint(runner), func() bool {
		l.call("GET", fmt.Sprintf("projects/%d/pipelines/%d/jobs", l.project, pipeline.ID), nil, &jobs)
		return len(jobs) == 1 && (jobs[0].Status == "success" || jobs[0].Status == "failed")
	})
	trace, err := l.try("GET", fmt.Sprintf("projects/%d/jobs/%d/trace", l.project, jobs[0].ID), nil)
	if err != nil || jobs[0].Status != "success" || jobs[0].Runner == nil || jobs[0].Runner.ID != runner {
		l.t.Fatalf("job %+v on runner %d: %v\n%s", jobs[0], runner, err, trace)
	}
	if want := "hello from rekey-canary in acme/web"; !strings.Contains(string(trace), want) {
		l.t.Errorf("trace has no %q:\n%s", want, trace)
	}
}

func e2eName(r e2eRunner, lab string) string {
	return fmt.Sprintf("gitlab-runner-%d.%d/lab-%s", r.version.Major, r.version.Minor, lab)
}

// TestE2ECreatedToken: the new flow, from registration to the end of the record's
// manager.
func TestE2ECreatedToken(t *testing.T) {
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(15, 11) {
			continue // --token glrt- is not understood before
		}
		for _, version := range []string{"15.11", "17.11", "19.3"} {
			t.Run(e2eName(r, version), func(t *testing.T) {
				l := e2eLabUp(t, "--gitlab-version", version)
				config := filepath.Join(t.TempDir(), "config.toml")
				id, token := l.newRunner()
				r.must(t, config, "register", "--non-interactive", "--url", l.URL, "--token", token, "--executor", "shell", "--name", "e2e")
				if out := r.must(t, config, "verify"); !strings.Contains(out, "is valid") && !strings.Contains(out, "is alive") {
					t.Errorf("verify says neither valid nor alive:\n%s", out)
				}
				r.run(t, config)
				l.jobRuns("e2e", id)
				r.must(t, config, "unregister", "--all-runners")
			})
		}
	}
}

// TestE2ERegistrationToken: accepted at 15.11 and by an upgraded 17.11, refused
// with 410 by a 17.11 that follows GitLab.com.
func TestE2ERegistrationToken(t *testing.T) {
	cases := []struct {
		version, profile string
		gone             bool
	}{{"15.11", "self-managed", false}, {"17.11", "self-managed", false}, {"17.11", "", true}}
	for _, r := range e2eRunners(t) {
		for _, c := range cases {
			t.Run(e2eName(r, c.version+c.profile), func(t *testing.T) {
				args := []string{"--gitlab-version", c.version}
				if c.profile != "" {
					args = append(args, "--profile", c.profile)
				}
				l := e2eLabUp(t, args...)
				config := filepath.Join(t.TempDir(), "config.toml")
				out, err := r.command(t, config, "register", "--non-interactive", "--url", l.URL, "--registration-token", l.Register["instance"],
					"--executor", "shell", "--name", "legacy", "--tag-list", "e2e", "--run-untagged=false")
				if c.gone {
					var exit *exec.ExitError
					if want := "410 Gone - runner registration disallowed"; !errors.As(err, &exit) || !strings.Contains(out, want) {
						t.Fatalf("register: %v, want a failure with %q\n%s", err, want, out)
					}
					return
				}
				if err != nil {
					t.Fatalf("register: %v\n%s", err, out)
				}
				var runners []struct{ ID int64 }
				l.call("GET", "runners/all?tag_list=e2e", nil, &runners)
				if len(runners) != 1 {
					t.Fatalf("got %d runners, want the registered one", len(runners))
				}
				r.run(t, config)
				l.jobRuns("e2e", runners[0].ID)
				r.must(t, config, "unregister", "--all-runners")
				l.call("GET", "runners/all?tag_list=e2e", nil, &runners)
				if len(runners) != 0 {
					t.Errorf("after unregister got %d runners, want none", len(runners))
				}
			})
		}
	}
}

// TestE2EFix: a running, unmodified gitlab-runner whose token was rotated and one
// whose record was deleted are repaired, reloaded and proved by a job each.
func TestE2EFix(t *testing.T) {
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(15, 11) {
			continue
		}
		for _, version := range []string{"17.11", "19.3"} {
			t.Run(e2eName(r, version), func(t *testing.T) {
				l := e2eLabUp(t, "--gitlab-version", version)
				config := filepath.Join(t.TempDir(), "config.toml")
				rotated, token := l.newRunner()
				r.must(t, config, "register", "--non-interactive", "--url", l.URL, "--token", token, "--executor", "shell", "--name", "rotated")
				deleted, token := l.newRunner()
				r.must(t, config, "register", "--non-interactive", "--url", l.URL, "--token", token, "--executor", "shell", "--name", "deleted")
				l.call("POST", fmt.Sprintf("runners/%d/reset_authentication_token", rotated), nil, nil)
				if _, err := l.try("DELETE", fmt.Sprintf("runners/%d", deleted), nil); err != nil {
					t.Fatal(err)
				}
				r.run(t, config)
				cmd := exec.CommandContext(t.Context(), l.rekey, "fix", "--yes", "--config", config, "--rps", "0", "-o", "json",
					"--canary-project", "acme/web", "--scope", "project", "--project", "acme/web", "--tag-list", "e2e", "--state-dir", filepath.Join(l.dir, "state"))
				cmd.Env = append(os.Environ(), "GITLAB_HOST="+l.URL, "GITLAB_TOKEN="+l.Admin)
				var conversation bytes.Buffer
				cmd.Stderr = &conversation
				out, err := cmd.Output()
				var report struct {
					Results []struct {
						Name, Status, Reason string
					}
				}
				if jerr := json.Unmarshal(out, &report); err != nil || jerr != nil || len(report.Results) != 2 {
					t.Fatalf("fix: %v, %v\n%s\n%s", err, jerr, out, &conversation)
				}
				for _, result := range report.Results {
					if result.Status != "fixed" {
						t.Errorf("%s is %s (%s), want fixed\n%s", result.Name, result.Status, result.Reason, &conversation)
					}
				}
			})
		}
	}
}
