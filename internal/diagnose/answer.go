package diagnose

import (
	"net/url"
	"strings"

	"rekey"
)

// judgeAnswer turns the answer about the token into findings. The verdict was
// taken from the answer before.
func (c *court) judgeAnswer(s *section) {
	switch s.Answer.Kind {
	case rekey.AnswerAccepted: // judgeValid follows
	case rekey.AnswerRefused:
		c.judgeRefused(s)
	case rekey.AnswerRedirected, rekey.AnswerNotFound:
		s.judgeMisdirected()
		s.goneToo()
	case rekey.AnswerBadURL:
		s.judgeBadURL()
		s.goneToo()
	case rekey.AnswerNotAsked, "":
		c.judgeNotAsked(s)
	case rekey.AnswerOrphaned:
		s.found(rekey.RunnerOrphaned, rekey.Failing, rekey.Certain, s.answerSeen())
	default:
		s.found(causeOfAnswer(s.Answer.Kind), rekey.Failing, rekey.Certain, s.answerSeen())
		s.goneToo()
	}
}

// causeOfAnswer is the cause that an answer names by itself.
func causeOfAnswer(kind rekey.AnswerKind) rekey.Cause {
	switch kind {
	case rekey.AnswerReadOnly:
		return rekey.ServerReadOnly
	case rekey.AnswerRateLimited:
		return rekey.RateLimited
	case rekey.AnswerUnreachable:
		return rekey.Unreachable
	}
	return rekey.UnexpectedAnswer
}

// judgeMisdirected judges a redirect or a 404: the URL is wrong where the host
// shows itself as GitLab otherwise; else something else answers in its place.
func (s *section) judgeMisdirected() {
	if s.Answer.IsGitLab == "" {
		s.found(rekey.Unreachable, rekey.Failing, rekey.Certain, s.answerSeen(),
			s.inAnswer("nothing at this URL shows itself as GitLab"))
		return
	}
	f := s.found(rekey.WrongInstance, rekey.Failing, rekey.Likely, s.answerSeen(),
		s.inAnswer("the host shows itself as GitLab otherwise: %s", s.Answer.IsGitLab),
		s.inFile("`url` is %s", shownURL(s.URL)))
	if target := upgrade(s.Answer.Request, s.Answer.Location); target != "" {
		f.Confidence = rekey.Certain
		f.Remedy = "Write `https://` in place of `http://` in `url` of the section, then run `rekey doctor` again; a redirect would send the token in clear first."
		return
	}
	f.Evidence = append(f.Evidence, missing("GitLab's start page at this URL, in a browser, would make it certain; what stands after the host in it is wrong, unless GitLab is installed below that path"))
}

// upgrade returns the target of a redirect from http to https on one host.
func upgrade(request, location string) string {
	_, from, _ := strings.Cut(request, " ")
	a, errA := url.Parse(from)
	b, errB := url.Parse(location)
	if errA != nil || errB != nil || a.Scheme != "http" || b.Scheme != "https" || !strings.EqualFold(a.Hostname(), b.Hostname()) || a.Path != b.Path {
		return ""
	}
	return b.String()
}

func (s *section) judgeBadURL() {
	address := s.URL
	if s.reference && s.Expanded != nil {
		address = s.ExpandedURL
	}
	problem := s.Answer.Message
	if problem == "" {
		problem = urlProblem(address)
	}
	if problem == "" {
		problem = "the URL cannot be requested"
	}
	s.found(rekey.WrongInstance, rekey.Failing, rekey.Certain, s.inFile("nothing was sent: %s", problem))
}

// judgeNotAsked judges a section about which nothing was sent though its text
// allowed it: --no-touch, or no readable system id below GitLab 18.7. No cause
// of the token's is known then, only that there is no answer.
func (c *court) judgeNotAsked(s *section) {
	s.goneToo()
	if past, byServer := s.expired(); past && byServer {
		s.found(rekey.TokenExpired, rekey.Failing, rekey.Possible, s.datePast(),
			missing("GitLab's answer about the token would decide; it was not asked"))
	}
	reason := s.Answer.Message
	if reason == "" {
		reason = "no reason was recorded"
	}
	seen := []rekey.Evidence{s.inFile("GitLab was not asked about this token: %s", reason)}
	remedy := "Run `rekey doctor` again; `--timeout` gives a slow GitLab longer."
	switch {
	case reason == InterruptedMessage:
		remedy = "Run `rekey doctor` again and let it come to its end; `--rps` raises its pace."
	case strings.HasPrefix(reason, "--no-touch"):
		remedy = "Run `rekey doctor` without `--no-touch` to have GitLab asked."
	}
	if s.SystemID == "" && s.SystemIDProblem != "" && reason != InterruptedMessage {
		seen = append(seen, s.evidence(s.Config, s.now, "no system id of this host: %s", s.SystemIDProblem))
		remedy = "Make `.runner_system_id` beside the config readable to `rekey doctor` (run it as the runner's user or as root), or allow `--touch`: a verify without a system id, which creates a `<legacy>` runner manager in GitLab."
	}
	if (SectionReport{Findings: s.findings}).Worst() == rekey.Failing {
		s.cannotTell("%s.", strings.TrimSuffix(seen[0].Seen, "."))
		return
	}
	f := s.found(rekey.Unreachable, rekey.Failing, rekey.Possible, seen...)
	f.Remedy = remedy
}
