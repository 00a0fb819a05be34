package diagnose

import (
	"slices"
	"strings"

	"rekey"
)

// judgeText judges a token whose text alone shows that no GitLab issued it as a
// runner token. Nothing was sent, so what else is wrong is judged beside it.
func (c *court) judgeText(s *section) {
	if s.lex.Kind == rekey.TokenRegistration {
		s.found(rekey.RegistrationTokenInConfig, rekey.Failing, rekey.Certain,
			s.inFile("`token` is %s: its prefix is that of registration tokens", s.Token))
		c.judgeRegistration(s)
	} else {
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Certain, s.textProblems(s.Token, s.lex)...)
	}
	if problem := urlProblem(s.URL); problem != "" && !s.reference {
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Certain, s.inFile("%s", problem))
	}
	s.goneToo()
}

// judgeRegistration says whether the old way back is closed on this GitLab.
func (c *court) judgeRegistration(s *section) {
	switch {
	case s.server == nil || s.server.RegistrationAllowed == nil:
		s.cannotTell("Whether this GitLab still registers with registration tokens was not told; a user token of an administrator with scope read_api can read the setting.")
	case !*s.server.RegistrationAllowed:
		e := s.server.RegistrationEvidence
		if e.Seen == "" {
			e.Seen = "this GitLab registers no runner with a registration token"
		}
		s.found(rekey.LegacyRegistrationDisabled, rekey.Warning, rekey.Certain, s.evidence(e.Where, e.At, "%s", e.Seen))
	}
}

// textProblems is what is wrong with a token's text, never quoting it.
func (s *section) textProblems(t rekey.Token, lex rekey.Lexical) []rekey.Evidence {
	var seen []rekey.Evidence
	for _, p := range lex.Problems {
		seen = append(seen, s.inFile("%s: %s", t, p.Text))
	}
	if rest, ok := t.Cleaned(); ok {
		seen = append(seen, s.inFile("without the characters around it, the rest is %s, which may be the token that was meant", rest))
	}
	if len(seen) == 0 {
		seen = append(seen, s.inFile("%s is nothing that GitLab issues as a runner token", t))
	}
	return seen
}

// judgeUnset judges a reference that doctor could not expand. The daemon's own
// environment may hold the variable: nothing is concluded about the token.
func (c *court) judgeUnset(s *section) {
	s.verdict = rekey.Unknown
	f := s.found(rekey.EnvironmentReference, rekey.Failing, rekey.Certain,
		s.inFile("the section refers to %s, which is not set in %s; nothing was sent", list(s.unset()), s.environment()))
	f.Evidence = append(f.Evidence, s.expansionVersion()...)
	s.goneToo()
}

// judgeExpanded judges a section that was probed with values from doctor's own
// environment: an acceptance holds, a refusal concludes nothing.
func (c *court) judgeExpanded(s *section) {
	where := s.inFile("the section refers to %s; what was sent is the value in %s, %s", list(s.references()), s.environment(), s.token)
	lex := s.token.Lexical()
	switch {
	case !lex.Sendable:
		s.found(rekey.EnvironmentReference, rekey.Failing, rekey.Possible,
			s.inFile("the section refers to %s; its value in %s is %s, which no GitLab issues as a runner token, and nothing was sent; the daemon's value may differ", list(s.references()), s.environment(), s.token))
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Possible, s.textProblems(s.token, lex)...)
		s.goneToo()
	case s.Answer.Kind == rekey.AnswerRefused:
		f := s.found(rekey.EnvironmentReference, rekey.Failing, rekey.Possible, where, s.answerSeen(),
			s.daemonsValue())
		f.Evidence = append(f.Evidence, s.expansionVersion()...)
		s.goneToo()
	default:
		s.verdict = s.Answer.Verdict()
		s.found(rekey.EnvironmentReference, rekey.Info, rekey.Certain, where)
		c.judgeAnswer(s)
		s.doubtURL()
	}
}

// environment is where the values of references were looked up.
func (s *section) environment() string {
	if s.config.Host == "" {
		return "doctor's environment"
	}
	return "the environment that " + s.config.Host + " shows"
}

func (s *section) daemonsValue() rekey.Evidence {
	if s.config.Host == "" {
		return missing("the daemon's own value of %s would decide: doctor cannot see it", list(s.references()))
	}
	return missing("the daemon may have another value of %s all the same: from its init system or an entrypoint, or none at all before 18.10", list(s.references()))
}

// doubtURL lowers what was concluded about a URL that came from doctor's own
// environment: the daemon's may be another.
func (s *section) doubtURL() {
	if len(rekey.References(s.URL)) == 0 {
		return
	}
	for i := range s.findings {
		if s.findings[i].Cause == rekey.WrongInstance {
			s.findings[i].Confidence = rekey.Possible
		}
	}
}

// expansionVersion tells of a gitlab-runner that sends references unexpanded
// (before 18.10, gitlab-runner's os.ExpandEnv at load does not exist).
func (s *section) expansionVersion() []rekey.Evidence {
	version, _, ok := s.runnerVersion()
	if !ok || version.AtLeast(18, 10) {
		return nil
	}
	return []rekey.Evidence{s.inRecord("this runner's gitlab-runner is %s, which expands no reference: it sends the text as it stands", version)}
}

// references names the variables that the section refers to. A `$` in the midst
// of a token is more likely a mangled token than a reference, so what follows it
// is not shown.
func (s *section) references() []string {
	var names []string
	text := s.Token.Reveal()
	for _, n := range rekey.References(text) {
		if strings.Contains(text, "${"+n+"}") || text == "$"+n {
			names = append(names, "${"+n+"}")
			continue
		}
		names = append(names, "what follows a `$` in the token's text")
	}
	for _, n := range rekey.References(s.URL) {
		names = append(names, "${"+n+"}")
	}
	return names
}

// unset is references, but only the variables without a value.
func (s *section) unset() []string {
	all := s.references()
	left := slices.DeleteFunc(slices.Clone(all), func(shown string) bool {
		return strings.HasPrefix(shown, "${") && !slices.Contains(s.Unset, strings.Trim(shown, "${}"))
	})
	if len(left) == 0 {
		return all
	}
	return left
}

func list(names []string) string {
	var once []string
	for _, n := range names {
		if !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return strings.Join(once, ", ")
}

// goneToo names a missing record from the user token's side, where no answer
// speaks of the token.
func (s *section) goneToo() {
	if s.Record.Lookup == LookupGone {
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Likely, s.recordGone(),
			missing("a refusal of the token would make it more than likely that the missing record is its own"))
	}
}

func (s *section) recordGone() rekey.Evidence {
	return s.inRecord("GitLab has no runner %d%s", s.RunnerID, because(s.Record.Reason))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
