//go:build linux

package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rekey/internal/durable"
	"rekey/internal/host"
)

// A gitlab-runner whose config is mounted by itself from a file of this machine goes
// on seeing that file when rekey has edited it.
func TestAnEditReachesAConfigThatIsMountedByItself(t *testing.T) {
	t.Parallel()
	config, there := filepath.Join(t.TempDir(), "config.toml"), filepath.Join(t.TempDir(), "config.toml")
	for _, path := range []string{config, there} {
		if err := os.WriteFile(path, []byte("old CANARY"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Command("unshare", "-m", "mount", "--bind", config, there).Run(); err != nil {
		t.Skipf("SKIPPED: mounting in a namespace of one's own is not permitted here: %v", err)
	}
	script := fmt.Sprintf("mount --bind %s %s && echo ready && read line", config, there)
	cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"gitlab-runner", "-c", script, "run", "--config", there},
		Env: os.Environ(), SysProcAttr: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}}
	in, _ := cmd.StdinPipe()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	h := repairedHost{Host: host.Local(time.Now), locks: &dirLocks{}, former: &formerSections{}}
	if err := h.CheckWritable(config); err != nil {
		t.Error(err)
	}
	how, err := h.Replace(config, []byte("old CANARY"), []byte("new CANARY"))
	if err != nil || how != string(durable.InPlace) {
		t.Errorf("edited by %q (%v), want %q", how, err, durable.InPlace)
	}
	if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, there)); err != nil || string(got) != "new CANARY" {
		t.Errorf("gitlab-runner sees %q (%v), want what was written", got, err)
	}
}
