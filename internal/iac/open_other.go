//go:build !unix

package iac

import "os"

// openPlain opens a file that is only read through.
type plainFile struct{ *os.File }

func openPlain(path string) (opened, error) {
	f, err := os.Open(path)
	return plainFile{f}, err
}

// size is how long the file says it is.
func (f plainFile) size() int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}
