package host

import (
	"path"
	"slices"
	"strings"
)

// MountedReadOnly reports whether a listing in the form of /proc/PID/mounts has
// the absolute path on a mount that is read-only. The deepest mount counts, of two
// at one place the later.
func MountedReadOnly(mounts []byte, name string) bool {
	readOnly, deepest := false, 0
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		if len(words) < 4 {
			continue
		}
		point := path.Clean(unescape(words[1]))
		if inside := point == "/" || name == point || strings.HasPrefix(name, point+"/"); !inside || len(point) < deepest {
			continue
		}
		deepest = len(point)
		readOnly = slices.Contains(strings.Split(words[3], ","), "ro")
	}
	return readOnly
}

// unescape reads the four characters that the kernel writes in octal.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}
