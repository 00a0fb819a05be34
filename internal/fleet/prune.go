package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// ShortestAge is the least that --older-than may be: GitLab calls a runner online
// for two hours after a contact, and shows contacts up to 55 minutes late.
const ShortestAge = 3 * time.Hour

// PruneRule says which records may go.
type PruneRule struct {
	OlderThan             time.Duration `json:"older_than"`
	Scope                 rekey.Scope   `json:"scope"` // "": all that the user may see
	Owner                 rekey.Ref     `json:"owner"` // the group or project of Scope
	SpareTags             []string      `json:"spare_tags"`
	IncludeNeverContacted bool          `json:"include_never_contacted"`
}

// Check refuses a rule that could hit a runner at work.
func (p PruneRule) Check() error {
	if p.OlderThan < ShortestAge {
		return rekey.Errorf(rekey.KindInvalid, "runners silent for %s may well be alive: GitLab calls them online for two hours and shows contacts up to 55 minutes late", AgeText(p.OlderThan)).
			WithHint("give --older-than %s at least; 30d is usual", AgeText(ShortestAge))
	}
	for _, tag := range p.SpareTags {
		if strings.TrimSpace(tag) == "" {
			return rekey.Errorf(rekey.KindInvalid, "a tag to spare is empty")
		}
	}
	return nil
}

// Candidate is a record that a prune would delete, as it was when it was chosen.
type Candidate struct {
	Record   Record
	LastSeen time.Time // zero: never
	Why      string
}

// Spared is a record that stays although its age speaks against it, or that
// nothing could be said of.
type Spared struct {
	ID          rekey.RunnerID `json:"id"`
	Description string         `json:"description"`
	Why         string         `json:"why"`
}

// PrunePlan is what a prune would delete. Delete and Spare are in the order of
// ids.
type PrunePlan struct {
	GitLab string
	Rule   PruneRule
	Delete []Candidate
	Spare  []Spared
	Kept   int // records that are not old enough, or not of this scope
}

// Prune chooses among records. Those with an entry in ledger that says keep are
// spared; ledger may be nil.
func Prune(gitlab string, rule PruneRule, records []Record, now time.Time, ledger *Ledger) PrunePlan {
	plan := PrunePlan{GitLab: gitlab, Rule: rule}
	plan.Rule.SpareTags = slices.Compact(slices.Sorted(slices.Values(rule.SpareTags)))
	for _, r := range records {
		why, old := rule.aged(r, now)
		if !old || !rule.owns(r) {
			plan.Kept++
			continue
		}
		if reason := rule.spares(r, now, ledger); reason != "" {
			plan.Spare = append(plan.Spare, Spared{r.Runner.ID, r.Runner.Description, reason})
			continue
		}
		plan.Delete = append(plan.Delete, Candidate{r, r.LastSeen(), why})
	}
	slices.SortFunc(plan.Delete, func(a, b Candidate) int { return cmp.Compare(a.Record.Runner.ID, b.Record.Runner.ID) })
	slices.SortFunc(plan.Spare, func(a, b Spared) int { return cmp.Compare(a.ID, b.ID) })
	return plan
}

// Silent reports whether nobody heard of the record for longer than age, or ever
// since it was made, where GitLab does not prove it younger.
func Silent(r Record, now time.Time, age time.Duration) bool {
	_, old := PruneRule{OlderThan: age}.aged(r, now)
	return old
}

// aged reports whether the record is silent for long enough to be looked at.
func (p PruneRule) aged(r Record, now time.Time) (why string, old bool) {
	if r.Online() {
		return "", false
	}
	if seen := r.LastSeen(); !seen.IsZero() {
		return "last contact " + AgeText(now.Sub(seen)) + " ago", now.Sub(seen) > p.OlderThan
	}
	age, known := r.provenAge(now)
	return "never contacted in at least " + AgeText(age), !known || age >= p.OlderThan
}

// owns: a list of GitLab's for a group or project also holds what it inherits.
func (p PruneRule) owns(r Record) bool {
	has := func(refs []rekey.Ref) bool {
		return slices.ContainsFunc(refs, func(ref rekey.Ref) bool { return ref.ID == p.Owner.ID })
	}
	switch p.Scope {
	case rekey.ScopeGroup:
		return r.Runner.Scope == rekey.ScopeGroup && has(r.Runner.Groups)
	case rekey.ScopeProject:
		return r.Runner.Scope == rekey.ScopeProject && has(r.Runner.Projects)
	}
	return true
}

// spares says why an old record stays, "" for none.
func (p PruneRule) spares(r Record, now time.Time, ledger *Ledger) string {
	if ledger != nil {
		if e, ok := ledger.Entry(r.Runner.ID); ok && e.Keep {
			return "the owners file says keep"
		}
	}
	for _, tag := range p.SpareTags {
		if slices.Contains(r.Runner.Tags, tag) {
			return "it has the tag " + tag
		}
	}
	if r.Runner.Busy != nil && *r.Runner.Busy {
		return "GitLab says that a job runs on it"
	}
	if p.Scope == rekey.ScopeProject && len(r.Runner.Projects) > 1 {
		return fmt.Sprintf("it serves %d projects, not this one alone", len(r.Runner.Projects))
	}
	if !r.LastSeen().IsZero() {
		return ""
	}
	if !p.IncludeNeverContacted {
		return "it was never contacted (--include-never-contacted takes such ones too)"
	}
	if _, known := r.provenAge(now); !known {
		return "it was never contacted, and this GitLab does not say when it was made"
	}
	return ""
}

// Digest names the plan: the rule and what it would delete, as it was last seen.
// The same world gives the same digest at any time and on every machine.
func (p PrunePlan) Digest() string {
	type named struct {
		ID       rekey.RunnerID `json:"id"`
		LastSeen time.Time      `json:"last_seen"`
		Face     string         `json:"face"`
	}
	list := []named{}
	for _, c := range p.Delete {
		list = append(list, named{c.Record.Runner.ID, c.LastSeen.UTC(), face(c.Record.Runner)})
	}
	text, err := json.Marshal(map[string]any{"gitlab": p.GitLab, "rule": p.Rule, "delete": list})
	if err != nil {
		panic("rekey: a plan is plain data: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// face is what people gave a record; a change of it is somebody's wish.
func face(r rekey.Runner) string {
	parts := []any{r.Scope, r.Description, slices.Sorted(slices.Values(r.Tags)), r.Paused, r.Locked, r.RunUntagged, r.AccessLevel,
		r.MaximumTimeout, r.MaintenanceNote, r.Projects, r.Groups, r.CreatedAt.UTC()}
	text, err := json.Marshal(parts)
	if err != nil {
		panic("rekey: a record is plain data: " + err.Error())
	}
	return string(text)
}

// Recheck says why a candidate must stay, looked at once more right before it
// would go; "" when nothing speaks for it. It forgives nothing: what cannot be
// known again stays.
func (p PruneRule) Recheck(c Candidate, fresh Record, ledger *Ledger) string {
	before, after := c.Record.Runner, fresh.Runner
	seen := fresh.LastSeen()
	switch {
	case after.ID != before.ID:
		return "GitLab answered about another runner"
	case c.Record.ManagersKnown && !fresh.ManagersKnown:
		return "its managers cannot be read any more"
	case seen.After(c.LastSeen):
		return "it was seen since: " + seen.UTC().Format(time.RFC3339)
	case fresh.Online():
		return "it is online"
	case !slices.Equal(slices.Sorted(slices.Values(after.Tags)), slices.Sorted(slices.Values(before.Tags))):
		return "its tags were changed since"
	case face(after) != face(before):
		return "the record was changed since"
	}
	if _, old := p.aged(fresh, fresh.ReadAt); !old {
		return "it is not silent for " + AgeText(p.OlderThan)
	}
	if !p.owns(fresh) {
		return "it does not belong to " + p.Owner.Path + " any more"
	}
	return p.spares(fresh, fresh.ReadAt, ledger)
}
