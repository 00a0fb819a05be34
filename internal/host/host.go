package host

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"time"
)

// Host is one machine as seen from one user. The zero value of a field that is
// a path means the usual place. Its methods may be used concurrently.
type Host struct {
	GOOS   string                   // linux, darwin, windows
	UID    int                      // of the user who asks; -1 where there are none
	Home   string                   // of that user, "" when unknown
	Dir    string                   // working directory
	Getenv func(name string) string // of the asking process

	// Root stands before every absolute path that this package thinks of by
	// itself, Proc for /proc; tests point them elsewhere.
	Root string
	Proc string

	// Systemctl is the command that talks to systemd; "" is the one in PATH.
	Systemctl string

	Now func() time.Time // required by Reload

	// HomeOf returns a user's home directory, "" when there is none.
	HomeOf func(name string) string
}

// Local is the machine and user that rekey runs as.
func Local(now func() time.Time) Host {
	dir, _ := os.Getwd()
	return Host{
		GOOS: runtime.GOOS, UID: os.Getuid(), Home: os.Getenv("HOME"), Dir: dir,
		Getenv: os.Getenv, Proc: "/proc", Now: now, HomeOf: homeOf,
	}
}

func homeOf(name string) string {
	u, err := user.Lookup(name)
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// at returns an absolute path below the host's root.
func (h Host) at(path string) string { return filepath.Join(h.Root, path) }

func (h Host) proc(parts ...string) string {
	root := h.Proc
	if root == "" {
		root = "/proc"
	}
	return filepath.Join(append([]string{root}, parts...)...)
}
