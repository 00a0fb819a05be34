//go:build unix

package host

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	errLoop   = syscall.ELOOP
	errNotDir = syscall.ENOTDIR
)

// ownerOf returns the numbers of the file's owner and group.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

// hangup sends SIGHUP. On Linux p holds the process itself, not its number.
func hangup(p *os.Process) error { return p.Signal(syscall.SIGHUP) }
