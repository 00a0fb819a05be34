package diagnose

import (
	"slices"
	"time"

	"rekey"
)

// What a refusal leaves open beside the causes for which there is evidence.

// restoreExcluded reports whether a restore, a rebuild or lost secrets cannot be
// what this section's refusal comes from: the same GitLab accepts a token that it
// issued later.
func (c *court) restoreExcluded(s *section) bool {
	for _, of := range c.gathered(s.base).accepted {
		for _, o := range of {
			if !s.ObtainedAt.IsZero() && o.ObtainedAt.After(s.ObtainedAt) {
				return true
			}
		}
	}
	return false
}

func (c *court) maybeRestored(s *section, severity rekey.Severity) {
	if c.restoreExcluded(s) {
		return
	}
	s.found(rekey.ServerRestored, severity, rekey.Possible, s.answerSeen(),
		missing("whether GitLab was restored from a backup, or rebuilt without its secrets, after this token was made would decide: its administrator knows, and then other runners are refused as well (`rekey doctor` with the configs of several hosts shows it)"))
}

// maybeElsewhere tells that the token may be of another GitLab.
func (c *court) maybeElsewhere(s *section, severity rekey.Severity) {
	would := elsewhere()
	if len(c.bases) > 1 {
		severity = rekey.Failing
		would = missing("the configs of this run name more than one GitLab, and this token may be of another; an acceptance there would decide, and it is sent nowhere else than its own URL")
	}
	s.found(rekey.WrongInstance, severity, rekey.Possible, s.answerSeen(), would)
}

func elsewhere() rekey.Evidence {
	return missing("whether another GitLab issued the token would decide: compare `url` with the address under which the runner was made")
}

// maybeExpired tells that the token may be over, where the section does not say
// until when it is good. What gitlab-runner writes says when it was obtained.
func (s *section) maybeExpired() {
	if !s.ObtainedAt.IsZero() || !s.ExpiresAt.IsZero() {
		return
	}
	s.found(rekey.TokenExpired, rekey.Info, rekey.Possible, s.answerSeen(),
		s.inFile("the section has no date, neither `token_obtained_at` nor `token_expires_at`"),
		missing("the expiry of the token would decide: the runner's page in GitLab shows it"))
}

// maybeOver tells that the token may be over by the instance's setting, where the
// section says when it was obtained and nothing of an end: a file that was written by
// a template does not know of one.
func (c *court) maybeOver(s *section, scope rekey.Scope) bool {
	if s.server == nil || s.ObtainedAt.IsZero() || !s.ExpiresAt.IsZero() {
		return false
	}
	life := s.server.TokenLife[scope]
	now, _ := s.serverNow()
	if life <= 0 || now.Sub(s.ObtainedAt) < life {
		return false
	}
	s.found(rekey.TokenExpired, rekey.Failing, rekey.Possible, s.answerSeen(),
		s.inFile("this token was obtained %s, and the section has no `token_expires_at`", day(s.ObtainedAt)),
		s.evidence("GET "+s.server.URL+"/api/v4/application/settings", s.server.ReadAt, "tokens of %s runners that are issued now expire after %d days", scope, int(life.Hours()/24)),
		missing("the expiry of the token would decide: the runner's page in GitLab shows it"))
	return true
}

// ofAnother reports whether another GitLab accepts the section's token.
func (s *section) ofAnother() bool {
	return slices.ContainsFunc(s.findings, func(f rekey.Finding) bool {
		return f.Cause == rekey.WrongInstance && f.Confidence == rekey.Certain
	})
}

// ownRecord returns evidence that the record under the section's id is the
// section's own and not a namesake's of another GitLab.
func (c *court) ownRecord(s *section) (rekey.Evidence, bool) {
	for _, o := range c.gathered(s.base).accepted[s.RunnerID] {
		return o.inAnswer("GitLab accepts another token of runner %d, %s of section %d of %s", s.RunnerID, o.token, o.Index, o.Config), true
	}
	for _, m := range s.Record.Managers {
		if s.SystemID != "" && m.SystemID == s.SystemID {
			return s.inRecord("this host's runner manager %s has used the record (last contact %s)", m.SystemID, contact(m)), true
		}
	}
	return rekey.Evidence{}, false
}

// foreignRecord returns evidence that the record is not the section's own: it is of
// another scope, younger than the token, or in use by others only. That nobody has
// used it says nothing: GitLab forgets managers that were silent for a week.
func (s *section) foreignRecord() (rekey.Evidence, bool) {
	const slack = 24 * time.Hour
	r := s.Record.Runner
	hint := s.lexOfSent().Scope
	switch {
	case hint != "" && r.Scope != "" && hint != r.Scope:
		return s.inRecord("runner %d is of scope %s, the token of scope %s: it is not this record's token", r.ID, r.Scope, hint), true
	case !s.ObtainedAt.IsZero() && r.CreatedAt.Sub(s.ObtainedAt) > slack:
		return s.inRecord("runner %d was created %s, after this token was obtained (%s): it may be another runner under the same id; look at it before its token is reset", r.ID, day(r.CreatedAt), day(s.ObtainedAt)), true
	case len(s.Record.Managers) > 0 && s.SystemID != "": // a record that nobody ever used tells nothing
		return s.inRecord("no runner manager of runner %d is this host (%s): it may be another runner under the same id; look at it before its token is reset", r.ID, s.SystemID), true
	}
	return rekey.Evidence{}, false
}

// beyondNewest reports whether the section's id is higher than any that this GitLab
// has, so that by its word the runner was never there.
func (s *section) beyondNewest() bool {
	return s.server != nil && s.server.NewestIsWhole && s.RunnerID > s.server.NewestRunner
}

// onceThere reports whether GitLab has issued the section's id: a newer one exists.
func (s *section) onceThere() bool { return s.server != nil && s.RunnerID < s.server.NewestRunner }
