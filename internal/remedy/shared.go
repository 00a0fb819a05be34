package remedy

import (
	"fmt"

	"rekey"
	"rekey/internal/diagnose"
)

// sharedRecord says why a reset for s would lock out another section of the same
// record, "" when there is none. GitLab cannot tell: the sections of one host
// share its system id, so its manager is counted as this section's own.
func (p *Planner) sharedRecord(s diagnose.Section) string {
	before := true
	for _, r := range p.Report.Sections {
		other, ok := p.facts(r)
		if other.Config == s.Config && other.Index == s.Index {
			before = false
			continue
		}
		same := r.RunnerID == s.RunnerID || other.Answer.RunnerID == s.RunnerID
		if !ok || !same || !p.SameGitLab(address(other), address(s)) {
			continue
		}
		_, mendable := other.Token.Cleaned()
		switch {
		case r.Verdict == rekey.Valid:
			return fmt.Sprintf("section %q of %s has the token that runner %d has now: a reset would lock it out", other.Name, other.Config, s.RunnerID)
		case r.Verdict == rekey.Unknown, mendable:
			return fmt.Sprintf("section %q of %s is of runner %d too, and whether its token is good is unknown", other.Name, other.Config, s.RunnerID)
		case before && p.selected(other):
			return fmt.Sprintf("section %q of %s is of runner %d too and comes first: a second reset would lock it out", other.Name, other.Config, s.RunnerID)
		}
	}
	return ""
}

// address is where the section's token is sent.
func address(s diagnose.Section) string {
	if s.ExpandedURL != "" {
		return s.ExpandedURL
	}
	return s.URL
}
