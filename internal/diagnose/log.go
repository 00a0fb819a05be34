package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// saidOnly are lines that name a cause by themselves. They tell how somebody
// called `register`; no answer about a token follows from them.
var saidOnly = map[string]rekey.Cause{
	"register-compatible": rekey.RunnerTokenInLegacyField,
	"register-reserved":   rekey.ReservedArguments,
}

// causeOfLine is the cause that the line names by itself, "" for none.
func causeOfLine(l LogLine) rekey.Cause {
	if strings.HasPrefix(l.ID, "register-") && strings.HasSuffix(l.ID, "/gone") {
		return rekey.LegacyRegistrationDisabled
	}
	if sentAsRegistrationToken(l) {
		return rekey.RunnerTokenInLegacyField
	}
	return saidOnly[l.ID]
}

// sentAsRegistrationToken: a gitlab-runner that does not know `glrt-` tokens (up to
// 15.8, which log the first eight characters) registered with one.
func sentAsRegistrationToken(l LogLine) bool {
	id, _, _ := strings.Cut(l.ID, "/")
	return id == "register-forbidden" && strings.HasPrefix(l.Runner, "glrt-")
}

// judgeLogs adds to a section what the logs say of it. A line is evidence for the
// cause of an answer, never an answer itself.
func (c *court) judgeLogs(s *section) {
	for _, l := range c.Logs {
		if !slices.Contains(c.speaksOf(l), s) {
			continue
		}
		if cause := causeOfLine(l); cause != "" && c.takes(s, cause) {
			said := c.saidBy(l, cause)
			said.Evidence[0] = s.inLog(l)
			s.found(cause, said.Severity, said.Confidence, said.Evidence...)
		}
		c.judgeWindow(s, l)
	}
	c.judgeUnsaved(s)
}

// takes reports whether the cause is told at the section itself. That GitLab no
// longer registers matters to a section only where it holds a registration token.
func (c *court) takes(s *section, cause rekey.Cause) bool {
	return cause != rekey.LegacyRegistrationDisabled || s.lex.Kind == rekey.TokenRegistration
}

// speaksOf returns the sections that a line speaks of: those whose token has its
// short form, else the only one at its URL.
func (c *court) speaksOf(l LogLine) []*section {
	var named []*section
	for _, s := range c.sections {
		switch {
		case !l.Anywhere && l.Host != s.config.Host:
		case l.Runner != "" && slices.Contains(shortForms(s.token), l.Runner):
			named = append(named, s)
		case l.Runner == "" && l.URL != "" && s.base != "" && strings.HasPrefix(strings.TrimRight(l.URL, "/")+"/", s.base+"/"):
			named = append(named, s)
		}
	}
	alike := l.Runner == "" || strings.HasPrefix(l.Runner, "glrt-") // three characters of the token's own
	if alike && len(named) > 1 {
		return nil
	}
	return named
}

// shortForms are what versions of gitlab-runner log as runner= of a token
// (helpers.ShortenToken up to 15.8, to 18.1, and later).
func shortForms(t rekey.Token) []string {
	text := t.Reveal()
	if len(text) < 20 {
		return nil
	}
	forms := []string{text[:8]}
	rest := text
	switch {
	case strings.HasPrefix(rest, "GR1348941"):
		forms, rest = append(forms, rest[:17]), rest[9:]
	case strings.HasPrefix(rest, "glrt-"):
		rest = rest[5:]
		forms = append(forms, rest[:9])
		if len(rest) > 12 && rest[0] == 't' && rest[2] == '_' {
			rest = rest[3:]
		}
	case strings.HasPrefix(rest, "glrtr-"):
		rest = rest[6:]
	}
	return append(forms, rest[:9])
}

// unhealthyFor is how long gitlab-runner leaves a section alone after three
// refusals.
const unhealthyFor = time.Hour

// judgeWindow tells of an accepted token that gitlab-runner does not use, because
// it was refused three times within the last hour and nothing was loaded since.
func (c *court) judgeWindow(s *section, l LogLine) {
	disabled := l.ID == "poll-unhealthy" || slices.Contains(l.Joined, "poll-unhealthy")
	if s.verdict != rekey.Valid || !disabled || c.endedWindow(s, l) {
		return
	}
	confidence := rekey.Possible
	if l.ID != "poll-unhealthy" {
		l.Text += "; then that the runner is disabled for an hour"
	}
	seen := []rekey.Evidence{s.inLog(l), s.stillAccepted()}
	if l.At.IsZero() {
		seen = append(seen, missing("the time of the line would decide: the log does not say whether the hour is over"))
	} else {
		confidence = rekey.Likely
		seen = append(seen, missing("a contact of this host in GitLab after that time (`rekey runner show ID`), or a later `Checking for jobs...` in the log, would refute it"))
	}
	s.found(rekey.UnhealthyWindow, rekey.Warning, confidence, seen...)
}

func (c *court) endedWindow(s *section, l LogLine) bool {
	if !l.At.IsZero() && (c.Now.Sub(l.At) > unhealthyFor || s.config.File.ModTime.After(l.At)) {
		return true
	}
	return slices.ContainsFunc(c.Logs, func(later LogLine) bool {
		if later.Log != l.Log || later.Number <= l.Number {
			return false
		}
		switch later.ID {
		case "config-loaded", "config-in-force":
			return true
		case "poll-none", "poll-received":
			return slices.Contains(c.speaksOf(later), s)
		}
		return false
	})
}

// judgeUnsaved tells of a refused token whose successor the running process holds:
// it rotated and could not save. Either the log says so, or the file cannot be
// saved while the process, which holds this file, still gets through to GitLab.
func (c *court) judgeUnsaved(s *section) {
	if s.Answer.Kind != rekey.AnswerRefused || s.reference || s.Record.Lookup == LookupGone || s.ofAnother() {
		return
	}
	if seen := c.unsavedByLog(s); len(seen) > 0 {
		s.found(rekey.RotationNotSaved, rekey.Failing, rekey.Likely, seen...)
		return
	}
	c.unsavedByMount(s)
}

// unsavedByLog wants both lines in one log: that this section's token was reset,
// and after it that the config could not be saved. What a pod saves dies with it.
func (c *court) unsavedByLog(s *section) []rekey.Evidence {
	for _, reset := range c.Logs {
		if reset.ID != "reset-succeeded" || reset.Runner == "" || !slices.Contains(c.speaksOf(reset), s) {
			continue
		}
		if s.config.File.Synthetic {
			return []rekey.Evidence{s.answerSeen(), s.inLog(reset),
				s.evidence(s.Config, s.now, "the pod keeps the new token in its memory: what it was started with still holds the old one, and so will the next pod")}
		}
		for _, failed := range c.Logs {
			if failed.ID == "save-failed" && failed.Log == reset.Log && failed.Number > reset.Number {
				return []rekey.Evidence{s.answerSeen(), s.inLog(reset), s.inLog(failed),
					missing("this host's runner manager, online though the token in its file is refused, would make it certain: `rekey runner show ID` lists managers from GitLab 17.1 on")}
			}
		}
	}
	return nil
}

// inLog is something that a log says.
func (s *section) inLog(l LogLine) rekey.Evidence {
	l.Text = scrubOf(l.Text, s.Token, s.token)
	return logSeen(l, s.now)
}

func logSeen(l LogLine, now time.Time) rekey.Evidence {
	at, when := l.At, ""
	if at.IsZero() {
		at = now
	} else if now.Sub(at) > 24*time.Hour {
		when = ", " + day(at)
	}
	return rekey.Evidence{Seen: scrub(fmt.Sprintf("the log says%s%s: %s", times(l), when, l.Text)), Where: scrub(fmt.Sprintf("%s:%d", l.Log, l.Number)), At: at}
}

func times(l LogLine) string {
	if l.Count > 1 {
		return fmt.Sprintf(" (%d times)", l.Count)
	}
	return ""
}

// logFindings are the causes that lines name by themselves and that no section was
// told: a register that was refused writes none.
func (c *court) logFindings() []rekey.Finding {
	var found []rekey.Finding
	for _, l := range c.Logs {
		if cause := causeOfLine(l); cause != "" && !c.toldBySection(cause) {
			found = append(found, c.saidBy(l, cause))
		}
	}
	return arrange(found)
}

// saidBy is the finding of a line that names its cause by itself. A log is of the
// past: where GitLab registers the old way today, the switch was turned since, or it
// is the one of the registration token's group.
func (c *court) saidBy(l LogLine, cause rekey.Cause) rekey.Finding {
	f := newFinding(cause, rekey.Warning, rekey.Certain, logSeen(l, c.Now))
	for base, server := range c.servers {
		at := strings.HasPrefix(strings.TrimRight(l.URL, "/")+"/", base+"/")
		if cause != rekey.LegacyRegistrationDisabled || base == "" || !at || server.RegistrationAllowed == nil || !*server.RegistrationAllowed {
			continue
		}
		e := server.RegistrationEvidence
		f.Confidence = rekey.Possible
		f.Evidence = append(f.Evidence, rekey.Evidence{Seen: scrub("today " + e.Seen), Where: scrub(e.Where), At: e.At},
			missing("whether the registration token's group or project allows it would decide, or when the setting was switched"))
	}
	return f
}

// logNotes are what the logs say, no section was told and no cause follows from.
func (c *court) logNotes() []string {
	var notes []string
	const cause = rekey.RotationNotSaved
	for _, l := range c.Logs {
		if l.ID == "save-failed" && !c.toldBySection(cause) {
			note := fmt.Sprintf("%s:%d%s: %s: %s See %s.", l.Log, l.Number, times(l), cause, entryOf(cause).Meaning, entryOf(cause).Docs())
			notes = append(notes, scrub(note))
		}
	}
	for _, note := range c.LogNotes {
		notes = append(notes, scrub(note))
	}
	return notes
}

func (c *court) toldBySection(cause rekey.Cause) bool {
	return slices.ContainsFunc(c.sections, func(s *section) bool { return hasCause(s.findings, cause) })
}
