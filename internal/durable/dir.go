package durable

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// syncDir makes the names in dir durable. Where a directory cannot be synced
// (Windows, some network file systems) the file system promises it by itself.
func syncDir(point, dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	err := Call(point+".dir.sync", func() error {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		return d.Sync()
	})
	if err == nil || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return failure("sync", dir, err)
}

// linkNew gives temp the name path, which must not exist; temp goes.
func linkNew(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return os.Remove(temp)
}
