package diagnose

import "rekey"

// runnerVersion is the gitlab-runner version that GitLab has recorded: of this
// host's manager, which is certain to a degree, else of the manager that was
// contacted last, which may be another host's.
func (s *section) runnerVersion() (v rekey.Version, of string, ok bool) {
	r := s.record()
	if r == nil {
		return rekey.Version{}, "", false
	}
	for _, m := range r.Managers {
		if s.SystemID != "" && m.SystemID == s.SystemID {
			v, err := rekey.ParseVersion(m.Version)
			return v, "this host's runner manager " + string(m.SystemID), err == nil
		}
	}
	v, err := rekey.ParseVersion(r.Runner.Version)
	return v, "the runner manager that contacted GitLab last, which may be another host's,", err == nil
}

// judgeVersions compares gitlab-runner with its GitLab. Unknown versions say
// nothing.
func (s *section) judgeVersions() {
	runner, of, ok := s.runnerVersion()
	if !ok || s.server == nil || s.server.Version.IsZero() {
		return
	}
	severity, words := skew(runner, s.server.Version)
	if severity == "" {
		return
	}
	confidence := rekey.Likely
	if s.SystemID != "" && s.hasOwnManager() {
		confidence = rekey.Certain
	}
	f := s.found(rekey.VersionSkew, severity, confidence,
		s.inRecord("%s runs gitlab-runner %s, which is %s GitLab %s", of, runner, words, s.server.Version),
		s.evidence(s.server.URL, s.server.ReadAt, "GitLab is %s (%s)", s.server.Version, s.server.ProfileEvidence))
	if confidence != rekey.Certain {
		f.Evidence = append(f.Evidence, missing("`gitlab-runner --version` on this host would make it certain"))
	}
}

func (s *section) hasOwnManager() bool {
	for _, m := range s.Record.Managers {
		if m.SystemID == s.SystemID {
			return true
		}
	}
	return false
}

// skew grades the distance of gitlab-runner from GitLab, "" for none. GitLab
// promises that minor versions of one major work together, and refuses no version
// (its compatibility policy): a section that works is never failing for its age.
func skew(runner, server rekey.Version) (rekey.Severity, string) {
	switch behind := server.Major - runner.Major; {
	case behind > 1:
		return rekey.Warning, "more than one major version behind"
	case behind == 1:
		return rekey.Warning, "a major version behind"
	case behind < 0:
		return rekey.Warning, "a major version ahead of"
	}
	switch {
	case runner.Minor < server.Minor:
		return rekey.Info, "behind"
	case runner.Minor > server.Minor:
		return rekey.Info, "ahead of"
	}
	return "", ""
}
