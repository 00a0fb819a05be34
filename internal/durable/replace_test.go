package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
)

const (
	oldContent = "# kept\r\n[[runners]]\r\n  token = \"glrt-CANARYold0000000000\"\r\n"
	newContent = "# kept\r\n[[runners]]\r\n  token = \"glrt-CANARYnew0000000000\"\r\n  id = 7\r\n"
)

func TestReplaceKeepsModeAndMovesTimeForward(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]os.FileMode{"0640": 0o640, "0600": 0o600, "0444": 0o444} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := config(t, oldContent)
			must(t, os.Chmod(path, mode))
			before := stat(t, path)
			got, err := Replace(path, []byte(oldContent), []byte(newContent))
			must(t, err)
			wantContent(t, path, newContent)
			wantAlone(t, path)
			after := stat(t, path)
			if after.Mode() != mode {
				t.Errorf("mode is %v, want %v", after.Mode(), mode)
			}
			if !after.ModTime().After(before.ModTime()) {
				t.Errorf("modification time %v is not after %v", after.ModTime(), before.ModTime())
			}
			if got.How != preferred || !got.ModTime.Equal(after.ModTime()) {
				t.Errorf("got %+v, want way %q and time %v", got, preferred, after.ModTime())
			}
		})
	}
}

func TestReplaceIsNewerThanAFutureTime(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	future := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.Chtimes(path, future, future))
	_, err := Replace(path, []byte(oldContent), []byte(newContent))
	must(t, err)
	if got := stat(t, path).ModTime(); !got.After(future) {
		t.Errorf("modification time is %v, want after %v", got, future)
	}
}

func TestReplaceKeepsTheLink(t *testing.T) {
	t.Parallel()
	path := config(t, oldContent)
	link := filepath.Join(t.TempDir(), "config.toml")
	must(t, os.Symlink(path, link))
	got, err := Replace(link, []byte(oldContent), []byte(newContent))
	must(t, err)
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("link leads to %q (%v), want %q", target, err, path)
	}
	wantContent(t, path, newContent)
	if got.Path != path {
		t.Errorf("replaced %q, want %q", got.Path, path)
	}
}

func TestReplaceRefusesWhatItDidNotExpect(t *testing.T) {
	t.Parallel()
	path := config(t, "another content")
	_, err := Replace(path, []byte(oldContent), []byte(newContent))
	wantKind(t, err, rekey.KindConflict)
	wantContent(t, path, "another content")
	wantAlone(t, path)
}

func TestReplaceRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	_, err := Replace(t.TempDir(), nil, []byte(newContent))
	wantKind(t, err, rekey.KindInvalid)
	_, err = Replace(filepath.Join(t.TempDir(), "none"), nil, []byte(newContent))
	wantKind(t, err, rekey.KindNotFound)
}

func config(t *testing.T, content string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	path := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s holds %q, want %q", path, got, want)
	}
}

// wantAlone checks that no copy, which would hold a token, lies beside path.
func wantAlone(t *testing.T, path string) {
	t.Helper()
	for _, name := range beside(t, path) {
		t.Errorf("%s was left beside %s", name, path)
	}
}

func beside(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

func wantKind(t *testing.T, err error, want rekey.Kind) {
	t.Helper()
	var e *rekey.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Errorf("got error %v of kind %q, want kind %q", err, rekey.KindOf(err), want)
		return
	}
	if strings.Contains(err.Error()+e.Hint, "CANARY") {
		t.Errorf("the error shows a token: %v", err)
	}
}
