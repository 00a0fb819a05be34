package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rekey/internal/durable"
)

// Writing returns what durable is to be told of the config at path beside what it
// sees by itself: durable.Pinned where a running gitlab-runner has the file mounted
// by itself, as by `docker run -v FILE:FILE`. On this machine the file is then the
// source of a mount, which nothing shows.
func (h Host) Writing(path string) []durable.Option {
	processes, _ := h.Processes()
	for _, p := range processes {
		if p.pins(path) {
			return []durable.Option{durable.Pinned}
		}
	}
	return nil
}

// pins reports whether the process's config is the file at path, mounted by itself.
func (p Process) pins(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || p.Config == "" {
		return false
	}
	info, err := os.Stat(real)
	if err != nil {
		return false
	}
	source := mountedAt(readBounded(filepath.Join(p.proc, strconv.Itoa(p.PID), "mountinfo")), p.Config)
	if p.Uses(path) {
		return source.root != "" || mountRoot(p.seen())
	}
	// Whose root this user may not see: the same device, and the file's path there.
	return source.root != "" && source.device == deviceOf(info) && strings.HasSuffix(filepath.ToSlash(real), source.root)
}

// mountSource is what is mounted somewhere.
type mountSource struct {
	device string // "MAJOR:MINOR"
	root   string // path within the device's file system, "" when nothing is mounted there
}

// mountedAt finds in the lines of /proc/PID/mountinfo what is mounted at exactly that
// path; of two mounts the later.
func mountedAt(mounts []byte, name string) (found mountSource) {
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		if len(words) > 4 && unescape(words[4]) == name {
			found = mountSource{words[2], unescape(words[3])}
		}
	}
	return found
}
