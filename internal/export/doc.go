// Package export writes a doctor's report in the formats that other programs
// read: SARIF, JUnit XML and the Prometheus text format. It owns how findings map
// to those formats, and refuses to judge anew: what the report says is what they
// say. Reports hold no token, so none is written.
package export

import (
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
)

// title names a section for people.
func title(s diagnose.SectionReport) string {
	if s.Name == "" {
		return fmt.Sprintf("section %d", s.Index)
	}
	return s.Name
}

// message is one finding in words: what was seen, and what to do.
func message(s diagnose.SectionReport, f rekey.Finding) string {
	seen := make([]string, 0, len(f.Evidence))
	for _, e := range f.Evidence {
		seen = append(seen, e.Seen)
	}
	return fmt.Sprintf("%s at %s is %s (%s, %s): %s. %s", title(s), s.URL, s.Verdict, f.Cause, f.Confidence, strings.Join(seen, "; "), f.Remedy)
}
