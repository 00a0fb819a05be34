package durable

import (
	"os"
	"path/filepath"
	"testing"

	"rekey"
)

func TestWriteNewCreatesOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sealed")
	must(t, WriteNew(path, []byte("first"), 0o440))
	wantKind(t, WriteNew(path, []byte("second"), 0o600), rekey.KindConflict)
	wantContent(t, path, "first")
	wantAlone(t, path)
	if mode := stat(t, path).Mode(); mode != 0o440 {
		t.Errorf("mode is %v, want 0440", mode)
	}
	wantKind(t, WriteNew(filepath.Join(path, "below"), nil, 0o600), rekey.KindUnavailable)
	wantKind(t, WriteNew(filepath.Join(t.TempDir(), "no", "dir"), nil, 0o600), rekey.KindNotFound)
}

func TestMkdirAll(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		must(t, MkdirAll(dir, 0o700))
	}
	if mode := stat(t, dir).Mode(); mode != os.ModeDir|0o700 {
		t.Errorf("mode is %v, want a directory of 0700", mode)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	wantKind(t, MkdirAll(file, 0o700), rekey.KindConflict)
}

func TestLockDirKeepsOthersOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := LockDir(dir)
	must(t, err)
	_, err = LockDir(dir)
	wantKind(t, err, rekey.KindConflict)
	unlock()
	unlock, err = LockDir(dir)
	must(t, err)
	unlock()
	_, err = LockDir(filepath.Join(dir, "none"))
	wantKind(t, err, rekey.KindNotFound)
}
