package durable

import (
	"golang.org/x/sys/unix"

	"rekey"
)

const preferred = Exchange

// The flags of chattr, as linux/fs.h has them.
const (
	flagImmutable = 0x10
	flagAppend    = 0x20
)

const (
	spare      = 64 << 10 // bytes free beyond a second copy of the file
	spareFiles = 2        // inodes: the copy, and one for whoever makes a file meanwhile
)

// obstacle says why the target cannot be changed in any way.
func (t *target) obstacle() error {
	if err := unix.Access(t.path, unix.W_OK); err != nil {
		return failure("write", t.path, err)
	}
	if err := t.flagged(); err != nil {
		return err
	}
	if t.only() != "" {
		return nil
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(t.dir, &disk); err != nil {
		return failure("read", t.dir, err)
	}
	if free := uint64(disk.Bavail) * uint64(disk.Bsize); disk.Blocks > 0 && free < uint64(t.info.Size())+spare {
		return rekey.Errorf(rekey.KindUnavailable, "no room for a second copy of %s", t.path).
			WithHint("make room on its file system")
	}
	if disk.Files > 0 && disk.Ffree < spareFiles { // 0 of 0: inodes are made as they are needed
		return rekey.Errorf(rekey.KindUnavailable, "no file can be made beside %s: its file system has no inode left", t.path).
			WithHint("remove files there: df -i %s", t.dir)
	}
	return nil
}

// flagged finds the immutable and the append-only flag of chattr, on the file
// and, where the file would be exchanged, on its directory.
func (t *target) flagged() error {
	paths := []string{t.path}
	if t.only() == "" {
		paths = append(paths, t.dir)
	}
	for _, path := range paths {
		if flags := inodeFlags(path); flags&(flagImmutable|flagAppend) != 0 {
			return rekey.Errorf(rekey.KindDenied, "%s has the immutable or append-only flag", path).
				WithHint("chattr -ia %s, or change the file where it is made", path)
		}
	}
	return nil
}

// inodeFlags is 0 where the file system has none or they may not be read.
func inodeFlags(path string) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return 0
	}
	return flags
}
