package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
)

// WriteNew creates path with data and perm: after it returns nil the file and
// its name survive a crash; before, there is no file of that name. An existing
// path is KindConflict and is not touched. The directory must exist.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	temp := tempName(path)
	if err := writeTemp("new", temp, data, func(f *os.File) error { return f.Chmod(perm) }); err != nil {
		return err
	}
	if err := Call("new.name", func() error { return renameNew(temp, path) }); err != nil {
		_ = Call("new.temp.remove", func() error { return os.Remove(temp) })
		if errors.Is(err, fs.ErrExist) {
			return rekey.Errorf(rekey.KindConflict, "%s exists already", path)
		}
		return failure("create", path, err)
	}
	return syncDir("new", filepath.Dir(path))
}

// MkdirAll creates path and the directories missing above it with perm, each of
// them durable. An existing directory keeps its mode.
func MkdirAll(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		return rekey.Errorf(rekey.KindConflict, "%s is not a directory", path)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	err = Call("mkdir", func() error { return os.Mkdir(path, perm) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return failure("create directory", path, err)
	}
	return syncDir("mkdir", parent)
}

// writeTemp creates temp (0600 until dress changes it), writes data and makes
// both durable. On failure temp is removed.
func writeTemp(point, temp string, data []byte, dress func(*os.File) error) (err error) {
	var f *os.File
	err = Call(point+".temp.create", func() (err error) {
		f, err = os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return failure("create", temp, err)
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = Call(point+".temp.remove", func() error { return os.Remove(temp) })
		}
	}()
	if err := Call(point+".temp.write", func() error { _, err := f.Write(data); return err }); err != nil {
		return failure("write", temp, err)
	}
	if err := Call(point+".temp.dress", func() error { return dress(f) }); err != nil {
		if errors.As(err, new(*onlyInPlace)) {
			return err
		}
		return failure("set attributes of", temp, err)
	}
	if err := Call(point+".temp.sync", f.Sync); err != nil {
		return failure("sync", temp, err)
	}
	return nil
}

// tempName is a name beside path that CleanStale knows; it holds an unfinished
// copy at most.
func tempName(path string) string {
	return filepath.Join(filepath.Dir(path), TempName(filepath.Base(path)))
}
