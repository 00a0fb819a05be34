package diagnose

import (
	"slices"

	"rekey"
)

// share is every section that holds one token.
type share struct {
	members  []*section
	perBase  map[string]int
	accepted int
	// acceptedAt is the first section of each URL whose GitLab accepts the
	// token, in the order of the sections.
	acceptedAt []*section
}

func (h *share) add(s *section) {
	if h.perBase == nil {
		h.perBase = map[string]int{}
	}
	h.members = append(h.members, s)
	h.perBase[s.base]++
	if !s.accepted() {
		return
	}
	h.accepted++
	if !slices.ContainsFunc(h.acceptedAt, func(o *section) bool { return o.base == s.base }) {
		h.acceptedAt = append(h.acceptedAt, s)
	}
}

func (s *section) accepted() bool { return s.Answer.Kind == rekey.AnswerAccepted }

// acceptedElsewhere returns a section at another URL whose GitLab accepts the
// same token, nil when there is none. No token is sent anywhere for this: both
// sections were asked about at their own URLs.
func (c *court) acceptedElsewhere(s *section) *section {
	h := c.sharing[s.token]
	if h == nil {
		return nil
	}
	for _, other := range h.acceptedAt {
		if other.base != s.base {
			return other
		}
	}
	return nil
}

func (s *section) acceptedHere(at *section) rekey.Evidence {
	return at.inAnswer("the same token, %s, is accepted at %s, the URL of section %d of %s", s.token, at.base, at.Index, at.Config)
}

// judgeSharing judges a token that stands in several sections. Where it is
// accepted at one URL only, the other URL is wrong, and that the token stands
// twice is a consequence.
func (c *court) judgeSharing(s *section) {
	h := c.sharing[s.token]
	if h == nil || len(h.members) < 2 {
		return
	}
	elsewhere := c.acceptedElsewhere(s)
	if elsewhere != nil && !s.accepted() && !hasCause(s.findings, rekey.WrongInstance) {
		s.found(rekey.WrongInstance, rekey.Failing, rekey.Possible, s.acceptedHere(elsewhere),
			missing("an answer of %s about the token would decide", shownURL(s.URL)))
	}
	s.found(rekey.DuplicateToken, h.severityFor(s), rekey.Certain, h.others(s)...)
}

// severityFor is info where every other section with the token is at another URL
// and differs in whether it is accepted: then wrong-instance is the matter.
func (h *share) severityFor(s *section) rekey.Severity {
	alike := h.accepted
	if !s.accepted() {
		alike = len(h.members) - h.accepted
	}
	if h.perBase[s.base] > 1 || alike > 1 {
		return rekey.Warning
	}
	return rekey.Info
}

// others is where else the token stands, cut short where that is thousands of
// sections.
func (h *share) others(s *section) []rekey.Evidence {
	const most = 5
	var seen []rekey.Evidence
	for _, other := range h.members {
		if other == s {
			continue
		}
		if len(seen) == most {
			return append(seen, missing("and in %d more sections", len(h.members)-1-most))
		}
		seen = append(seen, other.inFile("%s stands in section %d of %s too, with URL %s", s.token, other.Index, other.Config, shownURL(other.URL)))
	}
	return seen
}

// judgeHolders tells of an expiring token that configs of several hosts hold, by the
// files alone.
func (c *court) judgeHolders(s *section) {
	at, expires := s.expiry()
	h := c.sharing[s.token]
	if at.IsZero() || h == nil || s.SystemID == "" {
		return
	}
	for _, o := range h.members {
		if o.SystemID != "" && o.SystemID != s.SystemID && o.base == s.base {
			s.found(rekey.SharedToken, rekey.Warning, rekey.Certain, expires,
				o.inFile("%s stands in section %d of %s too, beside the system id %s of another host", s.token, o.Index, o.Config, o.SystemID))
			return
		}
	}
}

func hasCause(list []rekey.Finding, cause rekey.Cause) bool {
	return slices.ContainsFunc(list, func(f rekey.Finding) bool { return f.Cause == cause })
}
