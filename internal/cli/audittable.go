package cli

import (
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/iac"
)

// auditTable shows a report to a person: file by file, and what to do once for
// each kind of finding.
func (c *command) auditTable(r iac.Report) {
	p := c.paper()
	path := ""
	for _, f := range r.Findings {
		if f.Path != path {
			if path != "" {
				p.line("")
			}
			path = f.Path
			p.line("%s", p.bold(path))
		}
		place := fmt.Sprintf("%d:%d", f.Line, f.Column)
		p.wrapped(fmt.Sprintf("  %8s  %s  ", place, p.severity(f.Severity, string(f.Slug))), f.Evidence)
		if f.Commit != nil {
			p.wrapped("            ", p.faint(fmt.Sprintf("commit %.12s by %s, %s", f.Commit.ID, f.Commit.Author, f.Commit.Date)))
			p.wrapped("            ", f.Remedy)
		}
		if f.Fleet != nil {
			p.wrapped("            ", f.Fleet.Seen)
		}
		if f.Alive != nil {
			p.wrapped("            ", f.Alive.Seen)
		}
	}
	if path != "" {
		p.line("")
	}
	p.advice(r)
	p.auditSummary(r)
}

func (p *paper) severity(s rekey.Severity, text string) string {
	switch s {
	case rekey.Failing:
		return p.red(text)
	case rekey.Warning:
		return p.yellow(text)
	}
	return p.faint(text)
}

// advice says of each kind of finding what it means and what to do, gravest first.
func (p *paper) advice(r iac.Report) {
	for _, e := range iac.Registry() {
		told := map[string]bool{}
		for _, f := range r.Findings {
			if f.Slug != e.Slug || f.Severity == rekey.Info || f.Commit != nil || told[f.Remedy] {
				continue
			}
			if len(told) == 0 {
				p.line("%s (%s)", p.severity(f.Severity, string(e.Slug)), f.Severity)
				p.wrapped("  ", f.Message)
			}
			told[f.Remedy] = true
			p.wrapped("  do  ", f.Remedy)
		}
		if len(told) > 0 {
			p.line("")
		}
	}
}

func (p *paper) auditSummary(r iac.Report) {
	s := r.Summary
	parts := []string{}
	for _, c := range []struct {
		n     int
		word  string
		paint func(string) string
	}{{s.Error, "error", p.red}, {s.Warning, "warning", p.yellow}, {s.Info, "info", p.faint}} {
		if c.n > 0 {
			parts = append(parts, c.paint(fmt.Sprintf("%d %s", c.n, c.word)))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, p.green("nothing found"))
	}
	p.line("%s read: %s", plural(s.Files, "file", "files"), strings.Join(parts, ", "))
	if s.Suppressed > 0 || s.Baseline > 0 {
		p.line("%d suppressed by rekey:ignore, %d known from the baseline", s.Suppressed, s.Baseline)
	}
	if skipped := skippedParts(s.Skipped); len(skipped) > 0 {
		p.line("left out: %s", strings.Join(skipped, ", "))
	}
}
