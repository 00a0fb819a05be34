package durable

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"rekey"
)

// LockDir keeps every other LockDir of dir, in this process or another, out
// until unlock is called or the process ends, however it ends. It leaves an
// empty file .rekey.lock behind. A lock that is held is KindConflict at once.
func LockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".rekey.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failure("lock", dir, err)
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, rekey.Errorf(rekey.KindConflict, "another rekey works in %s", dir).WithHint("wait for it to end")
	}
	return nil, failure("lock", dir, err)
}
