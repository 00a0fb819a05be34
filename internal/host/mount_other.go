//go:build !linux

package host

import (
	"io/fs"
	"time"
)

func mountedReadOnly(string) bool { return false }

func mountRoot(string) bool { return false }

func deviceOf(fs.FileInfo) string { return "" }

func changedAt(fs.FileInfo) time.Time { return time.Time{} }

func inodeOf(fs.FileInfo) string { return "" }
