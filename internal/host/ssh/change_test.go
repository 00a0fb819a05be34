package ssh_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host"
	"rekey/internal/host/ssh"
	"rekey/internal/host/ssh/sshtest"
)

// change connects so that the host may be changed.
func change(t *testing.T, s *sshtest.Server) *ssh.Host {
	t.Helper()
	h, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: s.Program, Wait: 20 * time.Second, Answer: time.Minute, Change: true})
	if err != nil {
		t.Fatalf("dial: %v (%s)", err, rekey.HintOf(err))
	}
	return h
}

func locked(t *testing.T, h *ssh.Host, path string) {
	t.Helper()
	unlock, err := h.Lock(path)
	if err != nil {
		t.Fatalf("lock: %v (%s)", err, rekey.HintOf(err))
	}
	t.Cleanup(unlock)
}

// holds fails unless the file has this content and no copy lies beside it.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: got %q and %v, want %q", path, got, err, want)
	}
	if copies, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*rekey*")); len(copies) > 0 {
		t.Errorf("%q lie beside it", copies)
	}
}

const (
	before = "[[runners]]\n  token = \"glrt-CANARYbefore0123456789\" # kept\r\n"
	after  = "[[runners]]\n  token = \"glrt-CANARYafter00123456789\" # kept\r\n"
)

func TestReplaceKeepsWhatBelongsToTheFile(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	dir := filepath.Join(t.TempDir(), "it's $(x) `y` é")
	real := write(t, filepath.Join(dir, "real.toml"), before)
	link := filepath.Join(t.TempDir(), "config.toml")
	ahead := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, err := range []error{os.Symlink(real, link), os.Chmod(real, 0o640), os.Chtimes(real, ahead, ahead)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tagged := syscall.Setxattr(real, "user.rekey", []byte("kept"), 0) == nil
	if os.Geteuid() == 0 {
		if err := os.Chown(real, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	h := change(t, s)
	defer h.Close()
	if err := h.CheckWritable(link); err != nil {
		t.Fatalf("writable: %v", err)
	}
	if _, err := h.Replace(link, []byte(before), []byte(after)); rekey.KindOf(err) != rekey.KindUnavailable {
		t.Errorf("without the lock: got %v, want it refused", err)
	}
	locked(t, h, link)
	how, err := h.Replace(link, []byte(before), []byte(after))
	if err != nil || how != "rename" {
		t.Fatalf("got %q and %v, want a rename", how, err)
	}
	holds(t, real, after)
	info, err := os.Stat(real)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("got mode %o, want 640", got)
	}
	if os.Geteuid() == 0 && (owner.Uid != 1234 || owner.Gid != 2345) {
		t.Errorf("got owner %d:%d, want 1234:2345", owner.Uid, owner.Gid)
	}
	if !info.ModTime().After(ahead) {
		t.Errorf("got mtime %s, want one after %s", info.ModTime(), ahead)
	}
	value := make([]byte, 10)
	if n, err := syscall.Getxattr(real, "user.rekey", value); tagged && (err != nil || string(value[:n]) != "kept") {
		t.Errorf("its attribute: got %q and %v", value[:max(n, 0)], err)
	}
	if _, err := h.Replace(link, []byte(before), []byte(before)); rekey.KindOf(err) != rekey.KindConflict {
		t.Errorf("a content that is not there any more: got %v, want a conflict", err)
	}
	holds(t, real, after)
}

func TestReplaceTakesEveryByte(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	h := change(t, s)
	defer h.Close()
	locked(t, h, config)
	now, random := []byte("x"), rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 2, 255, 4096, 4097, 70_000, 300_001} {
		next := make([]byte, size)
		for i := range next {
			next[i] = byte(random.Uint32())
		}
		if _, err := h.Replace(config, now, next); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		got, err := os.ReadFile(config)
		if err != nil || !bytes.Equal(got, next) {
			t.Fatalf("%d bytes: got %d others (%v)", size, len(got), err)
		}
		now = next
	}
}

// gitlab-runner truncates and writes without a lock. What it wrote stays, whenever
// it did.
func TestReplaceYieldsToAnotherWriter(t *testing.T) {
	t.Parallel()
	for name, tool := range map[string]string{
		"before the name changes": `case $2 in *.tmp) printf other >"$3";; esac; exec /bin/mv "$@"`,
		"after, by the old name":  `case $2 in *.tmp) exec 8<>"$3"; /bin/mv "$@"; printf other >&8; truncate -s 5 /proc/self/fd/8; exit;; esac; exec /bin/mv "$@"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshtest.Start(t)
			once := filepath.Join(s.Dir, "once")
			s.Tool(t, "mv", fmt.Sprintf(`mkdir %s 2>/dev/null || exec /bin/mv "$@"; %s`, once, tool))
			config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
			h := change(t, s)
			defer h.Close()
			locked(t, h, config)
			if how, err := h.Replace(config, []byte(before), []byte(after)); rekey.KindOf(err) != rekey.KindConflict {
				t.Errorf("got %q and %v, want a conflict", how, err)
			}
			holds(t, config, "other")
		})
	}
}

// Everything on the host ends at once before each program that changes something or
// compares: the file is the old or the new one, and the next run finds nothing in its
// way.
func TestReplaceSurvivesTheHostsEndAtEveryStep(t *testing.T) {
	t.Parallel()
	for way, stride := range map[string]int{"rename": 1, "in place": 3} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newDying(t, way)
			old, new, torn := 0, 0, 0
			for n := 1; ; n += stride {
				if n > 200 {
					t.Fatal("it never comes to an end")
				}
				got, err := w.step(t, n)
				switch {
				case got == before:
					old++
				case got == after:
					new++
				case way == "in place": // its image is sealed by the caller
					torn++
				default:
					t.Fatalf("step %d: got %q, want the old or the new content", n, got)
				}
				if err == nil {
					break
				}
				if rekey.KindOf(err) != rekey.KindUnavailable {
					t.Errorf("step %d: got %v, want it left open", n, err)
				}
			}
			t.Logf("cut short with the old content %d times, with the new %d times, torn %d times", old, new, torn)
			if old < 3 || new < 3 {
				t.Error("that is too few")
			}
		})
	}
}

// dying is a host on which everything can be killed at the nth of its programs.
type dying struct {
	*sshtest.Server
	at, passed, config, way string
	h                       *ssh.Host // of the next step
}

func newDying(t *testing.T, way string) *dying {
	w := &dying{Server: sshtest.Start(t), way: way, config: write(t, filepath.Join(t.TempDir(), "config.toml"), before)}
	w.at, w.passed = filepath.Join(w.Dir, "at"), filepath.Join(w.Dir, "passed")
	if way == "in place" {
		if err := os.Link(w.config, w.config+".second"); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"dd", "sha256sum", "cp", "sync", "ln", "mv", "rm", "touch"} {
		real, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		w.Tool(t, tool, fmt.Sprintf(`[ -e %[1]s ] || exec %[3]s "$@"
read n <%[1]s; echo %[3]s >>%[2]s; i=0
while read l; do i=$((i+1)); done <%[2]s
[ "$i" = "$n" ] && kill -9 0
exec %[3]s "$@"`, w.at, w.passed, real))
	}
	w.h = change(t, w.Server)
	t.Cleanup(func() { w.h.Close() })
	return w
}

// step replaces the content while the host dies at the nth program, looks at what is
// left, and has the next run put the file back. It returns what the file held.
func (w *dying) step(t *testing.T, n int) (got string, err error) {
	t.Helper()
	write(t, w.config, before)
	eventuallyLocked(t, w.h, w.config)
	_ = os.Remove(w.passed)
	write(t, w.at, fmt.Sprintln(n))
	how, err := w.h.Replace(w.config, []byte(before), []byte(after))
	_ = os.Remove(w.at)
	w.h.Close()
	if err == nil && how != w.way {
		t.Fatalf("got %q, want %q", how, w.way)
	}
	data, rerr := os.ReadFile(w.config)
	if rerr != nil {
		t.Fatalf("step %d: %v", n, rerr)
	}
	w.h = change(t, w.Server)
	unlock := eventuallyLocked(t, w.h, w.config)
	holds(t, w.config, string(data))
	if _, err := w.h.Replace(w.config, data, []byte(before)); err != nil {
		t.Fatalf("step %d, the next run: %v", n, err)
	}
	unlock()
	return string(data), err
}

// eventuallyLocked waits for what is left of a broken connection to end.
func eventuallyLocked(t *testing.T, h *ssh.Host, path string) func() {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		unlock, err := h.Lock(path)
		if err == nil {
			return unlock
		}
		if rekey.KindOf(err) != rekey.KindConflict || time.Now().After(deadline) {
			t.Fatalf("lock: %v (%s)", err, rekey.HintOf(err))
		}
	}
}

func TestLockKeepsAnotherRekeyOut(t *testing.T) {
	t.Parallel()
	bare := "unshare -rm sh -c 'mount --bind /dev/null /usr/bin/flock && "
	for name, lines := range map[string][]string{"flock": nil, "without flock": {`ForceCommand exec ` + bare + `eval "$SSH_ORIGINAL_COMMAND"'`}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if lines != nil && exec.Command("sh", "-c", bare+"true'").Run() != nil {
				t.Skip("*** NOTHING CAN BE MOUNTED HERE: what a mounted file needs is not tested ***")
			}
			s := sshtest.Start(t, lines...)
			config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
			beside := write(t, filepath.Join(filepath.Dir(config), "other.toml"), before)
			one, two := change(t, s), change(t, s)
			defer two.Close()
			locked(t, one, config)
			locked(t, one, beside) // the same directory
			_, err := two.Lock(config)
			if rekey.KindOf(err) != rekey.KindConflict || err == nil || !strings.Contains(rekey.HintOf(err), "wait for it to end") || !strings.Contains(rekey.HintOf(err), "ssh runner1") {
				t.Errorf("got %v (%s), want a conflict, with the command that ends a stale one", err, rekey.HintOf(err))
			}
			one.Close() // as a connection that breaks off
			eventuallyLocked(t, two, config)()
			eventuallyLocked(t, two, beside)()
		})
	}
}

func TestReplaceOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, `ForceCommand ulimit -f 8; eval "exec $SSH_ORIGINAL_COMMAND"`)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	h := change(t, s)
	defer h.Close()
	locked(t, h, config)
	_, err := h.Replace(config, []byte(before), bytes.Repeat([]byte("# glrt-CANARYbigger\n"), 5000))
	if rekey.KindOf(err) != rekey.KindUnavailable || err == nil || !strings.Contains(rekey.HintOf(err), "make room") {
		t.Errorf("got %v (%s), want to be told to make room", err, rekey.HintOf(err))
	}
	holds(t, config, before)
}

// A file that is mounted by itself cannot be renamed over: its bytes are.
func TestReplaceOfAMountedFile(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	mounted := fmt.Sprintf("unshare -rm sh -c 'mount --bind %[1]s %[1]s && ", config)
	if exec.Command("sh", "-c", mounted+"true'").Run() != nil {
		t.Skip("*** NOTHING CAN BE MOUNTED HERE: what a mounted file needs is not tested ***")
	}
	s := sshtest.Start(t, `ForceCommand exec `+mounted+`eval "$SSH_ORIGINAL_COMMAND"'`)
	h := change(t, s)
	defer h.Close()
	locked(t, h, config)
	for _, next := range []string{after, before + "# longer", "# short\n"} {
		now, err := h.Read(config)
		if err != nil {
			t.Fatal(err)
		}
		if how, err := h.Replace(config, now, []byte(next)); err != nil || how != "in place" {
			t.Fatalf("got %q and %v, want it written in place", how, err)
		}
		holds(t, config, next)
	}
}

func TestRefusesWhatItMayNotChange(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("*** NOT ROOT: another user's file cannot be made, and is not tested ***")
	}
	s := sshtest.Start(t, `ForceCommand exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"`)
	s.Tool(t, "sudo", `while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"`) // of a user who may not, in truth
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := write(t, filepath.Join(dir, "config.toml"), before)
	h := change(t, s)
	defer h.Close()
	err := h.CheckWritable(config)
	if rekey.KindOf(err) != rekey.KindDenied || err == nil || !strings.Contains(rekey.HintOf(err), "--become") || !strings.Contains(rekey.HintOf(err), "ssh://root@runner1") {
		t.Errorf("got %v (%s), want to be told of --become and root", err, rekey.HintOf(err))
	}
	if err := h.CheckWritable(filepath.Join(dir, "nowhere.toml")); rekey.KindOf(err) != rekey.KindNotFound {
		t.Errorf("a file that is not there: got %v", err)
	}
}

// With Become everything is sudo's, which asks for no password and gets the same
// script.
func TestBecome(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	seen := filepath.Join(s.Dir, "seen")
	s.Tool(t, "sudo", fmt.Sprintf(`echo "$*" | cut -c1-20 >%s; [ "$1 $2" = "-n -H" ] || exit 1; shift 2; exec "$@"`, seen))
	h, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1", Become: true}, ssh.Options{Program: s.Program, Wait: 20 * time.Second, Change: true})
	if err != nil {
		t.Fatalf("dial: %v (%s)", err, rekey.HintOf(err))
	}
	defer h.Close()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	locked(t, h, config)
	if _, err := h.Replace(config, []byte(before), []byte(after)); err != nil {
		t.Errorf("replace: %v", err)
	}
	if _, err := os.Stat(seen); err != nil {
		t.Error("sudo was not called")
	}
	s.Tool(t, "sudo", `echo "sudo: a password is required" >&2; exit 1`)
	_, err = ssh.Dial(t.Context(), ssh.Target{Host: "runner1", Become: true}, ssh.Options{Program: s.Program, Wait: 20 * time.Second, Change: true})
	if rekey.KindOf(err) != rekey.KindDenied || err == nil || !strings.Contains(rekey.HintOf(err), "NOPASSWD") {
		t.Errorf("a sudo that asks: got %v (%s)", err, rekey.HintOf(err))
	}
}

// A host that hangs ends the connection within the bound.
func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	fifo := filepath.Join(s.Dir, "fifo")
	if err := exec.Command("mkfifo", fifo).Run(); err != nil {
		t.Fatal(err)
	}
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	h, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1"}, ssh.Options{Program: s.Program, Wait: 20 * time.Second, Answer: 3 * time.Second, Change: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	locked(t, h, config)
	s.Tool(t, "cp", "exec cat "+fifo)
	defer func() { // what hangs there goes on, and the script with it
		if f, err := os.OpenFile(fifo, os.O_RDWR, 0); err == nil {
			_ = f.Close()
		}
	}()
	_, err = h.Replace(config, []byte(before), []byte(after))
	if rekey.KindOf(err) != rekey.KindUnavailable || err == nil || !strings.Contains(err.Error(), "nothing came within 3s") {
		t.Errorf("got %v, want to be told that nothing came", err)
	}
	if !h.Broken() {
		t.Error("the connection is taken for whole")
	}
}

// A connection that was made to read can change nothing.
func TestReadingConnectionChangesNothing(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	h := dial(t, s, config)
	if err := h.CheckWritable(config); err == nil {
		t.Error("it may change the config")
	}
	if _, err := h.Lock(config); err == nil {
		t.Error("it may lock the directory")
	}
	holds(t, config, before)
}

// The process that has the config gets the signal, and no other.
func TestReloadSignalsTheProcessThatUsesTheConfig(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "config.toml"), before)
	hup, ready := filepath.Join(dir, "hup"), filepath.Join(dir, "ready")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	script := fmt.Sprintf(`trap 'echo got >%s' HUP; echo >%s; while :; do read x <%s; done`, hup, ready, filepath.Join(dir, "fifo"))
	if err := exec.Command("mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan os.Signal, 1) // under nohup a child could not trap what it finds ignored
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script, "run", "--config", config)
	cmd.Args[0] = "gitlab-runner"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = cmd.Wait() }()
	until(t, func() bool { _, err := os.Stat(ready); return err == nil })
	h := change(t, s)
	defer h.Close()
	later := func() time.Time { return time.Now().Add(time.Minute) } // it is no young process any more
	if got := h.ReloadText(config, host.ReloadAuto); !strings.Contains(got, "SIGHUP") {
		t.Errorf("got %q in advance", got)
	}
	how, err := h.Reload(t.Context(), config, host.ReloadAuto, nil, later)
	if err != nil || !strings.Contains(how, fmt.Sprintf("SIGHUP to gitlab-runner run (pid %d)", cmd.Process.Pid)) {
		t.Fatalf("got %q and %v", how, err)
	}
	until(t, func() bool { _, err := os.Stat(hup); return err == nil })
	how, err = h.Reload(t.Context(), config, host.ReloadRestart, nil, later)
	if err != nil || !strings.Contains(how, "not restarted") {
		t.Errorf("a restart without a unit: got %q and %v", how, err)
	}
	other := write(t, filepath.Join(dir, "other.toml"), before)
	if how, _ := h.Reload(t.Context(), other, host.ReloadSighup, nil, later); strings.Contains(how, "SIGHUP to") {
		t.Errorf("nobody uses it: got %q", how)
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
		<-time.After(10 * time.Millisecond)
	}
}
