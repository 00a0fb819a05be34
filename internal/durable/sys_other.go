//go:build !linux

package durable

import (
	"errors"
	"io/fs"
	"os"
)

// Elsewhere there is no exchange to rely on: Replace renames.

const preferred = Rename

func exchange(_, _ string) error { return errors.ErrUnsupported }

func renameNew(temp, path string) error { return linkNew(temp, path) }

func isMountPoint(error) bool { return false }

func isUnsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

func reserve(*os.File, int64) error { return nil }

func (t *target) hindrance() string { return "" }

// dress gives a new file the mode of the target; owners and access lists are
// what the directory gives.
func (t *target) dress(f *os.File) error {
	if err := f.Chmod(t.info.Mode().Perm()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return t.touch(f)
}

func (t *target) obstacle() error {
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return failure("write", t.path, err)
	}
	defer f.Close()
	if t.info.Mode().Perm()&0o200 == 0 {
		return failure("write", t.path, fs.ErrPermission)
	}
	return nil
}
