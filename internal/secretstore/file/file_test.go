package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/file"
)

var token = rekey.NewToken("glrt-CANARYaaaaaaaaaaaaaa")

type world struct {
	store    *file.Store
	ref      secretstore.Ref
	dir, key string
}

func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	ref, err := secretstore.Parse("file://" + dir + "/runner.sealed")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "keys", "key.txt")
	return world{file.New(file.Options{KeyFile: key, Now: time.Now}), ref, dir, key}
}

func (w world) put(t *testing.T, value rekey.Token) {
	t.Helper()
	if _, err := w.store.Put(t.Context(), w.ref, value, secretstore.Put{Meta: secretstore.Metadata{Owner: "CANARYowner"}}); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsReadableWithoutTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	raw, err := os.ReadFile(w.ref.Name)
	if err != nil || strings.Contains(string(raw), "CANARY") {
		t.Errorf("the file holds the token or its owner in the clear, or: %v", err)
	}
	for _, path := range []string{w.key, w.ref.Name} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", path, info.Mode(), err)
		}
	}
	found, err := filepath.Glob(filepath.Join(w.dir, ".*"))
	if err != nil || len(found) > 0 {
		t.Errorf("left behind: %v, %v", found, err)
	}
}

// TestTheKeyIsMadeOnce: a second write, and a second file, use the key there is.
func TestTheKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	first, _ := os.ReadFile(w.key)
	w.ref = w.ref.With(filepath.Join(w.dir, "deep", "second.sealed"), "")
	w.put(t, token)
	if second, err := os.ReadFile(w.key); err != nil || string(first) != string(second) {
		t.Errorf("the key changed with the second file: %v", err)
	}
}

// TestKeyBesideTheFile: one directory for both is locked once.
func TestKeyBesideTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ref = w.ref.Having("key", filepath.Join(w.dir, "key.txt"))
	w.put(t, token)
	if got, err := w.store.Get(t.Context(), w.ref, ""); err != nil || got.Value != token {
		t.Errorf("got %v, %v", got.Value, err)
	}
}

// TestLostKey: what is lost and what is not is said, nothing is written over, and no
// second key is made in the first one's place.
func TestLostKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	before, _ := os.ReadFile(w.ref.Name)
	if err := os.Rename(w.key, w.key+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := w.store.Get(t.Context(), w.ref, "")
	for _, want := range []string{"is gone", "age1", "config.toml", "rekey rotate", "backup"} {
		if err == nil || !strings.Contains(err.Error()+rekey.HintOf(err), want) {
			t.Errorf("Get without the key: %v\n%s\nwant %q", err, rekey.HintOf(err), want)
		}
	}
	if _, err := w.store.Put(t.Context(), w.ref, token, secretstore.Put{}); rekey.KindOf(err) != rekey.KindConflict {
		t.Errorf("Put without the key: %v, want a conflict", err)
	}
	after, _ := os.ReadFile(w.ref.Name)
	if _, err := os.Stat(w.key); err == nil || string(before) != string(after) {
		t.Error("a key was made in the lost one's place, or the file was written over")
	}
	other := newWorld(t)
	other.put(t, token)
	stranger := file.New(file.Options{KeyFile: other.key, Now: time.Now})
	if _, err := stranger.Get(t.Context(), w.ref, ""); err == nil || !strings.Contains(err.Error(), "is another key") {
		t.Errorf("Get with another key: %v, want it named", err)
	}
	if err := w.store.Delete(t.Context(), w.ref); err != nil {
		t.Errorf("Delete without the key: %v: it is the way out that the hint names", err)
	}
}

func TestKeyThatOthersCanRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	if err := os.Chmod(w.key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Get(t.Context(), w.ref, ""); rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(rekey.HintOf(err), "chmod 600") {
		t.Errorf("Get: %v (%s), want denied and chmod 600", err, rekey.HintOf(err))
	}
}

func TestForeignAndDamagedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	sealed, _ := os.ReadFile(w.ref.Name)
	for name, content := range map[string]string{"open": token.Reveal() + "\n", "empty": "", "cut": string(sealed[:len(sealed)-20]), "flipped": string(sealed[:len(sealed)-5]) + "xxxxx"} {
		ref := w.ref.With(filepath.Join(w.dir, name), "")
		if err := os.WriteFile(ref.Name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := w.store.Get(t.Context(), ref, "")
		if rekey.KindOf(err) != rekey.KindInvalid || err == nil || strings.Contains(err.Error()+rekey.HintOf(err), "CANARY") {
			t.Errorf("%s: Get: %v, want invalid and no token", name, err)
		}
		if _, err := w.store.Put(t.Context(), ref, token, secretstore.Put{}); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%s: Put: %v, want invalid", name, err)
		}
		if after, _ := os.ReadFile(ref.Name); string(after) != content {
			t.Errorf("%s was written over", name)
		}
	}
}

// TestTheLastVersionsAreKept: ten, and a version's name never comes twice.
func TestTheLastVersionsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[secretstore.Version]bool{}
	for range 12 {
		w.put(t, token)
		all, err := w.store.Versions(t.Context(), w.ref)
		if err != nil || seen[all[0].Version] || len(all) > 10 {
			t.Fatalf("versions %+v, %v", all, err)
		}
		seen[all[0].Version] = true
	}
	if err := w.store.Delete(t.Context(), w.ref); err != nil {
		t.Fatal(err)
	}
	w.put(t, token)
	if all, _ := w.store.Versions(t.Context(), w.ref); len(all) != 1 || seen[all[0].Version] {
		t.Errorf("after Delete: %+v, want one new version", all)
	}
}

// TestThroughALink: the link stays, the file behind it is written.
func TestThroughALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, token)
	link := w.ref.With(filepath.Join(w.dir, "link"), "")
	if err := os.Symlink(w.ref.Name, link.Name); err != nil {
		t.Fatal(err)
	}
	next := rekey.NewToken("glrt-CANARYbbbbbbbbbbbbbb")
	if _, err := w.store.Put(t.Context(), link, next, secretstore.Put{}); err != nil {
		t.Fatal(err)
	}
	info, _ := os.Lstat(link.Name)
	if got, err := w.store.Get(t.Context(), w.ref, ""); err != nil || got.Value != next || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("behind the link: %v, %v; the link is %v", got.Value, err, info.Mode())
	}
}
