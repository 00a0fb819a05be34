//go:build linux

package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"rekey/internal/durable"
)

// bound starts a gitlab-runner in a mount namespace of its own, on what is mounted
// there over config.
func bound(t *testing.T, source, config string) Process {
	t.Helper()
	if err := exec.Command("unshare", "-m", "mount", "--bind", source, source).Run(); err != nil {
		t.Skipf("SKIPPED: mounting in a namespace of one's own is not permitted here: %v", err)
	}
	pid, _, _ := childIn(t, config, source)
	return find(t, Local(testHost(t).Now), pid)
}

// A single file that is mounted into a container has no mount of its own here: by a
// new file the container would keep the old one, with the token that is dead.
func TestAFileMountedByItselfIsWrittenInPlace(t *testing.T) {
	t.Parallel()
	h := Local(testHost(t).Now)
	config := put(t, filepath.Join(t.TempDir(), "config.toml"), "old CANARY")
	there := put(t, filepath.Join(t.TempDir(), "config.toml"), "")
	p := bound(t, config, there)
	if !p.Uses(config) || p.Uses(there) {
		t.Fatalf("%v is to use %s, mounted as %s", p, config, there)
	}
	opts := h.Writing(config)
	if len(opts) != 1 || opts[0] != durable.Pinned {
		t.Fatalf("options are %v, want that the file is pinned", opts)
	}
	if got := h.Writing(there); len(got) != 0 {
		t.Errorf("the file under the mount: options are %v, want none", got)
	}
	if how, err := durable.CheckWritable(config, opts...); how != durable.InPlace || err != nil {
		t.Errorf("it would be written by %q (%v), want in place", how, err)
	}
	if _, err := durable.Replace(config, []byte("old CANARY"), []byte("new CANARY"), append(opts, durable.AllowInPlace)...); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(p.seen()); err != nil || string(got) != "new CANARY" {
		t.Errorf("gitlab-runner sees %q (%v), want what was written", got, err)
	}
	if !p.Uses(config) {
		t.Error("gitlab-runner uses another file now")
	}
}

func TestADirectoryMountedPinsNothing(t *testing.T) {
	t.Parallel()
	config := put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	there := filepath.Join(t.TempDir(), "etc")
	put(t, filepath.Join(there, "config.toml"), "")
	p := bound(t, filepath.Dir(config), filepath.Join(there, "config.toml"))
	if !p.Uses(config) || p.pins(config) {
		t.Errorf("uses %v, pins %v; want it to use the file and to see its directory", p.Uses(config), p.pins(config))
	}
}

// A process of another user tells no root, but its mounts.
func TestPinnedByTheListOfMounts(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	real, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config := put(t, filepath.Join(real, "a b", "config.toml"), "x")
	info, err := os.Stat(config)
	if err != nil {
		t.Fatal(err)
	}
	h.fake(t, fakeProcess{pid: 5, args: []string{"gitlab-runner", "run"}})
	mounts := h.proc("5", "mountinfo")
	for text, want := range map[string]bool{
		deviceOf(info) + " /a\\040b/config.toml /etc/gitlab-runner/config.toml rw": true,
		deviceOf(info) + " /a\\040b /etc/gitlab-runner rw":                         false,
		deviceOf(info) + " /c/config.toml /etc/gitlab-runner/config.toml rw":       false,
		"0:0 /a\\040b/config.toml /etc/gitlab-runner/config.toml rw":               false,
	} {
		put(t, mounts, "22 1 0:1 / / rw - overlay none rw\n"+strconv.Itoa(23)+" 22 "+text+" - ext4 /dev/x rw\n")
		if got := len(h.Writing(config)) == 1; got != want {
			t.Errorf("with %q: pinned %v, want %v", text, got, want)
		}
	}
}
