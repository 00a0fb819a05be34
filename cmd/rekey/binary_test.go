package main_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// binary is the real rekey, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rekey-binary-")
	if err == nil {
		binary = filepath.Join(dir, "rekey")
		err = build(binary)
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
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build uses the flags of the tests themselves, so that packages are compiled
// once for both.
func build(to string) error {
	args := []string{"build", "-buildvcs=false", "-o", to}
	if raced {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// patience bounds one run of the binary; nothing here takes that long.
const patience = 3 * time.Minute

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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, conversation bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
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
