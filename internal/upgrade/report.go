package upgrade

import (
	"fmt"

	"rekey"
	"rekey/internal/fleet"
)

// Effect is what a version does to a section or to a GitLab's fleet.
type Effect string

// The effects, gravest first.
const (
	Breaks     Effect = "breaks"     // it stops working, or has stopped already
	Unknown    Effect = "unknown"    // what was read does not tell
	Deprecated Effect = "deprecated" // it works, by a way that GitLab will remove or does not promise to keep
	Fine       Effect = "fine"
)

var weight = map[Effect]int{Fine: 1, Deprecated: 2, Unknown: 3, Breaks: 4}

// worse returns the graver one; "" is lighter than any.
func worse(a, b Effect) Effect {
	if weight[b] > weight[a] {
		return b
	}
	return a
}

// Severity is the effect as --fail-on counts it.
func (e Effect) Severity() rekey.Severity {
	switch e {
	case Breaks:
		return rekey.Failing
	case Deprecated, Unknown:
		return rekey.Warning
	}
	return rekey.Info
}

// Reason is one thing that was read, with the row of the version table that makes
// it matter.
type Reason struct {
	Slug   string `json:"slug"` // the row's id; not-valid-today and others without a row have none in the table
	Effect Effect `json:"effect"`
	Text   string `json:"text"`
	Since  string `json:"since"`  // the version that the row begins with; "" for none
	Source string `json:"source"` // who says so
}

// Section is the judgement of one section of the report, by the same config and
// index.
type Section struct {
	Config  string   `json:"config"`
	Index   int      `json:"index"`
	Effect  Effect   `json:"effect"`
	Reasons []Reason `json:"reasons"`
}

// Crossing is a row of the version table that begins to hold between a GitLab's
// version and the one to come, whether it matters to this fleet or not.
type Crossing struct {
	Slug   string      `json:"slug"`
	Level  fleet.Level `json:"level"`
	Text   string      `json:"text"`
	Since  string      `json:"since"`
	Source string      `json:"source"`
}

// Server is the judgement of one GitLab beside its sections: how runners come to
// it, and what lies on the way.
type Server struct {
	URL     string     `json:"url"`
	Version string     `json:"version"` // as it is; "" when unknown
	Effect  Effect     `json:"effect"`
	Reasons []Reason   `json:"reasons"`
	Crossed []Crossing `json:"crossed"`
}

// Report is the judgement of a diagnosis for one version.
type Report struct {
	Version  string    `json:"version"` // MAJOR.MINOR
	Summary  Summary   `json:"summary"`
	GitLab   []Server  `json:"gitlab"`
	Sections []Section `json:"sections"`
	Notes    []string  `json:"notes"` // what was not read, and what the version asked about means
}

// Summary counts sections by effect; Effect is the gravest of all, GitLabs
// included, "" for nothing at all.
type Summary struct {
	Effect     Effect `json:"effect"`
	Breaks     int    `json:"breaks"`
	Unknown    int    `json:"unknown"`
	Deprecated int    `json:"deprecated"`
	Fine       int    `json:"fine"`
}

func (s *Summary) count(e Effect) {
	s.Effect = worse(s.Effect, e)
	switch e {
	case Breaks:
		s.Breaks++
	case Unknown:
		s.Unknown++
	case Deprecated:
		s.Deprecated++
	default:
		s.Fine++
	}
}

// Fails reports whether anything is at or above the threshold of --fail-on.
func (r *Report) Fails(threshold rekey.Severity) bool {
	return r != nil && weight[r.Summary.Effect] > weight[Fine] && r.Summary.Effect.Severity().AtLeast(threshold)
}

// because makes a reason of a row of the table.
func because(row fleet.Change, e Effect, format string, args ...any) Reason {
	return Reason{Slug: row.ID, Effect: e, Text: fmt.Sprintf(format, args...), Since: version(row.ServerFrom), Source: row.Source}
}

// version is MAJOR.MINOR, "" for none.
func version(v rekey.Version) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}
