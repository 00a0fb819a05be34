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

func openPlain(path string) (io.ReadCloser, error) {
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
