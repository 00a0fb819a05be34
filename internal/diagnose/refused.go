package diagnose

import (
	"fmt"
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

// refusedGone judges a token whose record is not there: it was deleted, most likely.
// Ids are small numbers that every GitLab has given away, so a record that was here
// and is gone need not be the token's own: that another GitLab issued the token is
// told as possible. An id above all others was most likely the newest runner; there a
// restore is possible too, and is the cause where several records show it.
func (c *court) refusedGone(s *section, past bool) {
	seen := []rekey.Evidence{s.answerSeen(), s.recordGone()}
	if past {
		seen = append(seen, s.inFile("`token_expires_at` (%s) is past as well", day(s.ExpiresAt)))
	}
	switch {
	case s.onceThere():
		seen = append(seen, s.inNewest("there is runner %d, so GitLab has had a runner %d", s.server.NewestRunner, s.RunnerID))
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Likely, append(seen,
			missing("GitLab's audit events would make it certain that runner %d was this host's: they tell its description and who deleted it", s.RunnerID))...)
		s.found(rekey.WrongInstance, rekey.Info, rekey.Possible, s.answerSeen(), elsewhere())
	case s.beyondNewest():
		newest := s.inNewest("%s: runner %d was its newest, unless this token is of another GitLab or of the time before a restore", s.newestThere(), s.RunnerID)
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Likely, append(seen, newest,
			missing("GitLab's audit events, or who looks after it, would make it certain that runner %d was deleted", s.RunnerID))...)
		if !c.judgeBeyond(s, newest) {
			c.maybeRestored(s, rekey.Info)
			s.found(rekey.WrongInstance, rekey.Info, rekey.Possible, s.answerSeen(), elsewhere())
		}
	default:
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Likely, append(seen,
			missing("the id of GitLab's newest runner would decide whether there ever was a runner %d; an administrator's user token can read it", s.RunnerID))...)
		s.found(rekey.WrongInstance, rekey.Info, rekey.Possible, s.answerSeen(), elsewhere())
	}
}

// newestThere tells the newest runner of a GitLab whose whole list was read.
func (s *section) newestThere() string {
	if s.server.NewestRunner == 0 {
		return "this GitLab has no runner at all"
	}
	return fmt.Sprintf("the newest runner of this GitLab is %d", s.server.NewestRunner)
}

func (s *section) inNewest(format string, args ...any) rekey.Evidence {
	return s.evidence("GET "+s.server.URL+"/api/v4/runners/all", s.server.ReadAt, format, args...)
}

func (c *court) refusedExpired(s *section, byServer bool) {
	f := s.found(rekey.TokenExpired, rekey.Failing, rekey.Likely, s.answerSeen(), s.datePast())
	switch {
	case !byServer:
		f.Evidence = append(f.Evidence, missing("GitLab's own clock would make it certain: compare the date with the time on its server"))
	case s.record() != nil:
		f.Confidence = rekey.Certain
		f.Evidence = append(f.Evidence, s.recordExists())
	default:
		f.Evidence = append(f.Evidence, missing("whether runner %d is still there would make it certain: GET /runners/%d with a user token", s.RunnerID, s.RunnerID))
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
	own, isOwn := c.ownRecord(s)
	foreign, isForeign := s.foreignRecord()
	if hint := s.lexOfSent().Scope; hint != "" && r.Scope != "" && hint != r.Scope {
		s.found(rekey.RecordDeleted, rekey.Failing, rekey.Possible, s.answerSeen(), foreign,
			missing("whether the token's own runner was deleted here would decide: its id is not known"))
		c.maybeElsewhere(s, rekey.Failing)
		return
	}
	confidence := rekey.Likely
	seen := []rekey.Evidence{s.answerSeen(), s.recordExists()}
	if !s.ObtainedAt.IsZero() {
		seen = append(seen, s.inFile("this token was obtained %s", day(s.ObtainedAt)))
	}
	used, isUsed := s.usedByOthers()
	switch {
	case isUsed:
		confidence, seen = rekey.Certain, append(seen, used)
	case isOwn:
		seen = append(seen, own, missing("GitLab's audit events would make it certain, or a host that holds the new token"))
	case isForeign:
		confidence, seen = rekey.Possible, append(seen, foreign,
			missing("whether runner %d is this host's would decide: compare its description and address on its page in GitLab", r.ID))
		c.maybeElsewhere(s, rekey.Failing)
		c.maybeRestored(s, rekey.Info)
	default:
		if s.Record.ManagersKnown && len(s.Record.Managers) == 0 && r.ContactedAt.IsZero() { // registering makes a manager, writing a file by hand does not
			confidence, seen = rekey.Possible, append(seen, s.inRecord("nobody ever used runner %d", r.ID))
			c.maybeRestored(s, rekey.Info)
		}
		seen = append(seen, missing("whether runner %d is this host's would decide: compare its description and address on its page in GitLab", r.ID))
		s.found(rekey.WrongInstance, rekey.Info, rekey.Possible, s.answerSeen(), elsewhere())
	}
	if isUsed && isForeign && !isOwn {
		confidence, seen = rekey.Likely, append(seen, foreign)
	}
	s.found(rekey.RotatedElsewhere, rekey.Failing, confidence, seen...)
	if !isUsed && c.maybeOver(s, r.Scope) {
		s.lower(rekey.RotatedElsewhere, rekey.Possible)
	}
	if s.ObtainedAt.IsZero() && s.ExpiresAt.IsZero() && !isUsed {
		s.lower(rekey.RotatedElsewhere, rekey.Possible)
		s.maybeExpired()
		if !hasCause(s.findings, rekey.ServerRestored) {
			c.maybeRestored(s, rekey.Info)
		}
		if !hasCause(s.findings, rekey.WrongInstance) {
			s.found(rekey.WrongInstance, rekey.Info, rekey.Possible, s.answerSeen(), elsewhere())
		}
	}
}

// lower lessens the confidence in a cause.
func (s *section) lower(cause rekey.Cause, to rekey.Confidence) {
	for i := range s.findings {
		if s.findings[i].Cause == cause {
			s.findings[i].Confidence = to
		}
	}
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
	s.maybeExpired()
	c.maybeElsewhere(s, rekey.Info)
	c.maybeRestored(s, rekey.Info)
	s.tellRight("whether the runner was deleted, or its token reset elsewhere")
}

// suspectText adds what the text of a refused token lets suspect.
func (c *court) suspectText(s *section) {
	lex := s.lexOfSent()
	switch {
	case lex.Suspicion != nil:
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Likely, s.answerSeen(), s.inFile("%s: %s", s.token, lex.Suspicion.Text),
			missing("the token as it was first shown would make it certain: compare it with the secret store or the file that it came from"))
		if s.Record.Lookup != LookupGone {
			s.tellRight("whether the runner itself is still there")
		}
	case lex.Kind == rekey.TokenUnknown && s.Record.Lookup != LookupGone:
		s.lower(rekey.RotatedElsewhere, rekey.Possible)
		s.found(rekey.MalformedToken, rekey.Failing, rekey.Possible, s.answerSeen(),
			s.inFile("%s has none of the shapes that GitLab gives to runner tokens", s.token),
			missing("the token as GitLab first showed it would decide"))
	}
}
