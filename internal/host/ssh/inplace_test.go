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
func inShell(t *testing.T, command string, lines ...string) *sshtest.Server {
	t.Helper()
	s := sshtest.Start(t, lines...)
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

// Where a shorter text is written in place and everything ends at once, nothing of the
// old one stands behind the new one: that may be sections with tokens that are dead.
func TestInPlaceLeavesNoOldTextBehindAShorterOne(t *testing.T) {
	t.Parallel()
	const old = before + "[[runners]]\n  token = \"glrt-CANARYdead000000000\"\n"
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inShell(t, shell)
			dd, err := exec.LookPath("dd")
			if err != nil {
				t.Fatal(err)
			}
			config := write(t, filepath.Join(t.TempDir(), "config.toml"), old)
			second(t, config)
			h := change(t, s)
			defer h.Close()
			locked(t, h, config)
			// The end comes when the bytes stand there.
			s.Tool(t, "dd", fmt.Sprintf(`%s "$@" || exit; case "$*" in *of=%s*notrunc*) kill -9 0;; esac`, dd, config))
			if how, err := h.Replace(config, []byte(old), []byte(after)); rekey.KindOf(err) != rekey.KindUnavailable {
				t.Errorf("got %q and %v, want it left open", how, err)
			}
			s.Tool(t, "dd", fmt.Sprintf(`exec %s "$@"`, dd))
			got, err := os.ReadFile(config)
			if rest, new := strings.CutPrefix(string(got), after); err != nil || !new || strings.Trim(rest, "\n") != "" {
				t.Errorf("got %q and %v, want the new text and newlines", got, err)
			}
			h = change(t, s)
			defer h.Close()
			unlock := eventuallyLocked(t, h, config)
			defer unlock()
			if how, err := h.Replace(config, got, []byte(after)); err != nil || how != "in place" {
				t.Errorf("the next run: got %q and %v", how, err)
			}
			holds(t, config, after)
		})
	}
}

// Texts of any length take the place of texts of any length.
func TestInPlaceTakesEveryLength(t *testing.T) {
	t.Parallel()
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inShell(t, shell)
			config := write(t, filepath.Join(t.TempDir(), "config.toml"), "x")
			second(t, config)
			h := change(t, s)
			defer h.Close()
			locked(t, h, config)
			now := "x"
			for _, size := range []int{70_000, 69_999, 300_001, 65_536, 65_535, 1, 2} {
				next := strings.Repeat("\x00\n\xffé", size)[:size]
				if how, err := h.Replace(config, []byte(now), []byte(next)); err != nil || how != "in place" {
					t.Fatalf("%d bytes: got %q and %v", size, how, err)
				}
				if got, err := os.ReadFile(config); err != nil || string(got) != next {
					t.Fatalf("%d bytes: got %d others (%v)", size, len(got), err)
				}
				now = next
			}
		})
	}
}
