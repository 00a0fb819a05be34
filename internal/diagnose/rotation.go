package diagnose

import (
	"time"

	"rekey"
)

// expiry is when an accepted token will expire, zero when it does not or nobody
// says. GitLab's own word comes before the file's, which may be stale.
func (s *section) expiry() (at time.Time, seen rekey.Evidence) {
	if at := s.Answer.ExpiresAt; !at.IsZero() {
		return at, s.inAnswer("GitLab says that the token expires %s", day(at))
	}
	if past, _ := s.expired(); past || s.ExpiresAt.IsZero() {
		return time.Time{}, rekey.Evidence{}
	}
	return s.ExpiresAt, s.inFile("`token_expires_at` is %s", day(s.ExpiresAt))
}

// judgeRotation tells of an accepted token that will expire and that nothing will
// renew. gitlab-runner rotates by itself only where `token_expires_at` stands in
// the file, and a new token only lasts where the file can be saved and is not
// written anew from another source.
func (s *section) judgeRotation() {
	at, expires := s.expiry()
	if at.IsZero() {
		s.judgeUndated()
		return
	}
	const likely, certain = rekey.Likely, rekey.Certain
	version, of, known := s.runnerVersion()
	switch {
	case known && !version.AtLeast(15, 3):
		s.unscheduled(likely, expires, s.inRecord("%s runs gitlab-runner %s, which cannot rotate (15.3 and later can)", of, version), ownVersion)
	case s.ExpiresAt.IsZero():
		s.unscheduled(certain, expires, s.inFile("the section has no `token_expires_at`, so gitlab-runner will not rotate its token"))
	case s.RotationOff && known && version.AtLeast(17, 0):
		s.unscheduled(certain, expires, s.inFile("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION keeps gitlab-runner from rotating"))
	case s.RotationOff && !known:
		s.unscheduled(likely, expires, s.inFile("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION keeps gitlab-runner from rotating from 17.0 on"), ownVersion)
	case s.config.File.ReadOnly != "":
		s.unscheduled(likely, expires, s.evidence(s.Config, s.now, "gitlab-runner would rotate the token and lose the new one: %s", s.config.File.ReadOnly),
			missing("`test -w` of the file, as the service's user and where the service runs, would make it certain"))
	case s.config.File.Generated != "":
		s.unscheduled(likely, expires, s.evidence(s.Config, s.now, "the file is written by %s, which would put the old token back after a rotation", s.config.File.Generated),
			missing("the tool's source would make it certain: whether it holds this token, and when the tool runs next"))
	}
}

// ownVersion is what decides where the version of this host's gitlab-runner does.
var ownVersion = missing("`gitlab-runner --version` on the host would make it certain")

// judgeUndated looks at a token of which neither the file nor the answer tells a
// date: GET /runners/router/discovery, the probe from 18.7 on, never does. Tokens of
// this scope may expire by the instance's setting, and then gitlab-runner does not
// know of it.
func (s *section) judgeUndated() {
	if s.Answer.RunnerID != 0 || !s.ExpiresAt.IsZero() || s.server == nil {
		return
	}
	scope, _ := s.scope()
	life, told := s.server.TokenLife[scope]
	switch {
	case told && life > 0:
		s.unscheduled(rekey.Possible, s.inFile("the section has no `token_expires_at`, so gitlab-runner will not rotate its token"),
			s.evidence("GET "+s.server.URL+"/api/v4/application/settings", s.server.ReadAt, "tokens of %s runners that are issued now expire after %d days", scope, int(life.Hours()/24)),
			missing("the expiry of this token would decide: the runner's page in GitLab shows it"))
	case !told && s.record() != nil:
		s.cannotTell("Could not tell whether the token expires: this GitLab tells a date only in its page of the runner; an administrator's user token (read_api) can read whether new tokens expire at all.")
	}
}

func (s *section) unscheduled(confidence rekey.Confidence, evidence ...rekey.Evidence) {
	s.found(rekey.RotationNotScheduled, rekey.Warning, confidence, evidence...)
}

// judgeSharers tells of an expiring token that several runner managers hold: the
// first that rotates it cuts the others off. A manager that is offline may be one
// that no longer exists (a pod leaves its row for seven days), so it is only a
// hint.
func (s *section) judgeSharers() {
	at, expires := s.expiry()
	if s.record() == nil || at.IsZero() {
		return
	}
	if !s.Record.ManagersKnown {
		s.cannotTell("Could not tell whether other hosts share this token, which expires: GitLab lists the managers of a runner from 17.1 on; its page of the runner shows them from 16.0 on.")
	}
	seen := []rekey.Evidence{expires}
	severity, confidence := rekey.Info, rekey.Possible
	others := 0
	for _, m := range s.Record.Managers {
		if !s.otherHolder(m) {
			continue
		}
		others++
		if m.Status == "online" {
			severity, confidence = rekey.Warning, rekey.Certain
		}
		if others <= 5 {
			seen = append(seen, s.inRecord("runner manager %s uses the same record, its last contact was %s (%s)", m.SystemID, contact(m), m.Status))
		}
	}
	if confidence == rekey.Possible {
		seen = append(seen, missing("whether these hosts are still there would decide: a manager that is gone leaves its row for seven days"))
	}
	if others > 0 {
		s.found(rekey.SharedToken, severity, confidence, seen...)
	}
}

// otherHolder tells another process's manager from this host's, and from the one
// that a verify without a system id leaves.
func (s *section) otherHolder(m rekey.Manager) bool {
	return s.SystemID != "" && m.SystemID != "" && m.SystemID != s.SystemID && m.SystemID != "<legacy>" && m.Status != "stale"
}

func contact(m rekey.Manager) string {
	if m.ContactedAt.IsZero() {
		return "never"
	}
	return day(m.ContactedAt)
}
