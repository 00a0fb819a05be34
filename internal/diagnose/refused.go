package diagnose

import (
	"strings"
	"time"

	"rekey"
)

// judgeRefused looks for the cause of a refusal: 403 with exactly "403
// Forbidden", which GitLab gives alike for tokens that are unknown, deleted,
// expired, reset, or of another instance.
func (c *court) judgeRefused(s *section) {
	if other := c.acceptedElsewhere(s); other != nil {
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Certain, s.answerSeen(), s.acceptedHere(other))
		return
	}
	past, byServer := s.expired()
	switch {
	case s.Record.Lookup == LookupGone:
		c.refusedGone(s, past)
	case past:
		c.refusedExpired(s, byServer)
	case s.lexOfSent().Suspicion != nil:
	case s.record() != nil:
		c.refusedFound(s)
	default:
		c.refusedUntold(s)
	}
	c.suspectText(s)
}

func (s *section) lexOfSent() rekey.Lexical { return s.token.Lexical() }

func (c *court) refusedGone(s *section, past bool) {
	seen := []rekey.Evidence{s.answerSeen(), s.recordGone()}
	if past {
		seen = append(seen, s.inFile("`token_expires_at` (%s) is past as well", day(s.ExpiresAt)))
	}
	s.found(rekey.RecordDeleted, rekey.Failing, rekey.Certain, seen...)
}

func (c *court) refusedExpired(s *section, byServer bool) {
	f := s.found(rekey.TokenExpired, rekey.Failing, rekey.Likely, s.answerSeen(), s.datePast())
	switch {
	case !byServer:
	case s.record() != nil:
		f.Confidence = rekey.Certain
		f.Evidence = append(f.Evidence, s.recordExists())
	default:
		s.tellRight("that the runner was not deleted as well")
	}
}

// datePast tells the expiry date in the file and the clock it is compared with.
func (s *section) datePast() rekey.Evidence {
	now, byServer := s.serverNow()
	clock := "the server's Date"
	if !byServer {
		clock = "this host's clock, as the server sent no Date"
	}
	return s.inFile("`token_expires_at` is %s, past by %s (%s)", day(s.ExpiresAt), clock, day(now))
}

func (s *section) recordExists() rekey.Evidence {
	r := s.Record.Runner
	return s.inRecord("GitLab has runner %d (%s)", r.ID, strings.TrimSpace(string(r.Scope)+" "+r.Status))
}

// refusedFound judges a refused token whose record is there: it was reset,
// unless what GitLab shows of the record does not fit the token.
func (c *court) refusedFound(s *section) {
	r := s.Record.Runner
	if hint := s.lexOfSent().Scope; hint != "" && r.Scope != "" && hint != r.Scope {
		differs := s.inRecord("runner %d is of scope %s, the token of scope %s: it is not this record's token", r.ID, r.Scope, hint)
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Possible, s.answerSeen(), differs,
			missing("whether the token's own runner was deleted here would decide: its id is not known"))
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Possible, s.answerSeen(), differs,
			missing("whether another GitLab issued the token would decide"))
		return
	}
	confidence := rekey.Likely
	seen := []rekey.Evidence{s.answerSeen(), s.recordExists()}
	if e, ok := s.usedByOthers(); ok {
		confidence = rekey.Certain
		seen = append(seen, e)
	}
	if !s.ObtainedAt.IsZero() {
		seen = append(seen, s.inFile("this token was obtained %s", day(s.ObtainedAt)))
		if r.CreatedAt.Sub(s.ObtainedAt) > 24*time.Hour {
			confidence = rekey.Likely
			seen = append(seen, s.inRecord("yet runner %d was created %s, after that: it may be another runner under the same id; look at it before its token is reset", r.ID, day(r.CreatedAt)))
		}
	}
	s.found(rekey.RotatedElsewhere, rekey.Failing, confidence, seen...)
}

// contactLag is how far GitLab's contact times may lag behind: they are written
// at most once in 40 to 55 minutes.
const contactLag = time.Hour

// usedByOthers looks for a manager that got through to GitLab well after the last
// contact of this host, which once used this record: the token in force is not
// the one in the file.
func (s *section) usedByOthers() (rekey.Evidence, bool) {
	var own time.Time
	var latest rekey.Manager
	for _, m := range s.Record.Managers {
		switch {
		case m.SystemID == s.SystemID && s.SystemID != "":
			own = m.ContactedAt
		case m.ContactedAt.After(latest.ContactedAt):
			latest = m
		}
	}
	if own.IsZero() || latest.ContactedAt.Sub(own) < contactLag {
		return rekey.Evidence{}, false
	}
	return s.inRecord("runner manager %s contacted GitLab %s, well after this host's last contact (%s): the token in force is not this one", latest.SystemID, day(latest.ContactedAt), day(own)), true
}

// refusedUntold names every cause that the refusal leaves open, and the evidence
// that would decide between them.
func (c *court) refusedUntold(s *section) {
	decide := missing("GET /runners/%d with a user token would decide: 404 means deleted, 200 rotated", s.RunnerID)
	if s.RunnerID == 0 {
		decide = missing("the runner's id would decide, and the section has none: not even an administrator's token can tell deleted from rotated by this file")
	}
	s.found(rekey.RecordDeleted, rekey.Failing, rekey.Possible, s.answerSeen(), decide)
	f := s.found(rekey.RotatedElsewhere, rekey.Failing, rekey.Possible, s.answerSeen(), decide)
	if !s.ObtainedAt.IsZero() {
		f.Evidence = append(f.Evidence, s.inFile("this token was obtained %s", day(s.ObtainedAt)))
	}
	if len(c.bases) > 1 {
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Possible, s.answerSeen(),
			missing("the configs of this run name more than one GitLab, and this token may be of another; an acceptance there would decide, and it is sent nowhere else than its own URL"))
	}
	s.tellRight("whether the runner was deleted, or its token reset elsewhere")
}

// suspectText adds what the text of a refused token lets suspect.
func (c *court) suspectText(s *section) {
	lex := s.lexOfSent()
	switch {
	case lex.Suspicion != nil:
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Likely, s.answerSeen(), s.inFile("%s: %s", s.token, lex.Suspicion.Text))
		if s.Record.Lookup != LookupGone {
			s.tellRight("whether the runner itself is still there")
		}
	case lex.Kind == rekey.TokenUnknown && s.Record.Lookup != LookupGone:
		for i := range s.findings {
			if s.findings[i].Cause == rekey.RotatedElsewhere {
				s.findings[i].Confidence = rekey.Possible
			}
		}
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Possible, s.answerSeen(),
			s.inFile("%s has none of the shapes that GitLab gives to runner tokens", s.token),
			missing("the token as GitLab first showed it would decide"))
	}
}
