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

// linked makes a file and a link to it in another directory.
func linked(t *testing.T) (real, link string) {
	t.Helper()
	real = write(t, filepath.Join(t.TempDir(), "real.toml"), before)
	link = filepath.Join(t.TempDir(), "config.toml")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(real), filepath.Dir(link)} { // logins with fewer rights pass through
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return real, link
}

// What stands in the way of the file that a link leads to is found before anything is
// asked of GitLab, not when the token is dead.
func TestCheckLooksBehindALink(t *testing.T) {
	t.Parallel()
	real, link := linked(t)
	s := sshtest.Start(t)
	h := change(t, s)
	defer h.Close()
	df, err := exec.LookPath("df")
	if err != nil {
		t.Fatal(err)
	}
	flagged := `for f; do :; done; [ "$f" = '%s' ] && echo "----i--------- $f" || echo "-------------- $f"`
	full := `for f; do :; done; [ "$f" = '%s/' ] || exec %s "$@"; echo "fs 10 10 %s 100%% /x"`
	for _, tc := range [][3]string{
		{"lsattr", fmt.Sprintf(flagged, real), real + " of ssh://runner1 has the immutable"},
		{"lsattr", fmt.Sprintf(flagged, filepath.Dir(real)+"/"), filepath.Dir(real) + " of ssh://runner1 has the immutable"},
		{"lsattr", "exit 1", ""},
		{"df", fmt.Sprintf(full, filepath.Dir(real), df, "0"), "no room for a second copy of " + real},
		{"df", fmt.Sprintf("exec %s \"$@\"", df), ""},
	} {
		s.Tool(t, tc[0], tc[1])
		if err := h.CheckWritable(link); err == nil != (tc[2] == "") || err != nil && !strings.Contains(err.Error(), tc[2]) {
			t.Errorf("got %v, want %q", err, tc[2])
		}
	}
	second(t, real)
	locked(t, h, link)
	if how, err := h.Replace(link, []byte(before), []byte(after)); err != nil || how != "in place" {
		t.Errorf("got %q and %v, want the second hard link seen", how, err)
	}
	holds(t, real, after)
}

// The rights are those to the file and its directory, not to the link's.
func TestCheckJudgesTheRightsBehindALink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("*** NOT ROOT: another user's file cannot be made, and is not tested ***")
	}
	const other = 65534
	real, link := linked(t)
	if err := os.Chown(real, other, other); err != nil {
		t.Fatal(err)
	}
	h := change(t, sshtest.Start(t, unprivileged(t)...))
	defer h.Close()
	for _, tc := range []struct {
		what      string
		file, ref int // owners of the two directories
		kind      rekey.Kind
	}{
		{"a directory that may not be written", 0, other, rekey.KindDenied},
		{"a link in a directory of root's", other, 0, ""},
	} {
		for dir, owner := range map[string]int{filepath.Dir(real): tc.file, filepath.Dir(link): tc.ref} {
			if err := os.Chown(dir, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
		err := h.CheckWritable(link)
		if err == nil != (tc.kind == "") || err != nil && rekey.KindOf(err) != tc.kind {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.kind)
		}
	}
	locked(t, h, link)
	if how, err := h.Replace(link, []byte(before), []byte(after)); err != nil || how != "rename" {
		t.Errorf("got %q and %v, want the owner to rename", how, err)
	}
	holds(t, real, after)
}
