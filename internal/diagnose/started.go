package diagnose

import (
	"path/filepath"
	"slices"
	"strings"

	"rekey"
)

// judgeStarted reads from a log which file gitlab-runner loaded at its last start,
// where no process of the host tells. Paths are those of the process: a container
// names its own.
func (c *court) judgeStarted(s *section) {
	for _, l := range c.lastStarts() {
		path, ok := startedFrom(l)
		own := s.config.File.Path
		if !ok || own == "" || path == own || path == s.Config || !l.Anywhere && l.Host != s.config.Host || l.Anywhere && c.hasConfig(path) {
			continue
		}
		if filepath.Dir(path) == filepath.Dir(own) {
			s.found(rekey.OtherConfigInForce, rekey.Warning, rekey.Likely, s.inLog(l),
				missing("the arguments of the running process would make it certain: `ps -ef | grep 'gitlab-runner run'` shows its --config"))
			return
		}
		s.found(rekey.OtherConfigInForce, rekey.Info, rekey.Possible, s.inLog(l),
			missing("whether that path is this very file would decide, as a container's volume is: `docker inspect` shows its mounts, `ps -ef` the --config of a service"))
		return
	}
}

// lastStarts are the last starts that each log tells of.
func (c *court) lastStarts() []LogLine {
	var last []LogLine
	for _, l := range c.Logs {
		if l.ID != "config-in-force" {
			continue
		}
		i := slices.IndexFunc(last, func(o LogLine) bool { return o.Log == l.Log && o.Host == l.Host })
		switch {
		case i < 0:
			last = append(last, l)
		case l.Number > last[i].Number:
			last[i] = l
		}
	}
	return last
}

func startedFrom(l LogLine) (path string, ok bool) {
	_, rest, _ := strings.Cut(l.Text, "Starting multi-runner from ")
	path, _, ok = strings.Cut(rest, "...")
	return filepath.Clean(path), ok && filepath.IsAbs(path) && !strings.Contains(path, "…") // a part may be hidden, or cut off
}

func (c *court) hasConfig(path string) bool {
	return slices.ContainsFunc(c.Configs, func(f Config) bool { return f.File.Path == path || f.Path == path })
}
