//go:build unix

package durable

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rekey"
)

// errands are what the test binary does instead of testing when it is run again
// with REKEY_TEST_ERRAND, to be killed on the way.
var errands = map[string]func(dir string) error{
	"replace": func(dir string) error {
		_, err := Replace(filepath.Join(dir, "config.toml"), []byte(oldContent), []byte(newContent))
		return err
	},
	"rename": func(dir string) error {
		t, err := openTarget(filepath.Join(dir, "config.toml"))
		if err != nil {
			return err
		}
		aside := swapName(t.path, []byte(oldContent), []byte(newContent))
		temp := tempName(t.path)
		err = writeTemp("replace", temp, []byte(newContent), func(f *os.File) error { return t.dress(f) })
		if err == nil {
			err = os.Rename(temp, aside)
		}
		if err != nil {
			return err
		}
		_, _, err = t.rename(aside, []byte(oldContent), []byte(newContent), errors.ErrUnsupported)
		return errors.Join(err, t.forget(aside))
	},
	"shrink": func(dir string) error {
		_, err := Replace(filepath.Join(dir, "config.toml"), []byte(longContent), []byte(newContent), AllowInPlace)
		return err
	},
	"new": func(dir string) error {
		return WriteNew(filepath.Join(dir, "config.toml"), []byte(newContent), 0o600)
	},
	"log": func(dir string) error {
		l, err := OpenLog(filepath.Join(dir, "config.toml"))
		if err != nil {
			return err
		}
		return errors.Join(l.Append([]byte("one")), l.Append([]byte("two")), l.Close())
	},
	"lock": func(dir string) error {
		if _, err := LockDir(dir); err != nil {
			return err
		}
		Point("locked")
		return nil
	},
}

func TestMain(m *testing.M) {
	if errand := errands[os.Getenv("REKEY_TEST_ERRAND")]; errand != nil {
		if err := errand(os.Getenv("REKEY_TEST_DIR")); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run does an errand in a process of its own that dies at point at (0: never),
// and returns the points it passed.
func run(t *testing.T, errand, dir string, at int) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "points")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REKEY_TEST_ERRAND="+errand, "REKEY_TEST_DIR="+dir,
		"REKEY_CRASH_LOG="+log, "REKEY_CRASH_AT="+strconv.Itoa(at))
	err := cmd.Run()
	if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); at > 0 && status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended with %v at point %d, want it killed", errand, err, at)
	}
	if at == 0 && err != nil {
		t.Fatalf("%s: %v", errand, err)
	}
	data, err := os.ReadFile(log)
	must(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// killEverywhere does an errand once for each point that it has, in a fresh
// directory that hold prepares, kills it there, and lets check look.
func killEverywhere(t *testing.T, errand string, hold, check func(t *testing.T, path string)) {
	t.Helper()
	prepare := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "config.toml")
		hold(t, path)
		return path
	}
	points := run(t, errand, filepath.Dir(prepare(t)), 0)
	if len(points) < 4 {
		t.Fatalf("%s passes %d points: %v", errand, len(points), points)
	}
	for i, point := range points {
		t.Run(strings.ReplaceAll(point, " ", "-"), func(t *testing.T) {
			t.Parallel()
			path := prepare(t)
			passed := run(t, errand, filepath.Dir(path), i+1)
			if !slices.Equal(passed, points[:i+1]) {
				t.Errorf("passed %v, want %v", passed, points[:i+1])
			}
			check(t, path)
		})
	}
}

func TestKilledReplaceLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	leavesOldOrNew(t, "replace")
}

func TestKilledRenameLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	leavesOldOrNew(t, "rename")
}

func leavesOldOrNew(t *testing.T, errand string) {
	t.Helper()
	hold := func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(oldContent), 0o640)) }
	killEverywhere(t, errand, hold, func(t *testing.T, path string) {
		got, err := os.ReadFile(path)
		must(t, err)
		if string(got) != oldContent && string(got) != newContent {
			t.Errorf("the file is torn: %q", got)
		}
		if mode := stat(t, path).Mode(); mode != 0o640 {
			t.Errorf("mode is %v, want 0640", mode)
		}
		_, restored, err := CleanStale(filepath.Dir(path))
		must(t, err)
		if len(restored) > 0 {
			t.Errorf("%v was restored, but nobody else wrote it", restored)
		}
		wantContent(t, path, string(got))
		wantAlone(t, path)
		if string(got) == oldContent {
			_, err := Replace(path, got, []byte(newContent))
			must(t, err)
			wantContent(t, path, newContent)
		}
	})
}

// longContent's tail behind newContent is valid TOML: a file torn there would parse.
const longContent = "[[runners]]\n  token = \"glrt-CANARYold0000000000\"\n# filled, as long as the other\nu = 0\nx = 1\n"

func TestKilledShrinkInPlaceLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	hold := func(t *testing.T, path string) {
		must(t, os.WriteFile(path, []byte(longContent), 0o600))
		must(t, os.Link(path, filepath.Join(filepath.Dir(path), "second")))
	}
	isNew := func(b []byte) bool { return string(b) == newContent }
	killEverywhere(t, "shrink", hold, func(t *testing.T, path string) {
		got, err := os.ReadFile(path)
		must(t, err)
		left, padded := Unpadded(got, isNew)
		if string(got) != longContent && !isNew(got) && !padded {
			t.Fatalf("the file is torn: %q", got)
		}
		if isNew(got) {
			return
		}
		if padded && !isNew(left) {
			t.Errorf("what was to be left is %q, want %q", left, newContent)
		}
		_, err = Replace(path, got, []byte(newContent), AllowInPlace)
		must(t, err)
		wantContent(t, path, newContent)
	})
}

func TestUnpadded(t *testing.T) {
	t.Parallel()
	is := func(want string) func([]byte) bool { return func(b []byte) bool { return string(b) == want } }
	for _, c := range []struct {
		now, whole string
		ok         bool
	}{
		{"a\n\n\n", "a\n", true}, {"a\n", "a", true}, {"\n", "", true},
		{"a\n", "a\n", false}, {"a\n\nb", "a\n", false}, {"", "", false}, {"a\n\n", "b", false},
	} {
		left, ok := Unpadded([]byte(c.now), is(c.whole))
		if ok != c.ok || ok && string(left) != c.whole {
			t.Errorf("of %q, where %q is whole: got %q, %v; want %v", c.now, c.whole, left, ok, c.ok)
		}
	}
}

func TestKilledWriteNewLeavesNothingOrAll(t *testing.T) {
	t.Parallel()
	killEverywhere(t, "new", func(*testing.T, string) {}, func(t *testing.T, path string) {
		_, _, err := CleanStale(filepath.Dir(path))
		must(t, err)
		wantAlone(t, path)
		err = WriteNew(path, []byte(newContent), 0o600)
		if err != nil && rekey.KindOf(err) != rekey.KindConflict {
			t.Error(err)
		}
		wantContent(t, path, newContent)
	})
}

func TestKilledAppendKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	killEverywhere(t, "log", func(*testing.T, string) {}, func(t *testing.T, path string) {
		l, err := OpenLog(path)
		must(t, err)
		defer l.Close()
		must(t, l.Append([]byte("three")))
		records, err := ReadLog(path)
		must(t, err)
		if got := string(bytes.Join(records, []byte(" "))); got != "three" && got != "one three" && got != "one two three" {
			t.Errorf("records are %q", got)
		}
	})
}

func TestLockEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "lock", dir, 1)
	unlock, err := LockDir(dir)
	must(t, err)
	unlock()
}

func TestAnotherWriterWins(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	target, err := openTarget(path)
	must(t, err)
	must(t, target.holds([]byte(oldContent)))
	foreign := "token = \"glrt-CANARYforeign\"\n"
	must(t, os.WriteFile(path, []byte(foreign), 0o600))
	_, err = target.swap([]byte(oldContent), []byte(newContent))
	wantKind(t, err, rekey.KindConflict)
	wantContent(t, path, foreign)
	wantAlone(t, path)
}

// Without exchange too, what was written between the look and the rename comes back.
func TestAnotherWriterWinsWithoutExchange(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	target, err := openTarget(path)
	must(t, err)
	aside := swapName(path, []byte(oldContent), []byte(newContent))
	must(t, os.WriteFile(aside, []byte(newContent), 0o600))
	must(t, target.holds([]byte(oldContent)))
	foreign := "token = \"glrt-CANARYforeign\"\n"
	must(t, os.WriteFile(path, []byte(foreign), 0o600))
	_, spent, err := target.supplant(aside, []byte(oldContent), []byte(newContent))
	wantKind(t, err, rekey.KindConflict)
	if !spent {
		t.Error("what lies aside is called needed, want it spent")
	}
	wantContent(t, path, foreign)
	wantAlone(t, path)
}

func TestCleanStaleRestoresAnotherWriter(t *testing.T) {
	t.Parallel()
	path := config(t, newContent)
	aside := swapName(path, []byte(oldContent), []byte(newContent))
	must(t, os.WriteFile(aside, []byte("foreign"), 0o600))
	_, restored, err := CleanStale(filepath.Dir(path))
	must(t, err)
	if !slices.Equal(restored, []string{path}) {
		t.Errorf("restored %v, want %s", restored, path)
	}
	wantContent(t, path, "foreign")
	wantAlone(t, path)
}

func TestCleanStaleKeepsWhatItCannotJudge(t *testing.T) {
	t.Parallel()
	path := config(t, "a third content")
	aside := swapName(path, []byte(oldContent), []byte(newContent))
	must(t, os.WriteFile(aside, []byte("foreign"), 0o600))
	_, _, err := CleanStale(filepath.Dir(path))
	wantKind(t, err, rekey.KindConflict)
	wantContent(t, path, "a third content")
	wantContent(t, aside, "foreign")
}

func TestCleanStaleLeavesOtherFiles(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	other := filepath.Join(filepath.Dir(path), ".config.toml.swp")
	must(t, os.WriteFile(other, nil, 0o600))
	must(t, os.WriteFile(tempName(path), []byte("half a tok"), 0o600))
	removed, _, err := CleanStale(filepath.Dir(path))
	must(t, err)
	if len(removed) != 1 || !slices.Equal(beside(t, path), []string{filepath.Base(other)}) {
		t.Errorf("removed %v and left %v, want one removed and %s left", removed, beside(t, path), other)
	}
}
