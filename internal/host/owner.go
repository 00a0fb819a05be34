package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
	"rekey/internal/durable"
)

// Owner is who a file belongs to; -1 where the system has no such numbers.
type Owner struct{ UID, GID int }

// OwnerOf returns who a config at path belongs to, or would have to: the owner
// of the file, else of the nearest directory above that exists. The service that
// reads the config runs as that user.
func (h Host) OwnerOf(path string) (Owner, error) {
	for {
		info, err := os.Stat(path)
		if err == nil {
			uid, gid := ownerOf(info)
			return Owner{uid, gid}, nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return Owner{-1, -1}, statError(path, err)
		}
		path = parent
	}
}

// Own gives path to owner. Only root can; for anybody else a file that is not
// already the owner's is an error of kind denied. It is repeatable.
func (h Host) Own(path string, owner Owner) error {
	if owner.UID < 0 {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return statError(path, err)
	}
	if uid, gid := ownerOf(info); uid == owner.UID && gid == owner.GID {
		return nil
	}
	err = durable.Call("host.chown", func() error { return os.Lchown(path, owner.UID, owner.GID) })
	if errors.Is(err, fs.ErrPermission) {
		return rekey.Errorf(rekey.KindDenied, "%s cannot be given to user %d", path, owner.UID).WithHint("run rekey as that user, or with sudo")
	}
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "giving %s to user %d: %w", path, owner.UID, err)
	}
	return nil
}

// Create makes a config that does not exist, as `gitlab-runner register` would:
// directories with mode 0700, the file with 0600, all of them the service
// user's. An existing file is of kind conflict and stays as it is.
func (h Host) Create(path string, data []byte) error {
	owner, err := h.OwnerOf(path)
	if err != nil {
		return err
	}
	if err := h.MakeDir(path); err != nil {
		return err
	}
	if err := durable.WriteNew(path, data, 0o600); err != nil {
		return err
	}
	return h.Own(path, owner)
}

// MakeDir makes the directory of a config that does not exist yet, mode 0700 and
// the service user's.
func (h Host) MakeDir(path string) error {
	owner, err := h.OwnerOf(path)
	if err != nil {
		return err
	}
	missing := missingDirs(filepath.Dir(path))
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := h.Own(dir, owner); err != nil {
			return err
		}
	}
	return nil
}

// missingDirs returns dir and those above it that do not exist.
func missingDirs(dir string) []string {
	var missing []string
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return missing
		}
		missing = append(missing, dir)
		dir = filepath.Dir(dir)
	}
}
