package iac

import (
	"cmp"
	"slices"

	"rekey"
)

// Schema names the JSON contract.
const Schema = "rekey.audit/1"

// Report is what an audit found. The JSON names are a contract (docs/json.md):
// fields may be added, never renamed. It holds no token.
type Report struct {
	Schema   string    `json:"schema"`
	GitLab   string    `json:"gitlab,omitempty"` // the version the code is judged for
	Findings []Finding `json:"findings"`
	Summary  Summary   `json:"summary"`
	// Rewritten is what became of the files that were to be rewritten.
	Rewritten []RewrittenFile `json:"rewritten,omitempty"`
}

// RewrittenFile is one file with something to mend. Diff shows tokens as kind and
// fingerprint.
type RewrittenFile struct {
	Path    string   `json:"path"`
	Changed bool     `json:"changed"` // there is a change to make
	Written bool     `json:"written"` // it was made
	Fixed   int      `json:"fixed"`   // findings that it mends
	Left    int      `json:"left"`    // findings that a further audit reports
	Notes   []string `json:"notes,omitempty"`
	Refused string   `json:"refused,omitempty"` // why a change was not made
	Dirty   bool     `json:"dirty,omitempty"`   // git has uncommitted changes of it
	Diff    string   `json:"diff,omitempty"`
}

// Summary counts what was read, found and left out.
type Summary struct {
	Files      int            `json:"files"`
	Bytes      int64          `json:"bytes"`
	Examined   int            `json:"examined"` // held a literal and were taken apart
	Error      int            `json:"error"`
	Warning    int            `json:"warning"`
	Info       int            `json:"info"`
	BySlug     map[Slug]int   `json:"by_slug"`
	Suppressed int            `json:"suppressed"` // by rekey:ignore
	Baseline   int            `json:"baseline"`   // known from the baseline
	Skipped    map[string]int `json:"skipped"`    // by reason
	Unreadable []string       `json:"unreadable,omitempty"`
	Commits    int            `json:"commits,omitempty"` // of history
}

// NewReport sorts findings by file and line, sets the suppressed apart, and counts.
func NewReport(findings []Finding, summary Summary, target Target) Report {
	r := Report{Schema: Schema, Findings: []Finding{}, Summary: summary}
	if !target.GitLab.IsZero() {
		r.GitLab = target.GitLab.String()
	}
	r.Summary.BySlug = map[Slug]int{}
	if r.Summary.Skipped == nil {
		r.Summary.Skipped = map[string]int{}
	}
	for _, f := range findings {
		if f.Suppressed != "" {
			r.Summary.Suppressed++
			continue
		}
		r.Findings = append(r.Findings, f)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), a.Line-b.Line, a.Column-b.Column, rank(a.Slug)-rank(b.Slug))
	})
	r.count()
	return r
}

func (r *Report) count() {
	r.Summary.Error, r.Summary.Warning, r.Summary.Info = 0, 0, 0
	clear(r.Summary.BySlug)
	for _, f := range r.Findings {
		r.Summary.BySlug[f.Slug]++
		switch f.Severity {
		case rekey.Failing:
			r.Summary.Error++
		case rekey.Warning:
			r.Summary.Warning++
		default:
			r.Summary.Info++
		}
	}
}

// Known takes out the findings whose fingerprints a baseline holds.
func (r *Report) Known(baseline map[string]bool) {
	before := len(r.Findings)
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return baseline[f.Fingerprint] })
	r.Summary.Baseline += before - len(r.Findings)
	r.count()
}

// Worst reports whether a finding is as grave as threshold.
func (r Report) Worst(threshold rekey.Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.AtLeast(threshold) })
}
