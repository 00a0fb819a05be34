package host

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"rekey"
)

// What follows judges content that was read elsewhere: in a container, on another
// machine. It looks at nothing of this one.

// GeneratedBy names the tool whose mark a config's text bears, "" for none.
func GeneratedBy(data []byte) string {
	for _, line := range header(data) {
		for _, m := range marks {
			if m.pattern.MatchString(line) {
				return m.tool
			}
		}
	}
	for _, p := range placeholders {
		if bytes.Contains(data, []byte(p)) {
			return "user-data"
		}
	}
	return ""
}

// ParseSystemID reads the content of a .runner_system_id; name is the file's, for
// the problem, which says why there is no id in it.
func ParseSystemID(name string, data []byte) (id rekey.SystemID, problem string) {
	text := strings.TrimSpace(string(data))
	if !systemIDPattern.MatchString(text) {
		return "", name + " does not hold a system id (s_ or r_ and twelve letters or digits): gitlab-runner will replace it"
	}
	return rekey.SystemID(text), ""
}

// Arguments looks for gitlab-runner's command among a program's arguments, which
// may begin with an init and an entrypoint, and for the config that they name. Both
// are "" where there is none.
func Arguments(args []string) (command, config string) {
	i := slices.IndexFunc(args, func(a string) bool { return slices.Contains(runnerCommands, a) })
	if i < 0 {
		return "", ""
	}
	return args[i], flagValue(args[i+1:])
}

// RunnerImage recognises the images that run gitlab-runner: gitlab/gitlab-runner,
// its mirrors and its flavours. The helper's image runs beside jobs, the operator's
// starts others.
func RunnerImage(image string) bool {
	name := path.Base(image)
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return strings.HasPrefix(name, "gitlab-runner") && !strings.HasPrefix(name, "gitlab-runner-helper") && !strings.HasPrefix(name, "gitlab-runner-operator")
}
