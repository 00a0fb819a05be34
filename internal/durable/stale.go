package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
)

// CleanStale settles what a Replace or WriteNew that was killed left in dir, and
// returns the paths it removed and those it restored. A copy of the old or the
// new content is removed: it holds a token. Where the copy is neither, another
// process wrote at the moment of the exchange and the kill came before that
// content went back: it goes back now, if the file still holds what Replace put
// there; else KindConflict names both files and neither is touched. Dir is that of
// the real file, symbolic links resolved, and the caller holds the lock that
// keeps a second rekey out of it.
func CleanStale(dir string) (removed, restored []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, failure("read", dir, err)
	}
	var failures []error
	for _, entry := range entries {
		of, expect, next, ok := ParseCopy(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		back, err := settle(path, filepath.Join(dir, of), expect, next)
		switch {
		case err != nil:
			failures = append(failures, err)
		case back:
			restored = append(restored, filepath.Join(dir, of))
		default:
			removed = append(removed, path)
		}
	}
	if len(removed)+len(restored) > 0 {
		failures = append(failures, syncDir("stale", dir))
	}
	return removed, restored, errors.Join(failures...)
}

// settle removes aside, after putting it back where it belongs.
func settle(aside, path, expect, next string) (restored bool, err error) {
	if expect != "" {
		if restored, err = putBack(aside, path, expect, next); err != nil {
			return false, err
		}
	}
	if err := Call("stale.remove", func() error { return os.Remove(aside) }); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, failure("remove", aside, err).WithHint("remove %s: it may hold a runner token", aside)
	}
	return restored, nil
}

func putBack(aside, path, expect, next string) (bool, error) {
	out, err := os.ReadFile(aside)
	if err != nil {
		return false, failure("read", aside, err)
	}
	if m := Mark(out); m == expect || m == next {
		return false, nil
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return false, failure("read", path, err)
	}
	if bytes.Equal(now, out) {
		return false, nil
	}
	if Mark(now) != next {
		return false, rekey.Errorf(rekey.KindConflict, "%s and %s were both changed by another process", path, aside).
			WithHint("keep the one that gitlab-runner wrote last, remove %s", aside)
	}
	err = Call("stale.exchange", func() error { return exchange(aside, path) })
	if isUnsupported(err) {
		err = Call("stale.rename", func() error { return os.Rename(aside, path) })
	}
	if err != nil {
		return false, failure("exchange", path, err)
	}
	return true, nil
}
