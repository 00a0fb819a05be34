package matrix

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mountScenarios are files that their process sees read-only, as a container does
// with a volume that ends in ":ro".
var mountScenarios = []Scenario{
	{
		Cause: "rotation-not-saved", Name: "the volume is read-only for the process, which goes on working",
		Plant: func(w *World) {
			r := w.lasting(age + age/8) // gitlab-runner rotates after three quarters
			path := w.Config("host", thisHost, w.Planted(r))
			w.Confined(path)
			w.Poll(w.rotate(r).Token, thisHost, w.Version+".0")
		},
		Cells: []Cell{
			{Who: WithToken, Since: "17.11", Verdict: "invalid", Answer: "rotation-not-saved likely"},
			// Before 17.1 GitLab does not tell which host it is that goes on working.
			{Who: WithToken, Verdict: "invalid", Answer: "rotation-not-saved possible | rotated-elsewhere possible"},
			{Who: Alone, Verdict: "invalid", Answer: "rotation-not-saved possible | rotated-elsewhere possible | record-deleted possible | server-restored possible | wrong-instance possible"},
		},
	},
	{
		Cause: "rotation-not-scheduled", Name: "the volume is read-only for the process, which will rotate and lose the new token",
		Plant: func(w *World) {
			path := w.Config("host", thisHost, w.Planted(w.soon()))
			w.Confined(path)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "rotation-not-scheduled likely"}},
	},
}

// Confined starts a process that uses the config and sees its directory mounted
// read-only, as long as the scenario lives. It is a shell that waits, under the
// name of one of the lab's runners.
func (w *World) Confined(config string) {
	w.T.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		w.T.Fatal(err)
	}
	name := filepath.Join(w.T.TempDir(), "rekey")
	if err := os.Symlink(shell, name); err != nil {
		w.T.Fatal(err)
	}
	const confine = `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"`
	cmd := exec.Command("unshare", "-rm", "sh", "-c", confine, "sh", filepath.Dir(config), name, "-c", "echo ready; read x", "lab", "runner", "--config", config)
	in, err := cmd.StdinPipe()
	if err != nil {
		w.T.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	w.Undo(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		w.T.Fatalf("a process in a mount namespace of its own did not start: %q, %v", line, err)
	}
}

// CanConfine reports whether this machine lets a user make mount namespaces.
func CanConfine() bool { return exec.Command("unshare", "-rm", "true").Run() == nil }
