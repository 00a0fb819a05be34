package durable

import (
	"errors"
	"io/fs"
	"syscall"

	"rekey"
)

// failure says what could not be done to path, of the kind and with the hint
// that the operating system's error calls for.
func failure(what, path string, err error) *rekey.Error {
	e := rekey.Errorf(kindOf(err), "%s %s: %w", what, path, bare(err))
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return e.WithHint("make room on the file system of %s; nothing was changed", path)
	case errors.Is(err, syscall.EROFS):
		return e.WithHint("%s is on a read-only file system or mount; change it where it is mounted from", path)
	case errors.Is(err, fs.ErrPermission):
		return e.WithHint("run as the user that owns %s, or as root", path)
	}
	return e
}

func kindOf(err error) rekey.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rekey.KindNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return rekey.KindDenied
	case errors.Is(err, fs.ErrExist):
		return rekey.KindConflict
	}
	return rekey.KindUnavailable
}

// bare drops the operation and the path that the os package puts around the
// operating system's error: failure says them once.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var n syscall.Errno
	if errors.As(err, &n) {
		return n
	}
	return err
}
