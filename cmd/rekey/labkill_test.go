package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// servedLab is the real `rekey lab up` in a process of its own.
type servedLab struct {
	t     testing.TB
	cmd   *exec.Cmd
	url   string
	admin string
	http  *http.Client
}

func serveLab(t testing.TB, dir string, args ...string) *servedLab {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"lab", "up", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	var conversation bytes.Buffer
	cmd.Stderr = &conversation
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = cmd.Wait()
		t.Fatalf("the lab did not start: %v\n%s", err, &conversation)
	}
	var info struct {
		URL   string `json:"url"`
		Admin string `json:"admin_token"`
	}
	raw, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	must(t, err)
	must(t, json.Unmarshal(raw, &info))
	return &servedLab{t, cmd, info.URL, info.Admin, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
}

// kill is kill -9.
func (l *servedLab) kill() {
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait()
	l.http.CloseIdleConnections()
}

// labAnswer is what the lab said; ok is false when it did not say it to the end.
type labAnswer struct {
	ok     bool
	status int
	body   string
}

// call sends body, JSON or text, to a path below /api/v4 or, with a slash, to any.
func (l *servedLab) call(method, path, token string, header map[string]string, body any) labAnswer {
	payload, isText := body.(string)
	if !isText && body != nil {
		raw, err := json.Marshal(body)
		must(l.t, err)
		payload = string(raw)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/api/v4/" + path
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, strings.NewReader(payload))
	must(l.t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Private-Token", token)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	response, err := l.http.Do(req)
	if err != nil {
		return labAnswer{}
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return labAnswer{err == nil, response.StatusCode, string(raw)}
}

// acked is what the lab acknowledged: each fact must hold after any kill.
type acked struct {
	t      testing.TB
	count  atomic.Int64
	enough chan struct{} // closed at limit
	limit  int64

	mu    sync.Mutex
	facts map[string]func(*servedLab) string // by subject; the newest replaces; "" or what is wrong
}

// hold says what must be true of a subject from now on; nil for what is unsure
// while a request is under way.
func (a *acked) hold(subject string, fact func(*servedLab) string) {
	a.mu.Lock()
	a.facts[subject] = fact
	a.mu.Unlock()
	if fact != nil && a.count.Add(1) == a.limit {
		close(a.enough)
	}
}

// ask sends a request whose outcome the subject depends on. It reports whether it
// was acknowledged with the status; another answer than that is a failure.
func (a *acked) ask(l *servedLab, subject string, status int, method, path, token string, header map[string]string, body any) (labAnswer, bool) {
	a.hold(subject, nil)
	got := l.call(method, path, token, header, body)
	if got.ok && got.status != status {
		a.t.Errorf("%s %s: got %d %s, want %d", method, path, got.status, got.body, status)
	}
	return got, got.ok && got.status == status
}

type made struct {
	ID    int64
	Token string
}

func verified(token, system string, want int) func(*servedLab) string {
	return func(l *servedLab) string {
		got := l.call("POST", "runners/verify", "", nil, map[string]any{"token": token, "system_id": system})
		if got.status != want {
			return fmt.Sprintf("verify: got %d %s, want %d", got.status, got.body, want)
		}
		return ""
	}
}

func shown(path, text string) func(*servedLab) string {
	return func(l *servedLab) string {
		got := l.call("GET", path, l.admin, nil, nil)
		if got.status != http.StatusOK || !strings.Contains(got.body, text) {
			return fmt.Sprintf("GET %s: got %d %s, want %s in it", path, got.status, got.body, text)
		}
		return ""
	}
}

// runners creates, verifies, resets and deletes records until the lab is gone.
func (a *acked) runners(l *servedLab, worker string) {
	for i := 0; ; i++ {
		name, system := fmt.Sprintf("record %s-%d", worker, i), fmt.Sprintf("s_%s%09d", worker, i)
		got, ok := a.ask(l, name, http.StatusCreated, "POST", "user/runners", l.admin, nil, map[string]any{"runner_type": "instance_type", "description": name, "run_untagged": false, "tag_list": []string{"none"}})
		if !ok {
			return
		}
		var r made
		must(a.t, json.Unmarshal([]byte(got.body), &r))
		a.hold(name, verified(r.Token, system, http.StatusOK))
		if _, ok = a.ask(l, name+"'s manager", http.StatusOK, "POST", "runners/verify", "", nil, map[string]any{"token": r.Token, "system_id": system}); !ok {
			return
		}
		managers := fmt.Sprintf("runners/%d/managers", r.ID)
		a.hold(name+"'s manager", shown(managers, system))
		switch i % 3 {
		case 1:
			got, ok := a.ask(l, name, http.StatusCreated, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), l.admin, nil, nil)
			if !ok {
				return
			}
			var fresh made
			must(a.t, json.Unmarshal([]byte(got.body), &fresh))
			a.hold(name, verified(fresh.Token, system, http.StatusOK))
			a.hold(name+"'s old token", verified(r.Token, system, http.StatusForbidden))
		case 2:
			a.hold(name+"'s manager", nil)
			if _, ok := a.ask(l, name, http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", r.ID), l.admin, nil, nil); !ok {
				return
			}
			a.hold(name, verified(r.Token, system, http.StatusForbidden))
		}
	}
}

// jobs starts pipelines of one job each and runs them: taken, traced, finished.
func (a *acked) jobs(l *servedLab, project int64, runner made, worker string) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("pipeline %s-%d", worker, i)
		got, ok := a.ask(l, name, http.StatusCreated, "POST", fmt.Sprintf("projects/%d/pipeline", project), l.admin, nil, map[string]any{"ref": "main"})
		if !ok {
			return
		}
		var p made
		must(a.t, json.Unmarshal([]byte(got.body), &p))
		a.hold(name, shown(fmt.Sprintf("projects/%d/pipelines/%d", project, p.ID), `"sha"`))
		got = l.call("POST", "jobs/request", "", nil, map[string]any{"token": runner.Token, "system_id": "s_CANARY" + worker + "0000"})
		if !got.ok {
			return
		}
		if got.status != http.StatusCreated {
			continue // another worker took it
		}
		var j made
		must(a.t, json.Unmarshal([]byte(got.body), &j))
		job, path := fmt.Sprintf("job %d", j.ID), fmt.Sprintf("projects/%d/jobs/%d", project, j.ID)
		a.hold(job, shown(path, `"status":"running"`))
		line := fmt.Sprintf("CANARY line of job %d\n", j.ID)
		trace := map[string]string{"Content-Type": "text/plain", "Content-Range": fmt.Sprintf("0-%d", len(line)-1), "Job-Token": j.Token}
		if _, ok := a.ask(l, job+"'s trace", http.StatusAccepted, "PATCH", fmt.Sprintf("jobs/%d/trace", j.ID), "", trace, line); !ok {
			return
		}
		a.hold(job+"'s trace", shown(path+"/trace", strings.TrimSpace(line)))
		if _, ok := a.ask(l, job, http.StatusOK, "PUT", fmt.Sprintf("jobs/%d", j.ID), "", nil, map[string]any{"token": j.Token, "state": "success"}); !ok {
			return
		}
		a.hold(job, shown(path, `"status":"success"`))
	}
}

// TestLabKilledUnderLoad: kill -9 under load loses no acknowledged write. Records,
// managers, resets, deletions, pipelines, jobs taken, traced and finished are
// checked after each kill, those of earlier rounds too.
func TestLabKilledUnderLoad(t *testing.T) {
	t.Parallel()
	rounds, each := 3, int64(400)
	if testing.Short() {
		rounds, each = 2, 150
	}
	dir := filepath.Join(t.TempDir(), "lab")
	l := serveLab(t, dir, "--gitlab-version", "18.11")
	project, runner := labWithJobs(t, l)
	a := &acked{t: t, facts: map[string]func(*servedLab) string{}}
	for round := range rounds {
		a.count.Store(0)
		a.enough, a.limit = make(chan struct{}), each+37*int64(round)
		var load sync.WaitGroup
		for worker := range 4 {
			load.Go(func() { a.runners(l, fmt.Sprintf("%d%c", round, 'a'+worker)) })
		}
		for worker := range 2 {
			load.Go(func() { a.jobs(l, project, runner, fmt.Sprintf("%d%c", round, 'y'+worker)) })
		}
		ended := make(chan struct{})
		go func() { load.Wait(); close(ended) }()
		select {
		case <-a.enough:
		case <-ended:
			t.Fatal("the load ended by itself")
		}
		l.kill()
		<-ended
		l = serveLab(t, dir)
		checked := 0
		for subject, fact := range a.facts {
			if fact == nil {
				continue
			}
			checked++
			if wrong := fact(l); wrong != "" {
				t.Errorf("round %d: %s was acknowledged and is lost: %s", round, subject, wrong)
			}
		}
		if int64(checked) < each/3 {
			t.Errorf("round %d: only %d acknowledged writes were checked", round, checked)
		}
	}
	l.kill()
}

// labWithJobs is a project whose pipelines have one job for any runner, and a
// runner that may take it.
func labWithJobs(t testing.TB, l *servedLab) (int64, made) {
	t.Helper()
	do := func(path string, body any) made {
		t.Helper()
		got := l.call("POST", path, l.admin, nil, body)
		if got.status != http.StatusCreated {
			t.Fatalf("POST %s: got %d %s, want 201", path, got.status, got.body)
		}
		var m made
		must(t, json.Unmarshal([]byte(got.body), &m))
		return m
	}
	project := do("projects", map[string]any{"name": "web", "path": "web", "initialize_with_readme": true})
	do(fmt.Sprintf("projects/%d/repository/files/.gitlab-ci.yml", project.ID),
		map[string]any{"branch": "main", "content": "one:\n  script: [true]\n", "commit_message": "add ci [skip ci]"})
	return project.ID, do("user/runners", map[string]any{"runner_type": "instance_type", "run_untagged": true})
}
