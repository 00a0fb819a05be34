package diagnose

import "rekey"

// Worst returns the gravest severity of the report: of the findings at top level,
// and error for each config that could not be read. Findings in a because do not
// count. It is "" when there is nothing at all.
func (r Report) Worst() rekey.Severity {
	var worst rekey.Severity
	for _, c := range r.Configs {
		if c.Error != "" {
			return rekey.Failing
		}
	}
	for _, s := range r.Sections {
		if w := s.Worst(); w != "" && !worst.AtLeast(w) {
			worst = w
		}
	}
	if w := (SectionReport{Findings: r.Findings}).Worst(); w != "" && !worst.AtLeast(w) {
		worst = w
	}
	return worst
}

// Worst returns the gravest severity of the section's findings at top level, ""
// when it has none.
func (s SectionReport) Worst() rekey.Severity {
	var worst rekey.Severity
	for _, f := range s.Findings {
		if !worst.AtLeast(f.Severity) {
			worst = f.Severity
		}
	}
	return worst
}

// Fails reports whether anything is at or above the threshold, which is
// --fail-on. An unreadable config counts as an error.
func (r Report) Fails(threshold rekey.Severity) bool {
	worst := r.Worst()
	return worst != "" && worst.AtLeast(threshold)
}

// NothingRead reports whether configs were given and none could be read.
func (r Report) NothingRead() bool {
	for _, c := range r.Configs {
		if c.Error == "" {
			return false
		}
	}
	return len(r.Configs) > 0
}
