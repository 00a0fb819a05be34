package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/host/ssh/sshtest"
)

// startContained runs this test's own program under gitlab-runner's name, in a mount
// namespace of its own that the script prepares, as a container or a unit has it. It
// returns the process's root as seen from here.
func startContained(t *testing.T, script, config string) (root string) {
	t.Helper()
	if exec.Command("unshare", "-m", "mount", "--bind", "/tmp", "/tmp").Run() != nil {
		t.Skip("*** NOTHING CAN BE MOUNTED HERE: what a container sees of the host is not tested ***")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "gitlab-runner")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", script+` && exec "$0" "$@"`, program, "run", "--config", config)
	cmd.Env = append(os.Environ(), "REKEY_TEST_IDLE=1", "HOME="+filepath.Dir(config))
	cmd.Stderr = os.Stderr
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
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal("it did not start")
	}
	return fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)
}

// A unit with ProtectSystem=, or a container with a mount that ends in ":ro", sees the
// config read-only. It is changed here, where it is not.
func TestReplaceOfWhatItsRunnerSeesReadOnly(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	startContained(t, fmt.Sprintf("mount --bind %[1]s %[1]s && mount -o remount,ro,bind %[1]s", filepath.Dir(config)), config)
	h := change(t, sshtest.Start(t))
	defer h.Close()
	if f := h.Fact(config); !strings.Contains(f.ReadOnly, "for gitlab-runner") {
		t.Errorf("got %+v, want to be told that the process sees it read-only", f)
	}
	if err := h.CheckWritable(config); err != nil {
		t.Errorf("the check before: %v (%s)", err, rekey.HintOf(err))
	}
	locked(t, h, config)
	if how, err := h.Replace(config, []byte(before), []byte(after)); err != nil || how != "rename" {
		t.Errorf("got %q and %v, want a rename", how, err)
	}
	holds(t, config, after)
}
