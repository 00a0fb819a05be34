package diagnose

import (
	"slices"

	"rekey"
)

// unsavedByMount looks at a refused token in a file that its process cannot save,
// at a time when gitlab-runner rotates: the process may hold the token in force. It
// does where GitLab sees this host at work; without the list of managers that is
// open.
func (c *court) unsavedByMount(s *section) {
	f := s.config.File
	running := slices.ContainsFunc(c.Processes, func(p Process) bool { return slices.Contains(p.Uses, s.Config) })
	if f.ReadOnly == "" || !running || !s.rotationDue() {
		return
	}
	seen := []rekey.Evidence{s.answerSeen(), s.evidence(s.Config, s.now, "gitlab-runner cannot save a rotated token: %s", f.ReadOnly)}
	own, known := s.ownManager()
	switch {
	case own.Status == "online":
		s.found(rekey.RotationNotSaved, rekey.Failing, rekey.Likely, append(seen,
			s.inRecord("this host's runner manager %s is online (last contact %s), so the running process holds a token that is good", own.SystemID, contact(own)),
			missing("`Failed to save config` in the log of that process would make it certain (`--log FILE`)"))...)
	case !known:
		for i := range s.findings {
			if g := &s.findings[i]; g.Cause == rekey.RotatedElsewhere && g.Confidence == rekey.Likely {
				g.Confidence = rekey.Possible
			}
		}
		s.found(rekey.RotationNotSaved, rekey.Failing, rekey.Possible, append(seen, missing("`Failed to save config` in the log of the running process would decide (`--log FILE`), and so would whether this host's runner manager is online in GitLab: a user token shows that from GitLab 17.1 on, the runner's page from 16.0 on"))...)
	}
}

// ownManager is this host's row among the record's managers; known is false where
// GitLab did not list them.
func (s *section) ownManager() (own rekey.Manager, known bool) {
	if s.record() == nil || !s.Record.ManagersKnown || s.SystemID == "" {
		return own, false
	}
	i := slices.IndexFunc(s.Record.Managers, func(m rekey.Manager) bool { return m.SystemID == s.SystemID })
	if i < 0 {
		return own, true
	}
	return s.Record.Managers[i], true
}

// rotationDue reports whether gitlab-runner will have rotated the token by itself:
// it does so at three quarters of the time between the two dates of the section.
func (s *section) rotationDue() bool {
	if s.ExpiresAt.IsZero() {
		return false
	}
	now, _ := s.serverNow()
	return s.ObtainedAt.IsZero() || !now.Before(s.ObtainedAt.Add(s.ExpiresAt.Sub(s.ObtainedAt)/4*3))
}
