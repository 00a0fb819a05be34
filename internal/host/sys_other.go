//go:build !unix

package host

import (
	"errors"
	"io/fs"
	"os"
)

var (
	errLoop   = errors.New("too many links")
	errNotDir = errors.New("not a directory")
)

func ownerOf(fs.FileInfo) (uid, gid int) { return -1, -1 }

func hangup(*os.Process) error { return errors.ErrUnsupported }
