package durable

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data with perm under path, whatever was there: who reads path
// meanwhile sees the whole of the old content or of the new. A link at path is
// replaced, not followed. The name of the file under way begins with a dot and ends
// in .tmp. The directory must exist.
func Write(path string, data []byte, perm fs.FileMode) error {
	temp := tempName(path)
	if err := writeTemp("write", temp, data, func(f *os.File) error { return f.Chmod(perm) }); err != nil {
		return err
	}
	if err := Call("write.name", func() error { return os.Rename(temp, path) }); err != nil {
		_ = Call("write.temp.remove", func() error { return os.Remove(temp) })
		return failure("write", path, err)
	}
	return syncDir("write", filepath.Dir(path))
}
