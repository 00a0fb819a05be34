package host

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Neighbour is the config of a gitlab-runner that runs on this machine.
type Neighbour struct {
	Process Process
	Data    []byte
}

// Neighbours returns the configs that runner processes of this machine use and
// that are none of paths. What cannot be read is left out. All gitlab-runners of a
// machine may share one system id: GitLab then counts them as one manager.
func (h Host) Neighbours(paths []string) []Neighbour {
	running, _ := h.Processes()
	var found []Neighbour
	for _, p := range running {
		if p.Config == "" || slices.ContainsFunc(paths, p.Uses) {
			continue
		}
		path := p.seen()
		info, err := os.Stat(path)
		if err != nil || readable(path, info) != nil {
			continue
		}
		if data, _, err := h.readStable(path); err == nil {
			found = append(found, Neighbour{p, data})
		}
	}
	return found
}

// seen is the path of the process's config, through its own root where that can
// be seen.
func (p Process) seen() string {
	root := filepath.Join(p.proc, strconv.Itoa(p.PID), "root")
	if _, err := os.Readlink(root); err == nil {
		return root + p.Config
	}
	return p.Config
}
