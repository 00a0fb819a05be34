package remedy

import (
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
)

// notes are the costs and limits of a target that the reader should know.
func (p *Planner) notes(t rekey.Target, s diagnose.Section, c choice) []string {
	notes := slices.Clone(c.notes)
	switch t.Remedy {
	case rekey.RemedyCreate:
		notes = append(notes, p.createNotes(t)...)
	case rekey.RemedyReset:
		notes = append(notes, p.resetNotes(t)...)
	}
	if note := p.unseenProjects(t, s); note != "" {
		notes = append(notes, note)
	}
	return notes
}

func (p *Planner) createNotes(t rekey.Target) []string {
	var notes []string
	if scopes, known := p.Rights(t.GitLab); known && !hasAny(scopes, "api", "read_api") {
		notes = append(notes, "the user token may not list runners: should GitLab's answer be lost, the record can only be found by hand, by its tag rekey-…")
	}
	return append(notes, fmt.Sprintf("the record gets %s, from %s", describeAttributes(t.Attributes), t.Attributes.Source))
}

// resetNotes speak of the lost answer: a reset is not repeated, a new record
// takes the old one's place.
func (p *Planner) resetNotes(t rekey.Target) []string {
	scopes, known := p.Rights(t.GitLab)
	return []string{lostResetNote(t, known && !hasAny(scopes, "api", "create_runner"))}
}

// lostResetNote says what becomes of a record whose reset was answered by nothing
// or with a 5xx: the token may be a new one that nobody has.
func lostResetNote(t rekey.Target, mayNotCreate bool) string {
	const lost = "should GitLab's answer to the reset be lost or a 5xx, "
	switch n := len(t.Attributes.Tags); {
	case mayNotCreate:
		return lost + "the record cannot be replaced by a new one: the user token has manage_runner, but neither create_runner nor api"
	case n > tagLimit:
		return fmt.Sprintf(lost+"the record cannot be replaced by a new one: it has %d tags, and GitLab takes %d", n, tagLimit)
	}
	return fmt.Sprintf(lost+"it is not repeated: a new record, with another id, takes the place of runner %d", t.RunnerID)
}

// unseenProjects warns of assignments that the copy of a record will not have.
// GET /runners/:id shows a user only those of projects that he may see.
func (p *Planner) unseenProjects(t rekey.Target, s diagnose.Section) string {
	copied := t.Attributes != nil && t.Attributes.Scope == rekey.ScopeProject &&
		s.Record.Lookup == diagnose.LookupFound && s.Record.Runner.Scope == rekey.ScopeProject
	if !copied || p.Admin != nil && p.Admin(t.GitLab) {
		return ""
	}
	when := "the new record"
	if t.Remedy == rekey.RemedyReset {
		when = "should GitLab's answer be lost, a new record replaces this one, and it"
	}
	return fmt.Sprintf("%s is assigned to those projects of runner %d that this user may see (%d); only an administrator sees them all",
		when, s.Record.Runner.ID, len(s.Record.Runner.Projects))
}

func hasAny(scopes []string, wanted ...string) bool {
	return slices.ContainsFunc(wanted, func(s string) bool { return slices.Contains(scopes, s) })
}

func describeAttributes(a *rekey.Attributes) string {
	text := "no tags"
	if len(a.Tags) > 0 {
		text = "the tags " + strings.Join(a.Tags, ", ")
	}
	if a.RunUntagged {
		text += " and untagged jobs"
	}
	return text
}
