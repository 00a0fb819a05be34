package ssh

import (
	"fmt"
	"path"
	"strings"
)

// mount is a line of /proc/PID/mountinfo: what of a file system is seen where.
type mount struct {
	device string // "8:1"
	root   string // of the mount, inside the file system
	point  string
}

func parseMounts(mountinfo []byte) []mount {
	octal := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []mount
	for line := range strings.Lines(string(mountinfo)) {
		if words := strings.Fields(line); len(words) > 4 {
			found = append(found, mount{words[2], octal.Replace(words[3]), path.Clean(octal.Replace(words[4]))})
		}
	}
	return found
}

// source says where in its file system a path lies: the deepest mount counts, of two
// at one place the later.
func source(mounts []mount, real string) (m mount, ok bool) {
	for _, at := range mounts {
		if at.point == "/" || real == at.point || strings.HasPrefix(real, at.point+"/") {
			if len(at.point) >= len(m.point) {
				m, ok = at, true
			}
		}
	}
	m.root = path.Join(m.root, strings.TrimPrefix(real, m.point))
	return m, ok
}

// mountedAlone says that a gitlab-runner has this one file mounted, as a container with
// `-v …/config.toml:/etc/gitlab-runner/config.toml` has; "" where none does. A new file
// could take its name here, but the mount there would stay with the old one. What is
// mounted is told by its place in the file system, for which nobody's root need be
// looked into.
func (h *Host) mountedAlone(name, real string) string {
	here, known := source(parseMounts(h.kernel("/proc/self/mountinfo")), real)
	for _, p := range h.running {
		for _, m := range parseMounts(h.kernel(fmt.Sprintf("/proc/%d/mountinfo", p.PID))) {
			if known && m.device == here.device && m.root == here.root || m.point == p.Config && h.Uses(p, name) {
				return "it is mounted by itself for " + p.String()
			}
		}
	}
	return ""
}
