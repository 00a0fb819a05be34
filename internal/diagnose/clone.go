package diagnose

import (
	"strings"

	"rekey"
)

// judgeClone: one system id beside configs of different directories. The ids that
// begin with r_ are drawn at random, so that one is a copy of the other; those with
// s_ follow from the machine, and two services of one machine share them.
func (c *court) judgeClone(s *section) {
	if s.SystemID == "" || s.base == "" {
		return
	}
	twins := c.gathered(s.base).twins[s.SystemID]
	if twins.directories < 2 {
		return
	}
	for _, o := range twins.sections {
		if o.directory() != s.directory() && s.cloneOf(o) {
			return
		}
	}
}

// cloneOf tells of s that o has the same system id, unless that is as it should be.
func (s *section) cloneOf(o *section) bool {
	random := strings.HasPrefix(string(s.SystemID), "r_")
	same := "the system id " + string(s.SystemID) + " stands in " + o.directory() + " too"
	switch {
	case o.token == s.token && (random || otherMachine(s, o)):
		s.found(rekey.ClonedSystemID, rekey.Warning, rekey.Likely,
			s.evidence(s.directory(), s.now, "%s, with the same token, so that GitLab takes both for one runner manager", same),
			missing("whether both are at work at the same time would make it certain: look for a running gitlab-runner where each of the two lies (`ps`, `docker ps`)"))
	case o.token == s.token:
		s.found(rekey.ClonedSystemID, rekey.Info, rekey.Possible, s.evidence(s.directory(), s.now, "%s, with the same token", same),
			missing("whether both belong to one machine would decide, whose services share such an id rightly: compare `/etc/machine-id` where each of the two runs"))
	case random:
		s.found(rekey.ClonedSystemID, rekey.Info, rekey.Possible, s.evidence(s.directory(), s.now, "%s, with another runner; such an id is drawn at random, so one is a copy of the other", same),
			missing("whether both are in use would decide: look for a running gitlab-runner on each (`ps`, `docker ps`); a config that was only kept aside does no harm"))
	default:
		return false
	}
	return true
}

// otherMachine reports whether two sections are known to lie on different machines:
// containers may share one, files that were named may be copies.
func otherMachine(a, b *section) bool {
	machine := func(s *section) bool { return s.config.Host == "" || strings.HasPrefix(s.config.Host, "ssh://") }
	return a.config.Host != b.config.Host && machine(a) && machine(b)
}
