package host

import (
	"path/filepath"
	"testing"
)

// Another runner's config is found, through its own root as well; the configs at
// hand are not.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := Host{GOOS: "linux", Proc: filepath.Join(dir, "proc")}
	mine := put(t, filepath.Join(dir, "mine", "config.toml"), "mine")
	other := put(t, filepath.Join(dir, "other", "config.toml"), "other")
	put(t, filepath.Join(dir, "container", "etc", "config.toml"), "inside")
	for pid, p := range map[int]fakeProcess{
		11: {args: []string{"gitlab-runner", "run", "--config", mine}, root: "/"},
		12: {args: []string{"gitlab-runner", "run", "--config", other}, root: "/"},
		13: {args: []string{"gitlab-runner", "run", "--config", "/etc/config.toml"}, root: filepath.Join(dir, "container")},
		14: {args: []string{"gitlab-runner", "run", "--config", filepath.Join(dir, "gone.toml")}, root: "/"},
	} {
		p.pid, p.cwd = pid, "/"
		h.fake(t, p)
	}
	got := map[int]string{}
	for _, n := range h.Neighbours([]string{mine}) {
		got[n.Process.PID] = string(n.Data)
	}
	if len(got) != 2 || got[12] != "other" || got[13] != "inside" {
		t.Errorf("got %v, want the configs of 12 and 13", got)
	}
}
