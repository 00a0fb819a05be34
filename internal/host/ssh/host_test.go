package ssh_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host"
	"rekey/internal/host/ssh"
	"rekey/internal/host/ssh/sshtest"
)

const text = "[[runners]]\n  name = \"one\"\n  token = \"glrt-CANARYsshsshsshsshs\"\n"

// dial connects to the server's alias and to the config given, "" for none.
func dial(t *testing.T, s *sshtest.Server, config string) *ssh.Host {
	t.Helper()
	h, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1", Path: config}, ssh.Options{Program: s.Program, Wait: 20 * time.Second})
	if err != nil {
		t.Fatalf("dial: %v (%s)", err, rekey.HintOf(err))
	}
	t.Cleanup(h.Close)
	return h
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadsWhatLiesThere(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	// A name with everything that a shell takes for something else.
	config := write(t, filepath.Join(t.TempDir(), "it's $(touch /tmp/rekey-injected) `x` \"; rm -rf *\n é", "config.toml"), "# Ansible managed\n"+text+"# \x00\xff\r\n")
	write(t, filepath.Join(filepath.Dir(config), ".runner_system_id"), "r_CANARY012345\n")
	h := dial(t, s, config)
	if got := h.Configs(); !slices.Equal(got, []string{config}) {
		t.Errorf("got the configs %q, want the one that was named", got)
	}
	want, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Read(config); err != nil || string(got) != string(want) {
		t.Errorf("got %q and %v, want every byte of %q", got, err, want)
	}
	if id, problem := h.SystemID(config); id != "r_CANARY012345" {
		t.Errorf("got the system id %q (%s)", id, problem)
	}
	here := host.Local(time.Now)
	there, local := h.Fact(config), here.FactOf(config, nil)
	if there.Identity != local.Identity || there.Identity == "" || !there.ModTime.Equal(local.ModTime.Truncate(time.Second)) || there.Generated != "Ansible" {
		t.Errorf("got %+v over ssh, want what is seen here: %+v", there, local)
	}
	if _, err := os.Stat("/tmp/rekey-injected"); err == nil {
		t.Error("a file's name was executed")
	}
	if _, err := h.ReadFile(filepath.Join(filepath.Dir(config), "ca.crt")); err == nil || !os.IsNotExist(unwrapped(err)) {
		t.Errorf("a TLS file that is not there: got %v, want os.ErrNotExist in it", err)
	}
}

func unwrapped(err error) error {
	for {
		next, ok := err.(interface{ Unwrap() error })
		if !ok || next.Unwrap() == nil {
			return err
		}
		err = next.Unwrap()
	}
}

func TestSaysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	fifo := filepath.Join(dir, "fifo")
	sparse := write(t, filepath.Join(dir, "sparse"), "")
	for _, err := range []error{os.Symlink("loop", loop), os.Symlink("nowhere", filepath.Join(dir, "dangling")), exec.Command("mkfifo", fifo).Run(), os.Truncate(sparse, 8<<30)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := write(t, filepath.Join(dir, "empty"), "")
	h := dial(t, s, "")
	for name, tc := range map[string]struct {
		kind rekey.Kind
		want string
	}{
		loop: {rekey.KindInvalid, "lead in a circle"}, filepath.Join(dir, "dangling"): {rekey.KindNotFound, "a symbolic link to nowhere"},
		filepath.Join(dir, "missing"): {rekey.KindNotFound, "does not exist"}, dir: {rekey.KindInvalid, "is a directory"},
		fifo: {rekey.KindInvalid, "named pipe"}, "/dev/zero": {rekey.KindInvalid, "not a regular file"},
		sparse: {rekey.KindInvalid, "larger than 64 MiB"}, empty: {rekey.KindInvalid, "is empty"}, empty + "/config.toml": {rekey.KindNotFound, "not a directory"},
	} {
		_, err := h.Read(name)
		if err == nil || rekey.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v (%s), want %q (%s)", name, err, rekey.KindOf(err), tc.want, tc.kind)
		}
	}
}

// unprivileged makes logins of root lose root's rights; others have none to lose.
func unprivileged(t *testing.T) []string {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Fatal(err)
	}
	return []string{`ForceCommand exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"`}
}

func TestNamesTheRightThatIsMissing(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, unprivileged(t)...)
	config := filepath.Join(s.Dir, "closed.toml")
	write(t, config, text)
	if err := os.Chmod(config, 0); err != nil {
		t.Fatal(err)
	}
	s.Tool(t, "sudo", `echo "sudo: a password is required" >&2; exit 1`) // before any that this machine has
	h := dial(t, s, config)
	_, err := h.Read(config)
	if rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(rekey.HintOf(err), "ssh://root@runner1") || !strings.Contains(rekey.HintOf(err), "NOPASSWD: /usr/bin/cat "+config) {
		t.Errorf("got %v (%s), want root and a sudo rule named", err, rekey.HintOf(err))
	}
	if len(h.Notes()) != 0 {
		t.Errorf("got the notes %q before sudo did anything", h.Notes())
	}

	// Now sudo has that rule: it reads this one file and nothing else.
	copied := write(t, filepath.Join(s.Dir, "copy"), text)
	s.Tool(t, "sudo", fmt.Sprintf(`echo "sudo: unable to resolve host runner1: Name or service not known" >&2; [ "$*" = "-n cat %s" ] && exec cat %s; echo "sudo: a password is required" >&2; exit 1`, config, copied))
	data, err := h.Read(config)
	if err != nil || string(data) != text {
		t.Errorf("got %q and %v, want the file by sudo", data, err)
	}
	if notes := h.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "sudo -n cat") || !strings.Contains(notes[0], config) {
		t.Errorf("got the notes %q, want the use of sudo told", notes)
	}
	if id, problem := h.SystemID(config); id != "" || !strings.Contains(problem, ".runner_system_id") {
		t.Errorf("got %q and %q, want no system id and the reason", id, problem)
	}
}

func TestFindsTheConfigOfARunningProcess(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "in force.toml"), text)
	runner := startRunner(t, config)
	h := dial(t, s, "")
	if got := h.Configs(); !slices.Contains(got, config) {
		t.Errorf("got %q, want %s among them", got, config)
	}
	found, problem := h.Processes()
	i := slices.IndexFunc(found, func(p host.Process) bool { return p.PID == runner })
	if i < 0 || problem != "" {
		t.Fatalf("got %+v (%s), want pid %d among them", found, problem, runner)
	}
	p := found[i]
	if p.Config != config || p.ConfigFrom != "--config" || p.Command != "run" || p.Dir == "" || p.Started.IsZero() || !h.Uses(p, config) {
		t.Errorf("got %+v, want a run with %s", p, config)
	}
	if strings.Contains(fmt.Sprintf("%+v", found), "CANARY") {
		t.Errorf("a token of the arguments got out: %+v", found)
	}
}

// startRunner runs this test's own program under gitlab-runner's name.
func startRunner(t *testing.T, config string) int {
	t.Helper()
	cmd := &exec.Cmd{Args: []string{"/usr/bin/gitlab-runner", "--log-level=info", "run", "--token", "glrt-CANARYargument000000", "--config", config}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Env = self, append(os.Environ(), "REKEY_TEST_IDLE=1", "HOME="+filepath.Dir(config))
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
	if _, err := out.Read(make([]byte, 1)); err != nil { // it runs under its new name
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestMain(m *testing.M) {
	if os.Getenv("REKEY_TEST_IDLE") != "" {
		fmt.Print(".")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the test closes it
		return
	}
	os.Exit(m.Run())
}

func TestSaysWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).Port
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	stranger := sshtest.Start(t)
	for name, tc := range map[string]struct {
		target     ssh.Target
		want, hint string
	}{
		"another key":     {ssh.Target{Host: "runner1", User: "nobody-" + s.User}, "none of the keys", "ssh-add"},
		"nothing listens": {ssh.Target{Host: "127.0.0.1", Port: nobody}, "refuses the connection", "-p " + strconv.Itoa(nobody)},
		"no such name":    {ssh.Target{Host: "rekey-test.invalid"}, "has no address", "ssh rekey-test.invalid"},
		"unknown key":     {ssh.Target{Host: "127.0.0.1", Port: portOf(t, stranger)}, "not known here", "fingerprint"},
		"an option":       {ssh.Target{Host: "-oProxyCommand=touch /tmp/rekey-injected"}, "no host name", "ssh://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ssh.Dial(t.Context(), tc.target, ssh.Options{Program: s.Program, Wait: 20 * time.Second})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(rekey.HintOf(err), tc.hint) {
				t.Errorf("got %v (%s), want %q and the hint %q", err, rekey.HintOf(err), tc.want, tc.hint)
			}
		})
	}
	t.Run("changed key", func(t *testing.T) {
		t.Parallel()
		changed := sshtest.Start(t)
		changed.KnownAs(t, "user.pub")
		_, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: changed.Program, Wait: 20 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "not the one that is known") || !strings.Contains(rekey.HintOf(err), "ssh-keygen -R") {
			t.Errorf("got %v (%s), want a changed host key", err, rekey.HintOf(err))
		}
	})
	t.Run("no account", func(t *testing.T) {
		t.Parallel()
		closed := sshtest.Start(t, "ForceCommand echo 'This account is currently not available.'; exit 1")
		_, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: closed.Program, Wait: 20 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "no shell there") {
			t.Errorf("got %v, want a user without a shell", err)
		}
	})
	t.Run("no shell", func(t *testing.T) {
		t.Parallel()
		restricted := sshtest.Start(t, "ForceCommand echo This host serves files only.")
		_, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: restricted.Program, Wait: 20 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "This host serves files only") {
			t.Errorf("got %v, want a login that answers no command", err)
		}
	})
}

func portOf(t *testing.T, s *sshtest.Server) int {
	t.Helper()
	port, err := strconv.Atoi(s.Port)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestHostsThatHangAreBounded: a listener that never answers, a ssh that sleeps
// with its output held by a child, and a login that is silent.
func TestHostsThatHangAreBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := sshtest.Start(t, "ForceCommand exec cat >/dev/null")
	fake := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nsleep 1000 & echo $! >"+fake+".pid; wait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		data, _ := os.ReadFile(fake + ".pid")
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
	})
	for name, tc := range map[string]struct {
		target  ssh.Target
		program string
	}{
		"never answers": {ssh.Target{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, s.Program},
		"silent login":  {ssh.Target{Host: "runner1"}, s.Program},
		"ssh sleeps":    {ssh.Target{Host: "runner1"}, fake},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, rekey.Errorf(rekey.KindUnavailable, "its time is over"))
			defer stop()
			_, err := ssh.Dial(ctx, tc.target, ssh.Options{Program: tc.program, Wait: time.Minute})
			if err == nil || !strings.Contains(err.Error(), "its time is over") {
				t.Errorf("got %v, want the end of its time", err)
			}
		})
	}
}

// TestALoginMayBeNoisy: banners and whatever a profile prints stand before the
// script's first word.
func TestALoginMayBeNoisy(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, `ForceCommand echo "rekey? welcome"; printf 'no newline'; echo noise >&2; exec sh -c "$SSH_ORIGINAL_COMMAND"`)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), text)
	if data, err := dial(t, s, config).Read(config); err != nil || string(data) != text {
		t.Errorf("got %q and %v, want the config", data, err)
	}
}

// TestAHostThatFloodsIsLeft: what a host says is bounded, whatever it is.
func TestAHostThatFloodsIsLeft(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]string{
		"before the greeting": "exec yes noise",
		"a line without end":  "echo; echo rekey reads; exec cat /dev/zero",
		"facts":               "echo; echo rekey reads; exec yes 'fact of something'",
		"data":                "echo; echo rekey reads; exec yes ' 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f'",
		"no hexadecimal":      "echo; echo rekey reads; exec yes ' xyz'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := filepath.Join(t.TempDir(), "ssh")
			if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+flood+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: fake, Wait: time.Minute}); err == nil {
				t.Error("a host that floods was taken for one")
			}
		})
	}
}
