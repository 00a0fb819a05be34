//go:build unix

package lab

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"rekey"
)

// lockDir keeps a second process out: caches of one would not see the other's
// writes. The lock goes with the process.
func lockDir(dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "lab.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "open the lab's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, rekey.Errorf(rekey.KindConflict, "another process has the lab in %s open", dir).
			WithHint("stop it, or use another --data directory")
	}
	return func() {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // a child before its exec may hold a copy of the descriptor
		_ = f.Close()
	}, nil
}
