package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Fact is what can be seen of a config file beside its text; what cannot be seen
// is left out. Looking changes nothing.
type Fact struct {
	Path      string  // absolute
	Identity  string  // equal for the same file under another name or of another container, "" unknown
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
	f.Identity = h.identity(info)
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

// identity names an inode among all machines: by the running kernel, which its
// containers share, the device and the number.
func (h Host) identity(info fs.FileInfo) string {
	boot := strings.TrimSpace(string(readBounded(h.proc("sys/kernel/random/boot_id"))))
	if inode := inodeOf(info); boot != "" && inode != "" {
		return Identity(boot, inode)
	}
	return ""
}

// Identity is File.Identity of an inode, "DEVICE:NUMBER" in decimal, under the
// kernel with that boot id.
func Identity(boot, inode string) string { return boot + " " + inode }

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
