package diagnose

import (
	"path/filepath"
	"slices"
	"time"

	"rekey"
)

// judgeInForce tells of a config that no running gitlab-runner uses while another
// is in force, and of one that is in use and may not have been loaded since it
// changed. Neither says anything of the token.
func (c *court) judgeInForce(s *section) {
	if c.processesProblem(s.config.Host) != "" {
		return
	}
	used, unknown := false, false
	for _, p := range c.Processes {
		if p.Host != s.config.Host {
			continue
		}
		if slices.Contains(p.Uses, s.Config) {
			used = true
			s.judgeReload(p)
		}
		unknown = unknown || p.Config == "" && !p.Simulated
	}
	if !used && !unknown {
		c.judgeRivals(s)
	}
}

// processesProblem is why more runners may run on a host than are known.
func (c *court) processesProblem(host string) string {
	for _, h := range c.Hosts {
		if h.Name == host && h.ProcessesProblem != "" {
			return h.ProcessesProblem
		}
	}
	if host == "" {
		return c.ProcessesProblem
	}
	return ""
}

// judgeRivals looks for the processes that would use this file if they did not use
// another one. Where the file lies in no place that gitlab-runner reads by itself
// it may be a copy, or another host's: then a running one is only a hint.
func (c *court) judgeRivals(s *section) {
	const most = 3
	var severity rekey.Severity
	confidence := rekey.Possible
	var seen []rekey.Evidence
	for _, p := range c.Processes {
		weight := s.rivalry(p)
		if weight == "" {
			continue
		}
		if severity == "" || !severity.AtLeast(weight) {
			severity = weight
		}
		if p.Problem == "" {
			confidence = rekey.Likely
		}
		if len(seen) < most {
			seen = append(seen, s.rivalSeen(p))
		}
	}
	if len(seen) > 0 {
		s.found(rekey.OtherConfigInForce, severity, confidence, seen...)
	}
}

// rivalry is how much it means that p runs with another file, "" for nothing. The
// lab's runners count in their own directory only: each plays a host of its own.
func (s *section) rivalry(p Process) rekey.Severity {
	if p.Host != s.config.Host {
		return ""
	}
	path := s.config.File.Path
	beside := filepath.Dir(p.Config) == filepath.Dir(path) && p.Config != path
	switch {
	case beside, s.config.File.Standard != "" && !p.Simulated:
		return rekey.Warning
	case p.From == "default" && !p.Simulated:
		return rekey.Info
	}
	return ""
}

func (s *section) rivalSeen(p Process) rekey.Evidence {
	from := map[string]string{"--config": "by its argument --config", "CONFIG_FILE": "by its variable CONFIG_FILE", "default": "by default"}[p.From]
	inside := ""
	if p.Config == s.config.File.Path {
		inside = " of its own file system, which is another file"
	}
	uncertain := ""
	if p.Problem != "" {
		uncertain = "; " + p.Problem
	}
	return s.evidence(p.Name, s.now, "%s uses %s %s%s, and no running gitlab-runner uses this file%s", p.Name, p.Config, from, inside, uncertain)
}

// reloadSlack is how exactly the start of a process is known.
const reloadSlack = 10 * time.Second

// judgeReload suspects that p still works with an older content of the file.
// gitlab-runner loads it again only when its mtime is newer than that of the one
// it has loaded; a file that was put in place with an older mtime (cp -p, rsync -a,
// a restore) goes unnoticed. The change of the inode may also have been one of
// owner or mode, so it is never more than possible.
func (s *section) judgeReload(p Process) {
	f := s.config.File
	if f.AtStart {
		s.judgeRestart(p)
		return
	}
	if s.verdict != rekey.Valid || p.Started.IsZero() || f.ModTime.IsZero() || f.ChangedAt.IsZero() ||
		!f.ModTime.Before(p.Started.Add(-reloadSlack)) || !f.ChangedAt.After(p.Started.Add(reloadSlack)) {
		return
	}
	severity := rekey.Info
	seen := []rekey.Evidence{
		s.evidence(s.Config, s.now, "the file was put in place %s, after %s had started (%s), yet with an mtime of %s, before that", day(f.ChangedAt), p.Name, day(p.Started), day(f.ModTime)),
	}
	if s.ObtainedAt.After(p.Started.Add(reloadSlack)) {
		severity = rekey.Warning
		seen = append(seen, s.inFile("this token was obtained %s, so the process did not find it at its start", day(s.ObtainedAt)))
	}
	seen = append(seen, missing("`Configuration loaded` in the log of %s after that time would decide", p.Name))
	s.found(rekey.ReloadMissed, severity, rekey.Possible, seen...)
}
