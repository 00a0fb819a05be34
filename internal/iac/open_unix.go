//go:build unix

package iac

import (
	"io"
	"os"
	"syscall"
)

// plainFile is a file that is only read through. os.Open prepares a file for the
// poller with five calls more, which for a small file is most of the work.
type plainFile int

func openPlain(path string) (opened, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		if err == nil {
			return plainFile(fd), nil
		}
		if err != syscall.EINTR {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (f plainFile) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(f), p)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (f plainFile) Close() error { return syscall.Close(int(f)) }

// ReadAt is that of io.ReaderAt: it reads as much as there is.
func (f plainFile) ReadAt(p []byte, at int64) (int, error) {
	for n := 0; ; {
		m, err := syscall.Pread(int(f), p[n:], at+int64(n))
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return n, err
		}
		if n += m; n == len(p) {
			return n, nil
		}
		if m == 0 {
			return n, io.EOF
		}
	}
}

// size is how long the file says it is.
func (f plainFile) size() int64 {
	var info syscall.Stat_t
	if err := syscall.Fstat(int(f), &info); err != nil {
		return 0
	}
	return info.Size
}
