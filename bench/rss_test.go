//go:build unix

package bench

import (
	"os"
	"syscall"
)

// maxRSS is the peak resident memory of a process that ended, in KiB on Linux.
func maxRSS(s *os.ProcessState) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss
	}
	return 0
}
