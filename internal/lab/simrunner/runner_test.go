package simrunner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rekey"
)

// writeConfig writes a config of one section, or of text as it is.
func writeConfig(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func oneSection(url, token string) string {
	return fmt.Sprintf("concurrent = 4\ncheck_interval = 1\n[[runners]]\n  name = \"one\"\n  url = %q\n  token = %q\n  executor = \"shell\"\n", url, token)
}

func parse(t testing.TB, text string) rekey.Version {
	t.Helper()
	v, err := rekey.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// running is a Runner at work against a coordinator.
type running struct {
	*Runner
	log    *buffer
	config string
	cancel context.CancelFunc
	ended  chan struct{}
}

// run starts a runner of version on a config; it is stopped with the test.
func run(t testing.TB, version, config string) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	writeConfig(t, path, config)
	log := &buffer{}
	r, err := New(Options{Config: path, Version: parse(t, version), Log: log, Now: time.Now})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &running{Runner: r, log: log, config: path, cancel: cancel, ended: make(chan struct{})}
	go func() { defer close(x.ended); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-x.ended })
	return x
}

// eventually polls until ok, at most 20 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// script is a job with one script step.
func script(lines ...string) map[string]any {
	return map[string]any{
		"job_info":    map[string]any{"name": "t", "stage": "test", "project_id": 1, "project_name": "p", "project_full_path": "g/p"},
		"git_info":    map[string]any{"repo_url": "http://host/g/p.git"},
		"runner_info": map[string]any{"timeout": 600},
		"variables":   []any{map[string]any{"key": "GIT_STRATEGY", "value": "none"}},
		"steps":       []any{map[string]any{"name": "script", "script": lines, "timeout": 600, "when": "on_success"}},
		"image":       nil, "artifacts": nil, "cache": nil,
		"features": map[string]any{"failure_reasons": []string{"script_failure", "runner_system_failure", "job_execution_timeout", "unknown_failure"}},
	}
}

// finished waits for job id to be reported and returns what the server has.
func finished(t testing.TB, c *coordinator, id int64) served {
	t.Helper()
	var got served
	eventually(t, fmt.Sprintf("job %d reported", id), func() bool {
		ok := false
		c.look(func() {
			if j := c.jobs[id]; j != nil && j.done {
				got, ok = *j, true
			}
		})
		return ok
	})
	return got
}

func contains(t testing.TB, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q; it is:\n%s", what, w, text)
		}
	}
}

func lacks(t testing.TB, what, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("%s holds %q; it is:\n%s", what, w, text)
		}
	}
}

func TestProtocolOfEachVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		version   string
		header    string // that carries the runner token
		systemID  bool
		putHeader string
		states    string
	}{
		{"15.7", "", false, "", "success"},
		{"15.11", "", true, "", "success"},
		{"16.10", "Private-Token", true, "Private-Token", "success"},
		{"17.10", "Private-Token", true, "Private-Token", "success"},
		{"17.11", "Runner-Token", true, "Job-Token", "success"},
		{"18.5", "Runner-Token", true, "Job-Token", "running success"},
		{"19.3", "Runner-Token", true, "Job-Token", "running success"},
	}
	for _, tc := range tests {
		t.Run(tc.version, func(t *testing.T) {
			t.Parallel()
			c := newCoordinator(t, canary)
			c.add(script("echo hello"))
			run(t, tc.version, oneSection(c.start(), canary))
			j := finished(t, c, 1)
			var p poll
			c.look(func() { p = c.polls[0] })
			for _, h := range []string{"Private-Token", "Runner-Token"} {
				if got := p.header.Get(h) != ""; got != (h == tc.header) {
					t.Errorf("jobs/request has header %s: %v, want %v", h, got, h == tc.header)
				}
			}
			if _, got := p.body["system_id"]; got != tc.systemID {
				t.Errorf("jobs/request has system_id: %v, want %v", got, tc.systemID)
			}
			for _, h := range []string{"Private-Token", "Job-Token"} {
				if got := j.header.Get(h) == j.token; got != (h == tc.putHeader) {
					t.Errorf("PUT has header %s: %v, want %v", h, got, h == tc.putHeader)
				}
			}
			if got := strings.Join(j.states, " "); got != tc.states {
				t.Errorf("PUT states %q, want %q", got, tc.states)
			}
			info, _ := p.body["info"].(map[string]any)
			if info["name"] != "gitlab-runner" || info["version"] != parse(t, tc.version).String() || info["executor"] != "shell" || info["features"] == nil {
				t.Errorf("info is %v", info)
			}
			contains(t, "User-Agent", p.header.Get("User-Agent"), "gitlab-runner "+parse(t, tc.version).String()+" (")
		})
	}
}

func TestQueueValueIsEchoed(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	x := run(t, "17.11", oneSection(c.start(), canary))
	eventually(t, "two polls", func() bool { return x.Stats().Polls >= 2 })
	c.look(func() {
		if got := c.polls[0].body["last_update"]; got != nil {
			t.Errorf("the first poll has last_update %v, want none", got)
		}
		if got := c.polls[1].body["last_update"]; got != "value-0" {
			t.Errorf("the second poll has last_update %v, want value-0", got)
		}
	})
}

func TestSystemID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	file := filepath.Join(dir, ".runner_system_id")
	writeConfig(t, path, "")
	start := func(version string) rekey.SystemID {
		r, err := New(Options{Config: path, Version: parse(t, version), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return r.SystemID()
	}
	if got := start("15.6"); got != "" {
		t.Errorf("15.6 has system id %q, want none", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("15.6 made a system id file")
	}
	first := start("17.11")
	if !systemIDPattern.MatchString(string(first)) {
		t.Errorf("system id %q has not the shape of one", first)
	}
	if got := start("17.11"); got != first {
		t.Errorf("the second start has system id %q, want %q", got, first)
	}
	writeConfig(t, file, " s_CANARY123456\n")
	if got := start("17.11"); got != "s_CANARY123456" {
		t.Errorf("system id %q, want the file's, trimmed", got)
	}
	writeConfig(t, file, "nonsense")
	if got := start("17.11"); !systemIDPattern.MatchString(string(got)) {
		t.Errorf("system id %q after nonsense, want a new one", got)
	}
}

func TestReferencesAreExpandedFrom1810(t *testing.T) {
	t.Parallel()
	getenv := func(key string) string { return map[string]string{"TOKEN": canary}[key] }
	for version, want := range map[string]string{"18.9": "${TOKEN}", "18.10": canary} {
		path := filepath.Join(t.TempDir(), "config.toml")
		writeConfig(t, path, oneSection("http://host", "${TOKEN}"))
		c, err := loadConfig(path, parse(t, version), getenv)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Runners[0].token; got != rekey.NewToken(want) {
			t.Errorf("%s: token %v, want %v", version, got, rekey.NewToken(want))
		}
	}
}

func TestBrokenConfigIsFatalAtStart(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[[runners]]\ntoken = \"\"" + canary + "\"\"\n", "concurrent = 0\n", "[runners]\n", "[[runners]]\ntoken = 7\n", "[[runners]]\nid = \"7\"\n",
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		writeConfig(t, path, text)
		_, err := New(Options{Config: path, Now: time.Now})
		if rekey.KindOf(err) != rekey.KindInvalid || err == nil {
			t.Errorf("config %q: error %v, want kind invalid", text, err)
			continue
		}
		lacks(t, "the error", err.Error(), "CANARY")
	}
}

func TestShortToken(t *testing.T) {
	t.Parallel()
	tests := []struct{ version, token, want string }{
		{"15.8", canary, "glrt-CAN"},
		{"15.9", canary, "CANARY012"},
		{"18.1", "glrt-t1_CANARY0123456789abcd", "t1_CANARY"},
		{"18.2", "glrt-t1_CANARY0123456789abcd", "CANARY012"},
		{"17.11", "CANARY0123456789abcd", "CANARY01"},
		{"17.11", "glrt-CANA", "CA"},
	}
	for _, tc := range tests {
		if got := shortToken(rekey.NewToken(tc.token), parse(t, tc.version)); got != tc.want {
			t.Errorf("%s: short token %q, want %q", tc.version, got, tc.want)
		}
	}
}
