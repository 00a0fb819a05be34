package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// agentHost is a runner host on which the real agent runs.
type agentHost struct {
	t           testing.TB
	dir, config string
	store       string
	env         []string
	cmd         *exec.Cmd
	log         string
	started     int
}

func newAgentHost(t testing.TB, store string, env ...string) *agentHost {
	t.Helper()
	h := &agentHost{t: t, dir: t.TempDir(), store: store, env: env}
	h.config, h.log = filepath.Join(h.dir, "etc", "config.toml"), filepath.Join(h.dir, "agent.log")
	must(t, os.MkdirAll(filepath.Dir(h.config), 0o700))
	must(t, os.MkdirAll(filepath.Join(h.dir, "tokens"), 0o700))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(h.config), ".runner_system_id"), []byte("r_CANARY012345"), 0o600))
	if h.store == "" {
		h.store = "file://" + filepath.Join(h.dir, "tokens", "{name}.sealed")
	}
	t.Cleanup(func() {
		h.kill(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the agent's log:\n%s", h.logged())
		}
	})
	return h
}

func (h *agentHost) environ() []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "REKEY_STATE_DIR=" + filepath.Join(h.dir, "state")}, h.env...)
}

// sections writes a config with sections of a GitLab: name, id and token of each.
func (h *agentHost) sections(url string, list ...planted) {
	h.t.Helper()
	var b strings.Builder
	b.WriteString("concurrent = 4\n")
	for _, s := range list {
		fmt.Fprintf(&b, "\n[[runners]]\n  name = %q\n  url = %q\n  id = %d\n  token = %q\n  token_obtained_at = 2026-01-01T00:00:00Z\n  token_expires_at = 0001-01-01T00:00:00Z\n  executor = \"docker\"\n  [runners.docker]\n    image = \"alpine\"\n    volumes = [\"/cache\"]\n", s.name, url, s.id, s.token)
	}
	must(h.t, os.WriteFile(h.config, []byte(b.String()), 0o600))
}

func (h *agentHost) secret(verb, name, token string) string {
	h.t.Helper()
	args := []string{"secret", verb, strings.ReplaceAll(h.store, "{name}", name)}
	e := execute(h.t, mortal, h.environ(), token, args...)
	if e.code != 0 {
		h.t.Fatal(e)
	}
	return e.stdout
}

// start runs the agent; its log is appended to.
func (h *agentHost) start(flags ...string) {
	h.t.Helper()

	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(h.t, err)
	defer func() { _ = log.Close() }()
	h.cmd = exec.Command(mortal, append([]string{"agent", "--config", h.config, "--store", h.store, "--rps", "0"}, flags...)...)
	h.cmd.Env, h.cmd.Stdout, h.cmd.Stderr = h.environ(), log, log
	must(h.t, h.cmd.Start())
	h.started++
}

func (h *agentHost) kill(signal syscall.Signal) (code int) {
	if h.cmd == nil {
		return 0
	}
	_ = h.cmd.Process.Signal(signal)
	_ = h.cmd.Wait()
	code = h.cmd.ProcessState.ExitCode()
	h.cmd = nil
	return code
}

func (h *agentHost) logged() string {
	text, _ := os.ReadFile(h.log)
	return string(text)
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// url is where the agent listens.
func (h *agentHost) url() (url string) {
	h.t.Helper()
	h.until("it listens", func() bool {
		all := listening.FindAllStringSubmatch(h.logged(), -1)
		if len(all) > 0 {
			url = all[len(all)-1][1]
		}
		return len(all) >= h.started
	})
	return url
}

func (h *agentHost) until(what string, is func() bool) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !is(); {
		select {
		case <-tick.C:
		case <-end:
			h.t.Fatalf("never came: %s", what)
		}
	}
}

func (h *agentHost) fetch(path string) (status int, text string) {
	h.t.Helper()
	resp, err := http.Get(h.url() + path) //nolint:noctx // this host's own
	must(h.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(h.t, err)
	return resp.StatusCode, string(body)
}

// kB reads a line of /proc/PID/status.
func kB(t testing.TB, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			must(t, err)
			return n
		}
	}
	t.Fatalf("no %s of process %d", name, pid)
	return 0
}

// cpu is the processor time of a process so far; the kernel counts in hundredths.
func cpu(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, after, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(after)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// versionRSS is what `rekey version` holds at its end: it is stopped by a pipe that
// nobody reads.
func versionRSS(t testing.TB) int {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer func() { _, _ = r.Close(), w.Close() }()
	must(t, w.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	for block := make([]byte, 4096); err == nil; {
		_, err = w.Write(block)
	}
	must(t, syscall.SetNonblock(int(w.Fd()), false))
	cmd := exec.Command(mortal, "version")
	cmd.Stdout = w
	must(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	h := &agentHost{t: t}
	last := 0
	h.until("rekey version wants to print", func() bool {
		now := kB(t, cmd.Process.Pid, "VmRSS")
		same := now == last
		last = now
		return same && writesToPipe(t, cmd.Process.Pid)
	})
	return last
}

// writesToPipe reports whether a thread of the process waits in a pipe.
func writesToPipe(t testing.TB, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
	must(t, err)
	for _, path := range threads {
		if wchan, _ := os.ReadFile(path); strings.Contains(string(wchan), "pipe") {
			return true
		}
	}
	return false
}

// labRunner is a record as the config names it.
func labRunner(lab *labtest.Lab, name string) planted {
	r := lab.Runner("instance", 0, labtest.M{"description": name, "tag_list": []string{name}})
	return planted{name: name, token: r.Token, id: r.ID}
}
