package main_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rekey/internal/host/kube/kubetest"
)

// binary is the real rekey, built once for all tests of this package. mortal is
// the one that is run a thousand times and killed: as people build it, without
// the race detector, which makes a run many times dearer.
var binary, mortal string

func TestMain(m *testing.M) {
	inMemory()
	dir, err := os.MkdirTemp("", "rekey-binary-")
	if err == nil {
		binary, mortal = filepath.Join(dir, "rekey"), filepath.Join(dir, "rekey-mortal")
		err = errors.Join(build(binary, raced), build(mortal, false))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// These tests mostly wait, for children and for polls: more of them run side by
	// side than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	kubetest.Stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// inMemory moves these tests' files to /dev/shm where that has room and runs
// programs: they fsync some ten thousand times, and a kill of the process, unlike
// a loss of power, is the same on every file system.
func inMemory() {
	const dir, room = "/dev/shm", 2 << 30
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room || fs.Flags&unix.ST_NOEXEC != 0 || unix.Access(dir, unix.W_OK) != nil {
		return
	}
	_ = os.Setenv("TMPDIR", dir)
}

// build uses the flags of `make test` or of `make build`, so that packages are
// compiled once for both.
func build(to string, race bool) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", to, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if race {
		cmd = exec.Command("go", "build", "-race", "-buildvcs=false", "-o", to, ".")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// patience bounds one run of the binary; nothing here takes that long.
const patience = 5 * time.Minute

// ended is how one run of the binary ended.
type ended struct {
	args   []string
	code   int // -1 when a signal ended it
	signal syscall.Signal
	stdout string
	stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("rekey %v ended with code %d, signal %d\n--- stdout\n%s--- stderr\n%s", e.args, e.code, e.signal, e.stdout, e.stderr)
}

// killed reports whether the run died as REKEY_CRASH_AT makes it.
func (e ended) killed() bool { return e.signal == syscall.SIGKILL }

// invoke runs the binary with nothing of this process's environment but PATH.
func invoke(t testing.TB, env []string, stdin string, args ...string) ended {
	t.Helper()
	return execute(t, binary, env, stdin, args...)
}

func execute(t testing.TB, binary string, env []string, stdin string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, conversation bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...) // else every raced run ends with a second of sleep
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader([]byte(stdin)), &out, &conversation
	err := cmd.Run()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("rekey %v: %v (%v)\n%s%s", args, err, ctx.Err(), &out, &conversation)
	}
	e := ended{args: args, code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: conversation.String()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.signal = status.Signal()
	}
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
