//go:build !unix

package iac

import (
	"io"
	"os"
)

// openPlain opens a file that is only read through.
func openPlain(path string) (io.ReadCloser, error) { return os.Open(path) }
