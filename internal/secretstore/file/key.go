package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"filippo.io/age"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/secretstore"
)

// loadKey reads the key file; fs.ErrNotExist when there is none.
func loadKey(path string) (*age.X25519Identity, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, rekey.Errorf(rekey.KindDenied, "the key file %s may be read by others (mode %04o)", path, info.Mode().Perm()).WithHint("chmod 600 %s; if others had access, rotate what it sealed", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, rekey.Errorf(kindOf(err), "the key file cannot be read: %w", err).WithHint("its owner may: see `ls -l %s`", path)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if key, err := age.ParseX25519Identity(line); err == nil {
			return key, nil
		}
		break
	}
	return nil, rekey.Errorf(rekey.KindInvalid, "%s is not an age identity", path).WithHint("restore the file from a backup; without it what it sealed cannot be opened")
}

// makeKey makes the key file and its directory. Of two makers one wins, and the
// other uses the winner's. The lock settles what a killed maker left there; held is
// the directory that the caller has locked already.
func makeKey(ctx context.Context, path, held string) (*age.X25519Identity, error) {
	release, err := func() {}, error(nil)
	if !sameDir(filepath.Dir(path), held) {
		release, err = claim(ctx, filepath.Dir(path))
	}
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the key file %s cannot be made: %w", path, err).WithHint("name another key file with ?key=/PATH in the reference")
	}
	defer release()
	if key, err := loadKey(path); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "no key could be made: %w", err)
	}
	text := "# opens the secrets that rekey sealed for " + key.Recipient().String() + "; keep a backup\n" + key.String() + "\n"
	if err := durable.Call("secret.key", func() error { return durable.WriteNew(path, []byte(text), 0o600) }); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the key file cannot be made: %w", err).WithHint("name another with ?key=/PATH in the reference")
	}
	return key, nil
}

func sameDir(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// lockPatience is how long a writer waits for the one before: a write takes
// milliseconds.
const lockPatience = 10 * time.Second

// lock keeps every other writer out of the file's directory, and settles what a
// killed one left there. The path is the real file's.
func (s *Store) lock(ctx context.Context, ref secretstore.Ref) (path string, unlock func(), err error) {
	path = ref.Name
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	s.mu.Lock()
	release, err := claim(ctx, filepath.Dir(path))
	if err != nil {
		s.mu.Unlock()
		return "", nil, rekey.Errorf(rekey.KindUnavailable, "%s cannot be changed: %w", path, err).WithHint("%s", rekey.HintOf(err))
	}
	return path, func() { release(); s.mu.Unlock() }, nil
}

// claim makes the directory where it is missing, and locks it.
func claim(ctx context.Context, dir string) (release func(), err error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if release, err = lockDir(ctx, dir); err != nil {
		return nil, err
	}
	if _, _, err = durable.CleanStale(dir); err != nil {
		release()
	}
	return release, err
}

func lockDir(ctx context.Context, dir string) (func(), error) {
	ctx, stop := context.WithTimeout(ctx, lockPatience)
	defer stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		unlock, err := durable.LockDir(dir)
		if err == nil || rekey.KindOf(err) != rekey.KindConflict {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

func kindOf(err error) rekey.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rekey.KindNotFound
	case errors.Is(err, fs.ErrPermission):
		return rekey.KindDenied
	}
	return rekey.KindUnavailable
}
