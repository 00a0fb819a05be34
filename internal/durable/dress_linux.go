package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dress gives a new file the owner, mode, access lists, labels and user
// attributes of the target. What cannot be given makes the target one that must
// be written in place, which keeps them all.
func (t *target) dress(f *os.File) error {
	old, fresh := t.info.Sys().(*syscall.Stat_t), syscall.Stat_t{}
	if err := syscall.Fstat(int(f.Fd()), &fresh); err != nil {
		return err
	}
	if old.Uid != fresh.Uid || old.Gid != fresh.Gid {
		if err := f.Chown(int(old.Uid), int(old.Gid)); err != nil {
			return &onlyInPlace{"a new file could not have its owner and group"}
		}
	}
	if err := t.shedInherited(f); err != nil {
		return err
	}
	if err := f.Chmod(t.info.Mode()); err != nil {
		return err
	}
	if err := t.copyAttributes(f); err != nil {
		return err
	}
	return t.touch(f)
}

const accessACL = "system.posix_acl_access"

// shedInherited takes the access list off that the directory's default gave the
// new file: the target, which may have none, would be open to more readers.
func (t *target) shedInherited(f *os.File) error {
	err := unix.Fremovexattr(int(f.Fd()), accessACL)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	return ignoreUnsupported(err)
}

func (t *target) copyAttributes(f *os.File) error {
	names, err := attributeNames(t.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := attribute(t.path, name)
		if err != nil {
			return &onlyInPlace{"its attribute " + name + " cannot be read"}
		}
		if has, err := attribute(f.Name(), name); err == nil && bytes.Equal(has, value) {
			continue
		}
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil {
			if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
				return err
			}
			return &onlyInPlace{"a new file could not have its attribute " + name}
		}
	}
	return nil
}

// attributeNames lists what must survive. security.ima and security.evm are
// signatures of a content; trusted.* is the file system's own.
func attributeNames(path string) ([]string, error) {
	size, err := unix.Llistxattr(path, nil)
	if err != nil || size == 0 {
		return nil, ignoreUnsupported(err)
	}
	buf := make([]byte, size+1024)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		switch {
		case strings.HasPrefix(name, "user."), name == accessACL,
			name == "security.selinux", strings.HasPrefix(name, "security.SMACK64"):
			names = append(names, name)
		}
	}
	return names, nil
}

func attribute(path, name string) ([]byte, error) {
	buf := make([]byte, 64<<10) // the largest that Linux has
	n, err := unix.Lgetxattr(path, name, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

func ignoreUnsupported(err error) error {
	if isUnsupported(err) {
		return nil
	}
	return err
}

// hindrance says why a new file cannot take the target's place, as far as it
// can be seen beforehand; "" when it seems to be able to.
func (t *target) hindrance() string {
	st := t.info.Sys().(*syscall.Stat_t)
	switch {
	case isMountRoot(t.path):
		return "it is a mount point of its own"
	case st.Nlink > 1:
		return "it has a second hard link"
	case unix.Access(t.dir, unix.W_OK|unix.X_OK) != nil:
		return "no file can be created in " + t.dir
	case !canOwn(st):
		return "a new file could not have its owner and group"
	case isStuck(t.dir, st.Uid):
		return "only its owner may rename it in " + t.dir
	}
	return ""
}

// canOwn reports whether this process can make a file of that owner and group.
func canOwn(st *syscall.Stat_t) bool {
	me := os.Geteuid()
	if me == 0 {
		return true
	}
	groups, _ := os.Getgroups()
	return int(st.Uid) == me && (int(st.Gid) == os.Getegid() || slices.Contains(groups, int(st.Gid)))
}

func isMountRoot(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st)
	return err == nil && st.Attributes_mask&st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// isStuck is the rule of directories with the sticky bit.
func isStuck(dir string, owner uint32) bool {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&fs.ModeSticky == 0 {
		return false
	}
	me := uint32(os.Geteuid())
	return me != 0 && me != owner && me != info.Sys().(*syscall.Stat_t).Uid
}
