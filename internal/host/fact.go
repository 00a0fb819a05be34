package host

import (
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Fact is what can be seen of a config file beside its text; what cannot be seen
// is left out. Looking changes nothing.
type Fact struct {
	Path      string  // absolute
	Generated string  // as File.Generated
	ReadOnly  string  // which mount keeps gitlab-runner from saving, for people
	Standard  Context // of the standard place it lies in, "" for none
	ModTime   time.Time
	ChangedAt time.Time // zero where the system does not tell
}

// FactOf looks at a config and at how the processes that use it see it: a volume
// may be read-only inside a container only.
func (h Host) FactOf(path string, processes []Process) Fact {
	var f Fact
	info, err := os.Stat(path)
	if err != nil {
		return f
	}
	f.Path = h.absolute(path)
	f.ModTime, f.ChangedAt = info.ModTime(), changedAt(info)
	if file, err := h.Read(path); err == nil {
		f.Generated = h.generated(file)
	}
	for _, c := range h.StandardConfigs() {
		if other, err := os.Stat(c.Path); err == nil && os.SameFile(info, other) {
			f.Standard = c.Context
		}
	}
	f.ReadOnly = readOnly(path, processes)
	return f
}

func readOnly(path string, processes []Process) string {
	if mountedReadOnly(path) {
		return "its file system is mounted read-only"
	}
	for _, p := range processes {
		inside := filepath.Join(p.proc, strconv.Itoa(p.PID), "root") + p.Config
		if p.Uses(path) && mountedReadOnly(inside) {
			return "its file system is mounted read-only for " + p.String()
		}
	}
	return ""
}
