package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"rekey/internal/durable"
)

func TestWriteReplacesWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rekey.prom")
	for _, text := range []string{"first\n", "second, which is longer\n", ""} {
		if err := durable.Write(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("holds %q (%v), want %q", got, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v (%v), want 0644 whatever the umask", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v in the directory (%v), want the file alone", entries, err)
	}
	if err := durable.Write(filepath.Join(dir, "missing", "x"), nil, 0o644); err == nil {
		t.Error("a directory that is not there was accepted")
	}
}
