package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFactOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, ".gitlab-runner", "config.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("# Ansible managed\nconcurrent = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	h := Host{GOOS: "linux", UID: 1000, Home: dir, Dir: dir, Root: dir, Getenv: func(string) string { return "" }, HomeOf: func(string) string { return "" }}
	f := h.FactOf(path, nil)
	if f.Generated != "Ansible" || f.Standard != UserMode || f.ReadOnly != "" {
		t.Errorf("got %+v, want Ansible's file in the user's place, writable", f)
	}
	if !f.ModTime.Equal(old) {
		t.Errorf("mtime: got %s, want %s", f.ModTime, old)
	}
	if !f.ChangedAt.IsZero() && f.ChangedAt.Sub(old) < 47*time.Hour {
		t.Errorf("ctime: got %s, want the time of the change and not %s", f.ChangedAt, old)
	}
	if got := h.FactOf(filepath.Join(dir, "missing"), nil); got != (Fact{}) {
		t.Errorf("a missing file: got %+v, want nothing", got)
	}
}
