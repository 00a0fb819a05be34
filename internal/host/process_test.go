//go:build linux

package host

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the runner that TestReload signals: it says when it is ready
// and each time it gets SIGHUP, and ends with its standard input. HOST_TEST_BIND is
// what it mounts at the place of its config before.
func TestMain(m *testing.M) {
	if os.Getenv("HOST_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	if source := os.Getenv("HOST_TEST_BIND"); source != "" {
		place := os.Args[3]
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			place = filepath.Dir(place)
		}
		if err := syscall.Mount(source, place, "", syscall.MS_BIND, ""); err != nil {
			fmt.Println("mount:", err)
			return
		}
	}
	hup := make(chan os.Signal, 8)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		for range hup {
			fmt.Println("hup")
		}
	}()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// fakeProcess is one entry of a fake /proc.
type fakeProcess struct {
	pid     int
	args    []string
	environ []string // nil: unreadable
	uid     int
	cwd     string
	root    string // "": unreadable
	state   string
	sigCgt  string
}

func (h Host) fake(t testing.TB, p fakeProcess) {
	t.Helper()
	dir := h.proc(strconv.Itoa(p.pid))
	join := func(list []string) string { return strings.Join(list, "\x00") + "\x00" }
	put(t, filepath.Join(dir, "cmdline"), join(p.args))
	if p.environ != nil {
		put(t, filepath.Join(dir, "environ"), join(p.environ))
	}
	state, caught := p.state, p.sigCgt
	if state == "" {
		state = "S"
	}
	if caught == "" {
		caught = "7fffffffffffffff"
	}
	put(t, filepath.Join(dir, "stat"), fmt.Sprintf("%d (a ) b) %s 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 360000 1 2", p.pid, state))
	put(t, filepath.Join(dir, "status"), fmt.Sprintf("Name:\tx\nUid:\t%d\t0\t0\t0\nSigCgt:\t%s\n", p.uid, caught))
	if p.cwd != "" {
		link(t, p.cwd, filepath.Join(dir, "cwd"))
	}
	if p.root != "" {
		link(t, p.root, filepath.Join(dir, "root"))
	}
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		p            fakeProcess
		config, from string
	}{
		{"flag", fakeProcess{args: []string{"/usr/bin/gitlab-runner", "run", "--config", "/x/c.toml", "--service", "gitlab-runner"}}, "/x/c.toml", "--config"},
		{"flag joined, short", fakeProcess{args: []string{"gitlab-runner", "--debug", "run", "-c=/x/c.toml"}}, "/x/c.toml", "--config"},
		{"flag, relative", fakeProcess{args: []string{"gitlab-runner", "run", "-config", "c.toml"}, cwd: "/work"}, "/work/c.toml", "--config"},
		{"flag over variable", fakeProcess{args: []string{"gitlab-runner", "run", "-c", "/x/c.toml"}, environ: []string{"CONFIG_FILE=/y"}}, "/x/c.toml", "--config"},
		{"variable", fakeProcess{args: []string{"gitlab-runner", "run"}, environ: []string{"A=b", "CONFIG_FILE=/y/c.toml"}}, "/y/c.toml", "CONFIG_FILE"},
		{"root's", fakeProcess{args: []string{"gitlab-runner", "run"}, environ: []string{"HOME=/root"}}, "/etc/gitlab-runner/config.toml", "default"},
		{"a user's", fakeProcess{args: []string{"gitlab-runner", "run"}, uid: 7, environ: []string{"HOME=/home/u"}}, "/home/u/.gitlab-runner/config.toml", "default"},
		{"no home", fakeProcess{args: []string{"gitlab-runner", "run"}, uid: 7, environ: []string{"A=b"}, cwd: "/w"}, "/w/config.toml", "default"},
		{"nothing readable", fakeProcess{args: []string{"gitlab-runner", "run"}, uid: 7}, "", ""},
		{"single", fakeProcess{args: []string{"gitlab-runner", "run-single", "--token", "glrt-CANARY", "-c", "/x"}}, "/x", "--config"},
		{"simulated", fakeProcess{args: []string{"/b/rekey", "lab", "runner", "--config", "/x"}}, "/x", "--config"},
		{"older name", fakeProcess{args: []string{"gitlab-runner-linux-amd64", "run", "-c", "/x"}}, "/x", "--config"},
	}
	for _, tc := range tests {
		h := testHost(t)
		put(t, h.proc("stat"), "cpu 1\nbtime 1000000\n")
		tc.p.pid = 42
		h.fake(t, tc.p)
		got, problem := h.Processes()
		if len(got) != 1 || problem != "" {
			t.Errorf("%s: %v, %q; want one process", tc.name, got, problem)
			continue
		}
		p := got[0]
		if p.PID != 42 || p.UID != tc.p.uid || p.Config != tc.config || p.ConfigFrom != tc.from || !p.Started.Equal(time.Unix(1003600, 0)) {
			t.Errorf("%s: %+v; want config %q from %q, started 1003600", tc.name, p, tc.config, tc.from)
		}
		if strings.Contains(fmt.Sprintf("%+v", p), "CANARY") {
			t.Errorf("%s: the process shows its token: %+v", tc.name, p)
		}
	}
}

func TestWhatIsNoRunner(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	for i, p := range []fakeProcess{
		{args: []string{"gitlab-runner", "register", "--name", "run"}},
		{args: []string{"gitlab-runner"}},
		{args: []string{"vi", "/etc/gitlab-runner/config.toml"}},
		{args: []string{"dumb-init", "gitlab-runner", "run"}},
		{args: []string{"rekey", "lab", "up"}},
		{args: []string{"gitlab-runner", "run"}, state: "Z"},
		{args: nil},
	} {
		p.pid = 10 + i
		h.fake(t, p)
	}
	put(t, h.proc("99"), "not a directory")
	if got, problem := h.Processes(); len(got) != 0 || problem != "" {
		t.Errorf("processes %v, %q; want none", got, problem)
	}
	h.Proc = filepath.Join(h.Root, "none")
	if got, problem := h.Processes(); len(got) != 0 || problem == "" {
		t.Errorf("without /proc: %v, %q; want a problem", got, problem)
	}
	h.GOOS = "darwin"
	if _, problem := h.Processes(); problem == "" {
		t.Error("on macOS: no problem, want one")
	}
}

func TestUsesTheSameInode(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	container := t.TempDir()
	inside := put(t, filepath.Join(container, "etc/gitlab-runner/config.toml"), "x")
	volume := filepath.Join(t.TempDir(), "config.toml") // the same file under another name
	if err := os.Link(inside, volume); err != nil {
		t.Fatal(err)
	}
	byLink := link(t, volume, filepath.Join(t.TempDir(), "link.toml"))
	other := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	h.fake(t, fakeProcess{pid: 5, args: []string{"gitlab-runner", "run"}, root: container, environ: []string{"A=b"}})
	h.fake(t, fakeProcess{pid: 6, args: []string{"gitlab-runner", "run", "-c", other}})
	h.fake(t, fakeProcess{pid: 7, args: []string{"gitlab-runner", "run", "-c", other}, root: container})
	found, _ := h.Processes()
	if len(found) != 3 {
		t.Fatalf("processes %v, want 3", found)
	}
	tests := []struct {
		process int
		path    string
		want    bool
	}{
		{0, volume, true}, {0, byLink, true}, {0, other, false}, {0, filepath.Join(container, "none"), false},
		{1, other, true}, {1, volume, false},
		{2, other, false}, // its root is another: the path there is not this file
	}
	for _, tc := range tests {
		if got := found[tc.process].Uses(tc.path); got != tc.want {
			t.Errorf("%v uses %s: %v, want %v", found[tc.process], tc.path, got, tc.want)
		}
	}
}

// child starts this test as a gitlab-runner on config and returns its number, its
// next line ("" after the last), and how to end it.
func child(t testing.TB, config string) (pid int, line func() string, end func()) {
	t.Helper()
	return childIn(t, config, "")
}

// childIn is child, in a mount namespace of its own where source, if any, is mounted
// over the config or over its directory.
func childIn(t testing.TB, config, source string) (pid int, line func() string, end func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"gitlab-runner", "run", "--config", config}, Env: []string{"HOST_TEST_CHILD=1", "HOST_TEST_BIND=" + source}}
	if source != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	line = func() string {
		if !lines.Scan() {
			return ""
		}
		return lines.Text()
	}
	if got := line(); got != "ready" {
		t.Fatalf("the child says %q, want ready", got)
	}
	return cmd.Process.Pid, line, func() { _ = in.Close() }
}

func find(t testing.TB, h Host, pid int) Process {
	t.Helper()
	all, problem := h.Processes()
	for _, p := range all {
		if p.PID == pid {
			return p
		}
	}
	t.Fatalf("the child %d is not among %v (%s)", pid, all, problem)
	return Process{}
}

func TestReload(t *testing.T) {
	t.Parallel()
	later := func() time.Time { return time.Now().Add(time.Minute) }
	h := Local(later)
	config := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	other := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	pid, line, end := child(t, config)
	p := find(t, h, pid)
	if !p.Uses(config) || p.Uses(other) || p.UID != os.Getuid() || p.Started.IsZero() {
		t.Fatalf("the child is %+v, want it to use %s only", p, config)
	}
	ctx := context.Background()
	refused := func(what string, h Host, config string, p Process) {
		t.Helper()
		got, err := h.Reload(ctx, config, p)
		if err != nil || got.Signalled || !strings.Contains(got.How, byModTime) {
			t.Errorf("%s: %+v, %v; want no signal and the mtime", what, got, err)
		}
	}
	reused := p
	reused.ticks = "1"
	refused("a number that another process has now", h, config, reused)
	refused("another config", h, other, p)
	single := p
	single.Command = "run-single"
	refused("run-single", h, config, single)
	young := h
	young.Now = func() time.Time { return p.Started }
	refused("a process that has just started", young, config, p)
	refused("no process", h, config, Process{})

	got, err := h.Reload(ctx, config, p)
	if err != nil || !got.Signalled || !strings.Contains(got.How, strconv.Itoa(pid)) {
		t.Errorf("reload: %+v, %v; want a signal to %d", got, err, pid)
	}
	if said := line(); said != "hup" {
		t.Errorf("the child says %q, want hup", said)
	}
	if how, err := h.ReloadConfig(ctx, config); err != nil || !strings.HasPrefix(how, "SIGHUP to gitlab-runner run") {
		t.Errorf("reload of the config: %q, %v", how, err)
	}
	if said := line(); said != "hup" {
		t.Errorf("the child says %q, want hup", said)
	}
	if how, err := h.ReloadConfig(ctx, other); err != nil || how != "no running gitlab-runner uses this config" {
		t.Errorf("reload of another config: %q, %v", how, err)
	}
	ended, stop := context.WithCancel(ctx)
	stop()
	if got, err := h.Reload(ended, config, p); err == nil || got.Signalled {
		t.Errorf("reload after the end: %+v, %v; want neither a signal nor silence", got, err)
	}
	end()
	if said := line(); said != "" {
		t.Errorf("the child says %q, want no third signal", said)
	}
}

func TestNoHandlerNoSignal(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	config := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	// The number is this test's own: a signal would end it.
	h.fake(t, fakeProcess{pid: os.Getpid(), args: []string{"gitlab-runner", "run", "-c", config}, sigCgt: "fffffffffffffffe"})
	found, _ := h.Processes()
	if len(found) != 1 {
		t.Fatalf("processes %v, want one", found)
	}
	if got, err := h.Reload(context.Background(), config, found[0]); err != nil || got.Signalled || !strings.Contains(got.How, "does not handle SIGHUP") {
		t.Errorf("reload: %+v, %v; want no signal", got, err)
	}
}
