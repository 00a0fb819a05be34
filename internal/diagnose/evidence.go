package diagnose

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rekey"
)

// tokenShape is any prefix that GitLab gives to tokens, with what follows. Foreign
// text (messages, names, URLs) may hold one where an operator put it.
var tokenShape = regexp.MustCompile(`(?:gl(?:rtr|rt|pat|dt|cbt|ptt|oas|agent|ft|imt|ffct|soat|rct|wt)-|GR1348941)[A-Za-z0-9_.-]{4,}`)

// scrub replaces whatever looks like a GitLab token by its kind and fingerprint.
func scrub(text string) string {
	if !strings.Contains(text, "gl") && !strings.Contains(text, "GR1") {
		return text // every prefix has one of these; 10,000 sections have many texts
	}
	return tokenShape.ReplaceAllStringFunc(text, func(m string) string { return rekey.NewToken(m).String() })
}

// scrubOf also replaces the tokens given, whatever they look like. Values too
// short to be secrets are left, as they would tear words apart.
func scrubOf(text string, tokens ...rekey.Token) string {
	for _, t := range tokens {
		if v := t.Reveal(); len(v) >= 8 {
			text = strings.ReplaceAll(text, v, t.String())
		}
	}
	return scrub(text)
}

// shownURL is a URL as the file has it, without credentials and query, which may
// be secrets.
func shownURL(text string) string {
	if u, err := url.Parse(text); err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		text = u.String()
	}
	before, rest, ok := strings.Cut(text, "://")
	if !ok {
		return scrub(text)
	}
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		text = before + "://" + authority[i+1:]
		if path != "" {
			text += "/" + path
		}
	}
	return scrub(text)
}

// cleaned is s with every text that came from elsewhere free of its tokens.
func (s Section) cleaned() Section {
	tokens := []rekey.Token{s.Token}
	if s.Expanded != nil {
		tokens = append(tokens, *s.Expanded)
	}
	for _, text := range []*string{
		&s.Name, &s.SystemIDProblem, &s.Answer.Request, &s.Answer.Message, &s.Answer.Location,
		&s.Answer.IsGitLab, &s.Record.Reason, &s.Record.Request,
	} {
		*text = scrubOf(*text, tokens...)
	}
	return s
}

// found adds a finding with the words of the registry. There is always evidence.
func (s *section) found(cause rekey.Cause, severity rekey.Severity, confidence rekey.Confidence, evidence ...rekey.Evidence) *rekey.Finding {
	s.findings = append(s.findings, newFinding(cause, severity, confidence, evidence...))
	return &s.findings[len(s.findings)-1]
}

func newFinding(cause rekey.Cause, severity rekey.Severity, confidence rekey.Confidence, evidence ...rekey.Evidence) rekey.Finding {
	entry := entryOf(cause)
	return rekey.Finding{Cause: cause, Severity: severity, Confidence: confidence, Evidence: evidence, Remedy: entry.Remedy, Docs: entry.Docs()}
}

// inFile is something seen in the section's text.
func (s *section) inFile(format string, args ...any) rekey.Evidence {
	where := s.Config
	if s.Line > 0 {
		where = fmt.Sprintf("%s:%d", s.Config, s.Line)
	}
	return s.evidence(where, s.now, format, args...)
}

// inRecord is something seen in GitLab's record.
func (s *section) inRecord(format string, args ...any) rekey.Evidence {
	return s.evidence(s.Record.Request, s.Record.At, format, args...)
}

// inAnswer is something seen in the answer about the token.
func (s *section) inAnswer(format string, args ...any) rekey.Evidence {
	return s.evidence(s.Answer.Request, s.Answer.At, format, args...)
}

// missing is evidence that would decide and that could not be had.
func missing(format string, args ...any) rekey.Evidence {
	return rekey.Evidence{Seen: fmt.Sprintf(format, args...)}
}

func (s *section) evidence(where string, at time.Time, format string, args ...any) rekey.Evidence {
	if strings.Contains(where, "http://") || strings.Contains(where, "https://") {
		where = shownURL(where) // a request; a file's name may hold a "?" of its own
	}
	return rekey.Evidence{Seen: scrub(fmt.Sprintf(format, args...)), Where: scrub(where), At: at}
}

// answerSeen describes the answer itself.
func (s *section) answerSeen() rekey.Evidence {
	a := s.Answer
	said := a.Message
	if said == "" {
		said = "no message"
	}
	switch {
	case a.Kind == rekey.AnswerRedirected:
		return s.inAnswer("the answer was %d, a redirect to %s, which was not followed", a.Status, shownURL(a.Location))
	case a.Kind == rekey.AnswerRateLimited && a.RetryAfter > 0:
		return s.inAnswer("the answer was %d (%s), with the request to wait %s", a.Status, said, a.RetryAfter)
	case a.Status != 0 && strings.HasPrefix(said, fmt.Sprintf("%d ", a.Status)):
		return s.inAnswer("the answer was %s", said)
	case a.Status != 0:
		return s.inAnswer("the answer was %d (%s)", a.Status, said)
	}
	return s.inAnswer("there was no answer (%s)", said)
}

// day shows a time of GitLab or of the file, to the minute and in UTC.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
