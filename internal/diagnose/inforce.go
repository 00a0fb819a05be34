package diagnose

import (
	"path/filepath"
	"slices"
	"strings"
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
			c.judgeReload(s, p)
		}
		unknown = unknown || p.Config == "" && !p.Simulated
	}
	if !used && !unknown {
		c.judgeRivals(s)
	}
	if !used {
		c.judgeStarted(s)
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
		seen = append(seen, missing("`Starting multi-runner from …` at the head of its log names the file that it has loaded, and would make it certain"))
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
// owner or mode, so it is possible only, unless the token is newer than the process
// and a log goes on without a load.
func (c *court) judgeReload(s *section, p Process) {
	f := s.config.File
	if f.AtStart {
		s.judgeRestart(p)
		return
	}
	if s.verdict != rekey.Valid || p.Started.IsZero() || f.ModTime.IsZero() || f.ChangedAt.IsZero() ||
		!f.ModTime.Before(p.Started.Add(-reloadSlack)) || !f.ChangedAt.After(p.Started.Add(reloadSlack)) {
		return
	}
	loaded, after := c.loadedSince(s, f.ChangedAt)
	if loaded {
		return
	}
	severity, confidence := rekey.Info, rekey.Possible
	seen := []rekey.Evidence{
		s.evidence(s.Config, s.now, "the file was put in place %s, after %s had started (%s), yet with an mtime of %s, before that", day(f.ChangedAt), p.Name, day(p.Started), day(f.ModTime)),
	}
	if s.ObtainedAt.After(p.Started.Add(reloadSlack)) {
		severity = rekey.Warning
		seen = append(seen, s.inFile("this token was obtained %s, so the process did not find it at its start", day(s.ObtainedAt)))
		if after != nil {
			confidence = rekey.Likely
			seen = append(seen, s.evidence(after.Log, after.At, "the log goes on to %s and has no `Configuration loaded` since the file was put in place", day(after.At)))
		}
	}
	seen = append(seen, missing("the log of %s since then would decide (`--log FILE`, with times): `Configuration loaded` ends it, and `runner=` of `Checking for jobs...` is the beginning of the token that the process has", p.Name))
	s.found(rekey.ReloadMissed, severity, confidence, seen...)
}

// loadedSince reports whether a log says that since the time given a config was
// loaded, or this very token is in use, and else the last line since then, nil for
// none. A log that was given as a file may be of any config, so it counts for one
// only.
func (c *court) loadedSince(s *section, when time.Time) (loaded bool, after *LogLine) {
	forms := shortForms(s.token)
	for i, l := range c.Logs {
		switch {
		case !l.Anywhere && l.Host != s.config.Host, l.Anywhere && len(c.Configs) > 1, !l.At.After(when):
		case l.ID == "config-loaded", l.ID == "config-in-force", strings.HasPrefix(l.ID, "poll-") && slices.Contains(forms, l.Runner):
			return true, nil
		case after == nil || l.At.After(after.At):
			after = &c.Logs[i]
		}
	}
	return false, after
}
