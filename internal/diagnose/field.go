package diagnose

import (
	"strings"

	"rekey"
)

// Registers reports whether the section's token is a registration token by the
// field that it stands in: pods of the Helm chart and of the Operator then register
// anew at each start, and no runner token is at hand. A `glrt-` token there is one
// all the same.
func (s Section) Registers() bool {
	if s.LegacyField == "" {
		return false
	}
	switch s.Token.Lexical().Kind {
	case rekey.TokenRegistration, rekey.TokenUnknown:
		return true
	case rekey.TokenRunnerLegacy:
		return !strings.Contains(s.Token.Reveal(), "glrtr-")
	}
	return false
}

// judgeRegistering judges a release whose pods register by themselves. Nothing was
// sent: the token that they got for it lives and dies with each pod.
func (c *court) judgeRegistering(s *section) {
	s.verdict = rekey.Unknown
	confidence := rekey.Likely
	if s.lex.Kind == rekey.TokenRegistration {
		s.verdict, confidence = rekey.Invalid, rekey.Certain
	}
	f := s.found(rekey.RegistrationTokenInConfig, rekey.Failing, confidence,
		s.inFile("%s is in the %s: with it each pod registers a runner of its own at its start", s.Token, s.LegacyField))
	f.Remedy = "Create one runner in GitLab and give its `glrt-` token to the release: `runnerToken` or the key `runner-token`, the other one empty; then restart the pods when no job runs, and see with `rekey doctor`."
	c.judgeRegistration(s)
	if problem := urlProblem(s.URL); problem != "" && !s.reference {
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Certain, s.inFile("%s", problem))
	}
}

// judgeLegacyField tells of a runner token in a field for registration tokens.
func (s *section) judgeLegacyField() {
	if s.LegacyField != "" && s.lex.Kind == rekey.TokenRunner {
		s.found(rekey.RunnerTokenInLegacyField, rekey.Warning, rekey.Certain,
			s.inFile("%s is in the %s, which is for registration tokens", s.Token, s.LegacyField))
	}
}

// judgeRestart suspects that p works with an older content of what it reads at its
// start only. An object tells when it changed and not what of it.
func (s *section) judgeRestart(p Process) {
	f := s.config.File
	if s.verdict != rekey.Valid || p.Started.IsZero() || !f.ChangedAt.After(p.Started.Add(reloadSlack)) {
		return
	}
	found := s.found(rekey.ReloadMissed, rekey.Warning, rekey.Possible,
		s.evidence(s.Config, s.now, "it was changed %s, after %s had started (%s), which reads it at its start only", day(f.ChangedAt), p.Name, day(p.Started)),
		missing("what was changed is not told: it may have been something else than the token"))
	found.Remedy = "Restart the pods when no job runs on them (`kubectl rollout restart deployment/NAME`), and see with `rekey doctor`: gitlab-runner never looks at the Secret again by itself."
}

// pointToSource adds to what is to be done about a token where it stands, when it
// stands in no file: a change inside a pod would be lost with the pod.
func (s *section) pointToSource() {
	if !s.config.File.Synthetic {
		return
	}
	for i, f := range s.findings {
		switch f.Cause {
		case rekey.MalformedToken, rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.TokenExpired, rekey.RotationNotSaved, rekey.RunnerOrphaned, rekey.ServerRestored:
			s.findings[i].Remedy = f.Remedy + " Here the token stands in " + s.Config + ": change it there or in the values that make it, never in a pod, and restart the pods when no job runs."
		}
	}
}
