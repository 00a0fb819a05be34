// Package export writes a doctor's report in the formats that other programs
// read: SARIF, JUnit XML and the Prometheus text format. It owns how findings map
// to those formats, and refuses to judge anew: what the report says is what they
// say. Reports hold no token, so none is written.
package export

import (
	"fmt"
	"strings"
	"time"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/upgrade"
)

// Document is what is written.
type Document struct {
	Report  diagnose.Report
	Upgrade *upgrade.Report // nil when no version to come was asked about
	Version string          // of rekey
	Now     time.Time
}

// upgradeWords are the reasons of an effect in words.
func upgradeWords(version string, s upgrade.Section) string {
	texts := make([]string, 0, len(s.Reasons))
	for _, r := range s.Reasons {
		texts = append(texts, r.Text)
	}
	return fmt.Sprintf("for GitLab %s: %s: %s", version, s.Effect, strings.Join(texts, "; "))
}

// title names a section for people.
func title(s diagnose.SectionReport) string {
	if s.Name == "" {
		return fmt.Sprintf("section %d", s.Index)
	}
	return s.Name
}

// message is one finding in words: what was seen, and what to do. A finding of no
// section has a section without a config.
func message(s diagnose.SectionReport, f rekey.Finding) string {
	seen := make([]string, 0, len(f.Evidence))
	for _, e := range f.Evidence {
		seen = append(seen, e.Seen)
	}
	if s.Config == "" {
		return fmt.Sprintf("%s, %s: %s. %s", f.Cause, f.Confidence, strings.Join(seen, "; "), f.Remedy)
	}
	return fmt.Sprintf("%s at %s is %s (%s, %s): %s. %s", title(s), s.URL, s.Verdict, f.Cause, f.Confidence, strings.Join(seen, "; "), f.Remedy)
}
