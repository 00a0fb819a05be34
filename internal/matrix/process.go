package matrix

import (
	"io"
	"os"
	"os/exec"
	"time"
)

const playVariable = "REKEY_MATRIX_PLAYS_A_RUNNER"

// PlayRunner is called by the test's main: in a process that Process started it
// does nothing until the test is over, and returns true.
func PlayRunner(in io.Reader) bool {
	if os.Getenv(playVariable) == "" {
		return false
	}
	_, _ = io.Copy(io.Discard, in)
	return true
}

// Process starts a process with the arguments of a runner, for as long as the
// scenario lives. It names itself one of the lab's runners, so that no other look
// at this machine takes it for a gitlab-runner.
func (w *World) Process(env []string, args ...string) (started time.Time) {
	w.T.Helper()
	self, err := os.Executable()
	if err != nil {
		w.T.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"rekey", "lab", "runner"}, args...)
	cmd.Env = append(env, playVariable+"=1")
	hold, err := cmd.StdinPipe()
	if err != nil {
		w.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	w.Undo(func() {
		_ = hold.Close()
		_ = cmd.Wait()
	})
	return w.Before(0)
}
