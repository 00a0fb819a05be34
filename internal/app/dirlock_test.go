package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rekey"
	"rekey/internal/durable"
)

// Configs of one directory are locked side by side by one run, under every name of
// the directory, and every other run is out until the last is done.
func TestADirectoryIsLockedByARunUntilItsLastConfigIsDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	var own, other dirLocks
	locked := func(path string) func() {
		t.Helper()
		unlock, err := own.lock(path)
		if err != nil {
			t.Fatalf("the run does not get its own directory: %v", err)
		}
		return unlock
	}
	first := locked(filepath.Join(dir, "a.toml"))
	copied := filepath.Join(dir, durable.TempName("a.toml")) // an edit under way
	if err := os.WriteFile(copied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, third := locked(filepath.Join(link, "b.toml")), locked(filepath.Join(dir, "a.toml"))
	if _, err := os.Stat(copied); err != nil {
		t.Errorf("the second lock took away what the first was working on: %v", err)
	}
	first()
	first() // counts once
	second()
	if unlock, err := other.lock(filepath.Join(dir, "c.toml")); rekey.KindOf(err) != rekey.KindConflict || err == nil {
		t.Fatalf("another run got the directory (%v, %v) while a config was locked", unlock != nil, err)
	}
	third()
	unlock, err := other.lock(filepath.Join(dir, "c.toml"))
	if err != nil {
		t.Fatalf("the directory is still locked after the last: %v", err)
	}
	defer unlock()
	if _, err := os.Stat(copied); err == nil {
		t.Error("what was left there was not settled by the next run")
	}
}

// Edits of one file that go by two names lose nothing of each other.
func TestEditsOfOneFileByTwoNamesLoseNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "config.toml"), filepath.Join(dir, "link.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("config.toml", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, filepath.Join(dir, "second")); err != nil { // so that it is written in place
		t.Fatal(err)
	}
	var locks dirLocks
	var wait sync.WaitGroup
	const each = 20
	for n, path := range []string{file, link} {
		wait.Go(func() {
			unlock, err := locks.lock(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			for i := 0; i < each; {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = locks.replace(path, data, fmt.Appendf(bytes.Clone(data), "%d/%d\n", n, i))
				switch {
				case err == nil:
					i++
				case rekey.KindOf(err) != rekey.KindConflict:
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(data, []byte("\n")); got != 2*each {
		t.Errorf("got %d lines, want %d:\n%s", got, 2*each, data)
	}
}
