package app

import (
	"path/filepath"

	"rekey/internal/host"
)

// machine is the machine that doctor looks at: this one, or the one whose root file
// system is mounted at REKEY_HOST_ROOT, for a rekey in a container of its own. Its
// standard places, homes and /proc are then below that directory; paths that are
// given stay as they are.
func (a *App) machine() host.Host {
	h := host.Local(a.Now)
	root := a.env("REKEY_HOST_ROOT")
	if root == "" {
		return h
	}
	h.Root, h.Proc = root, filepath.Join(root, "proc")
	if h.Home != "" {
		h.Home = filepath.Join(root, h.Home)
	}
	h.HomeOf = func(name string) string { return filepath.Join(root, "home", name) }
	return h
}
