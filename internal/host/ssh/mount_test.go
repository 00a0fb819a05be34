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

// A container that has one file mounted keeps the old one when a new one takes its
// name here: it would go on with the dead token. The bytes are written over.
func TestReplaceReachesAContainerThatHasTheFileMounted(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]bool{"by its name": false, "by a link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real := write(t, filepath.Join(t.TempDir(), "a \\ name", "config.toml"), before)
			config, inside := real, write(t, filepath.Join(t.TempDir(), "etc", "config.toml"), "")
			if link {
				config = filepath.Join(t.TempDir(), "config.toml")
				if err := os.Symlink(real, config); err != nil {
					t.Fatal(err)
				}
			}
			root := startContained(t, fmt.Sprintf("mount --bind '%s' '%s'", real, inside), inside)
			h := change(t, sshtest.Start(t))
			defer h.Close()
			if err := h.CheckWritable(config); err != nil {
				t.Errorf("the check before: %v (%s)", err, rekey.HintOf(err))
			}
			locked(t, h, config)
			if how, err := h.Replace(config, []byte(before), []byte(after)); err != nil || how != "in place" {
				t.Errorf("got %q and %v, want it written in place", how, err)
			}
			holds(t, real, after)
			holds(t, root+inside, after)
		})
	}
}

// The same for a login that may not look into the container, of one that began after
// the connection did.
func TestReplaceReachesAContainerThatItMayNotLookInto(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("*** NOT ROOT: another user's container cannot be made, and is not tested ***")
	}
	s := sshtest.Start(t, unprivileged(t)...)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	inside := write(t, filepath.Join(t.TempDir(), "config.toml"), "")
	for _, err := range []error{os.Chmod(filepath.Dir(filepath.Dir(config)), 0o755), os.Chown(config, 65534, 65534), os.Chown(filepath.Dir(config), 65534, 65534)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h := change(t, s)
	defer h.Close()
	root := startContained(t, fmt.Sprintf("mount --bind '%s' '%s'", config, inside), inside)
	locked(t, h, config)
	if how, err := h.Replace(config, []byte(before), []byte(after)); err != nil || how != "in place" {
		t.Errorf("got %q and %v (%s), want it written in place", how, err, rekey.HintOf(err))
	}
	holds(t, root+inside, after)
}

// A container that has the directory mounted sees the new file.
func TestReplaceRenamesForAContainerThatHasTheDirectoryMounted(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	inside := t.TempDir()
	root := startContained(t, fmt.Sprintf("mount --bind '%s' '%s'", filepath.Dir(config), inside), filepath.Join(inside, "config.toml"))
	h := change(t, sshtest.Start(t))
	defer h.Close()
	locked(t, h, config)
	if how, err := h.Replace(config, []byte(before), []byte(after)); err != nil || how != "rename" {
		t.Errorf("got %q and %v, want a rename", how, err)
	}
	holds(t, filepath.Join(root, inside, "config.toml"), after)
}
