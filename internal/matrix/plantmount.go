package matrix

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// mountScenarios are files that their process sees read-only, as a container does
// with a volume that ends in ":ro".
var mountScenarios = []Scenario{
	{
		Cause: "rotation-not-saved", Name: "the volume is read-only for the process, which goes on working", Lacking: namespaces,
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
		Cause: "rotation-not-scheduled", Name: "the volume is read-only for the process, which will rotate and lose the new token", Lacking: namespaces,
		Plant: func(w *World) {
			path := w.Config("host", thisHost, w.Planted(w.soon()))
			w.Confined(path)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "rotation-not-scheduled likely"}},
	},
}

// Confined has a gitlab-runner run that uses the config and sees its directory
// mounted read-only. What it sees is the view of a process that waits in a mount
// namespace of its own as long as the scenario lives.
func (w *World) Confined(config string) {
	w.T.Helper()
	const confine = `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && echo ready && read x`
	cmd := exec.Command("unshare", "-rm", "sh", "-c", confine, "sh", filepath.Dir(config))
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
	w.Runs(Process{Args: []string{"--config", config}, Age: age, Root: fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)})
}

// namespaces says why no process can be confined here, "" where it can.
var namespaces = sync.OnceValue(func() string {
	if err := exec.Command("unshare", "-rm", "true").Run(); err != nil {
		return "no user may make mount namespaces here: " + err.Error()
	}
	return ""
})
