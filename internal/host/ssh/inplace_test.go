package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rekey"
	"rekey/internal/host/ssh/sshtest"
)

// shells are those that a host may have as sh, with what runs them; "" is this
// machine's own.
func shells(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"sh": ""}
	for name, command := range map[string]string{"dash": "dash", "busybox": "busybox sh", "bash": "bash --posix"} {
		if _, err := exec.LookPath(name); err == nil {
			found[name] = command
		}
	}
	return found
}

// inShell starts a server whose sh is that one.
func inShell(t *testing.T, command string) *sshtest.Server {
	t.Helper()
	s := sshtest.Start(t)
	if command != "" {
		s.Tool(t, "sh", "exec "+command+` "$@"`)
	}
	return s
}

// second makes the file one that is written in place.
func second(t *testing.T, config string) {
	t.Helper()
	if err := os.Link(config, filepath.Join(t.TempDir(), "second")); err != nil {
		t.Fatal(err)
	}
}

// gitlab-runner may save while the bytes that were written over its file's are brought
// to the disk. What it saved stays.
func TestInPlaceYieldsToAnotherWriter(t *testing.T) {
	t.Parallel()
	const saved = "# glrt-CANARYsavedmeanwhile"
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inShell(t, shell)
			config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
			second(t, config)
			s.Tool(t, "sync", fmt.Sprintf(`[ "$1" = %[1]s ] && printf '%[2]s' >%[1]s; exit 0`, config, saved))
			h := change(t, s)
			defer h.Close()
			locked(t, h, config)
			if how, err := h.Replace(config, []byte(before), []byte(after)); rekey.KindOf(err) != rekey.KindConflict {
				t.Errorf("got %q and %v, want a conflict", how, err)
			}
			holds(t, config, saved)
		})
	}
}
