//go:build unix

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"rekey"
)

// LockDir keeps every other LockDir of dir, in this process or another, out
// until unlock is called or the process ends, however it ends. It leaves no file
// behind. A lock that is held is KindConflict at once; where the holder can be
// known the hint names its pid.
func LockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, failure("open", dir, err)
	}
	info, err := d.Stat()
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
	}
	if err == nil {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		return func() {
			// A child that another goroutine is just starting may hold a copy of the
			// descriptor until its exec: closing ours alone would not end the lock.
			_ = unix.Flock(int(d.Fd()), unix.LOCK_UN)
			d.Close()
		}, nil
	}
	d.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, held(dir, lockHolder(info))
	}
	return nil, failure("lock", dir, err)
}

func held(dir string, pid int) error {
	e := rekey.Errorf(rekey.KindConflict, "another rekey works in %s", dir)
	if pid > 0 {
		return e.WithHint("wait for process %d to end", pid)
	}
	return e.WithHint("wait for it to end")
}
