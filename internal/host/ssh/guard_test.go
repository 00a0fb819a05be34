package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/ssh"
	"rekey/internal/host/ssh/sshtest"
)

// A directory's default ACL counts more than umask: the copy with the new token is for
// nobody who may not read the file, from its first byte on.
func TestTheCopyIsForNobodyElse(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setfacl"); err != nil {
		t.Skip("*** NO SETFACL: that a default ACL opens no copy is not tested ***")
	}
	s := sshtest.Start(t)
	seen := filepath.Join(s.Dir, "seen")
	dd, err := exec.LookPath("dd")
	if err != nil {
		t.Fatal(err)
	}
	s.Tool(t, "dd", fmt.Sprintf(`for w; do case $w in of=*.tmp) stat -c '%%a %%s' "${w#of=}" >>%s 2>&1;; esac; done; exec %s "$@"`, seen, dd))
	for name, second := range map[string]bool{"renamed": false, "in place": true} {
		config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
		if err := os.Chmod(config, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("setfacl", "-d", "-m", "u:nobody:r", filepath.Dir(config)).CombinedOutput(); err != nil {
			t.Skipf("*** NO ACL HERE: that a default ACL opens no copy is not tested *** %s", out)
		}
		if second {
			if err := os.Link(config, filepath.Join(t.TempDir(), "second")); err != nil {
				t.Fatal(err)
			}
		}
		h := change(t, s)
		locked(t, h, config)
		how, err := h.Replace(config, []byte(before), []byte(after))
		if err != nil || second != (how == "in place") {
			t.Errorf("%s: got %q and %v (%s)", name, how, err, rekey.HintOf(err))
		}
		holds(t, config, after)
		if acl, err := exec.Command("getfacl", "-cp", config).Output(); err != nil || strings.Contains(string(acl), "nobody") {
			t.Errorf("%s: the file has the ACL %s (%v), want its own", name, acl, err)
		}
		h.Close()
	}
	modes, err := os.ReadFile(seen)
	if err != nil || len(modes) == 0 {
		t.Fatalf("no copy was seen: %v", err)
	}
	for line := range strings.Lines(string(modes)) {
		if mode, _, _ := strings.Cut(line, " "); mode != "600" {
			t.Errorf("the copy had the mode %q before the token came, want 600", mode)
		}
	}
}

// Root may write another user's file in a sticky directory, but not open it for making
// it (fs.protected_regular).
func TestReplaceInAStickyDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("*** NOT ROOT: another user's file cannot be made, and is not tested ***")
	}
	s := sshtest.Start(t)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	for _, err := range []error{os.Chown(config, 65534, 65534), os.Link(config, filepath.Join(t.TempDir(), "second")), os.Chmod(filepath.Dir(config), 0o777|os.ModeSticky)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h := change(t, s)
	defer h.Close()
	locked(t, h, config)
	if how, err := h.Replace(config, []byte(before), []byte(after)); err != nil || how != "in place" {
		t.Errorf("got %q and %v (%s), want it written in place", how, err, rekey.HintOf(err))
	}
	holds(t, config, after)
}

// What a directory or its file system stands in the way with is said of it, and of the
// host, before anything is done.
func TestNamesWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	df, err := exec.LookPath("df")
	if err != nil {
		t.Fatal(err)
	}
	full := fmt.Sprintf(`case $1 in *i*) echo "tmpfs 6 6 0 100%% /x";; *) exec %s "$@";; esac`, df)
	endless := strings.Replace(full, "6 6 0", "0 0 0", 1)
	for script, want := range map[string]string{full: "no inode left", endless: ""} {
		s.Tool(t, "df", script)
		h := change(t, s)
		err := h.CheckWritable(config)
		switch {
		case want == "" && err != nil:
			t.Errorf("a file system that makes inodes as it needs them: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "runner1")):
			t.Errorf("got %v, want %q of runner1", err, want)
		}
		h.Close()
	}
	s.Tool(t, "lsattr", fmt.Sprintf(`[ "$2" = %s/ ] && echo "----i--------- $2" || echo "-------------- $2"`, filepath.Dir(config)))
	h := change(t, s)
	defer h.Close()
	if err := h.CheckWritable(config); err == nil || !strings.HasPrefix(rekey.HintOf(err), "chattr -ia "+filepath.Dir(config)+" ") || !strings.Contains(err.Error(), "runner1") {
		t.Errorf("got %v (%s), want the directory named, and its host", err, rekey.HintOf(err))
	}
}

// A lock that cannot be taken for another reason than somebody's having it says so.
func TestLockWithoutAWorkingFlock(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	s.Tool(t, "flock", `echo "flock: 4: No locks available" >&2; exit 71`)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	h := change(t, s)
	defer h.Close()
	if _, err := h.Lock(config); rekey.KindOf(err) != rekey.KindUnavailable || !strings.Contains(err.Error(), "No locks available") {
		t.Errorf("got %v, want flock's reason", err)
	}
}

// Why sudo refuses is sudo's to say; what it says beside is no reason.
func TestSudoSaysWhyItRefuses(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	for said, want := range map[string]string{
		"sudo: sorry, you must have a tty to run sudo":       "you must have a tty",
		"sudo: a password is required":                       "asks for a password",
		"Sorry, user ci is not allowed to execute '/bin/sh'": "not allowed to execute",
	} {
		s.Tool(t, "sudo", fmt.Sprintf(`echo "sudo: unable to resolve host runner1: Name or service not known" >&2; echo "%s" >&2; exit 1`, said))
		_, err := ssh.Dial(t.Context(), ssh.Target{Host: "runner1", Become: true}, ssh.Options{Program: s.Program, Wait: 20 * time.Second, Change: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", said, err, want)
		}
	}
}
