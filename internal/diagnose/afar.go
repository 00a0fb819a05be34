package diagnose

import (
	"fmt"
	"strings"
)

// pointThere names, for a config that is not this machine's, the command that
// repairs it and where it is to be run: `rekey fix` alone would look here.
func (s *section) pointThere() {
	scheme, rest, ok := strings.Cut(s.Config, "://")
	if !ok {
		return
	}
	for i, f := range s.findings {
		s.findings[i].Remedy = there(f.Remedy, scheme, rest)
	}
}

const bareFix = "`rekey fix`"

// there is a remedy for a config of another host.
func there(remedy, scheme, rest string) string {
	if !strings.Contains(remedy, bareFix) {
		return remedy
	}
	host, path, _ := strings.Cut(rest, "/")
	switch scheme {
	case "ssh":
		return strings.Replace(remedy, bareFix, fmt.Sprintf("`rekey fix --host %s` (or with the inventory that names it)", quoted("ssh://"+rest)), 1)
	case "docker":
		return strings.Replace(remedy, bareFix, fmt.Sprintf("`rekey fix --host docker://%s`, on the machine of the Docker daemon,", rest), 1)
	}
	release, _, _ := strings.Cut(path, "/")
	return strings.Replace(remedy, bareFix, fmt.Sprintf("`rekey fix --host %s://%s/%s`", scheme, host, release), 1)
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t'\"\\$&;()<>|*?[]#~`!{}") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
