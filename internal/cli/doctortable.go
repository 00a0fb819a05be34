package cli

import (
	"fmt"
	"strings"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/diagnose"
)

// doctorTable shows a report to a person: healthy sections take one line, the
// others say what, why, what was seen and what to do.
func (c *command) doctorTable(out app.DoctorOutput) {
	p, r := c.paper(), out.Report
	for _, config := range r.Configs {
		p.line("%s", p.bold(config.Path))
		if config.Error != "" {
			p.wrapped("  "+p.red("✘")+" ", strings.TrimPrefix(config.Error, config.Path+": "))
		}
		sections := of(r.Sections, config.Path)
		if config.Error == "" && len(sections) == 0 {
			p.line("  no [[runners]] section")
		}
		width := nameWidth(sections)
		for _, s := range sections {
			p.section(s, width)
		}
		p.line("")
	}
	for _, note := range r.Notes {
		p.wrapped("  ", note)
	}
	p.summary(r)
}

func of(sections []diagnose.SectionReport, path string) []diagnose.SectionReport {
	var list []diagnose.SectionReport
	for _, s := range sections {
		if s.Config == path {
			list = append(list, s)
		}
	}
	return list
}

func nameWidth(sections []diagnose.SectionReport) int {
	width := 8
	for _, s := range sections {
		width = max(width, len([]rune(title(s))))
	}
	return min(width, 32)
}

func title(s diagnose.SectionReport) string {
	if s.Name == "" {
		return fmt.Sprintf("[%d]", s.Index)
	}
	return s.Name
}

func (p *paper) section(s diagnose.SectionReport, width int) {
	mark := map[rekey.Verdict]string{rekey.Valid: p.green("✔"), rekey.Invalid: p.red("✘"), rekey.Unknown: p.yellow("?")}[s.Verdict]
	id := ""
	if s.RunnerID != 0 {
		id = fmt.Sprintf("runner %d at ", s.RunnerID)
	}
	p.line("  %s %-*s  %-7s  %s", mark, width, title(s), s.Verdict, p.faint(id+s.URL))
	for _, f := range s.Findings {
		p.finding(f, "      ")
	}
	if s.Untold != "" && len(s.Findings) > 0 {
		p.wrapped("      not told: ", s.Untold)
	}
}

func (p *paper) finding(f rekey.Finding, indent string) {
	if f.Severity == rekey.Info {
		p.hint(f, indent)
		return
	}
	label := string(f.Cause)
	switch f.Severity {
	case rekey.Failing:
		label = p.red(label)
	case rekey.Warning:
		label = p.yellow(label)
	}
	p.line("%s%s %s", indent, label, p.faint(fmt.Sprintf("(%s, %s)", f.Severity, f.Confidence)))
	for _, e := range f.Evidence {
		p.wrapped(indent+"  saw ", evidence(e))
	}
	p.wrapped(indent+"  do  ", f.Remedy)
	for _, b := range f.Because {
		p.line("%s  explains %s", indent, b.Cause)
	}
}

// hint shows a finding of severity info in one sentence; those that are merely
// possible are for programs.
func (p *paper) hint(f rekey.Finding, indent string) {
	if f.Confidence != rekey.Possible && len(f.Evidence) > 0 {
		p.wrapped(indent+"note: ", f.Evidence[0].Seen)
	}
}

func evidence(e rekey.Evidence) string {
	text := e.Seen
	if e.Where != "" {
		text += " (" + e.Where + ")"
	}
	return text
}

func (p *paper) summary(r diagnose.Report) {
	parts := []string{}
	add := func(n int, word string, paint func(string) string) {
		if n > 0 {
			parts = append(parts, paint(fmt.Sprintf("%d %s", n, word)))
		}
	}
	add(r.Summary.Valid, "valid", p.green)
	add(r.Summary.Invalid, "invalid", p.red)
	add(r.Summary.Unknown, "unknown", p.yellow)
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	p.line("%s: %s", plural(len(r.Sections), "section", "sections"), strings.Join(parts, ", "))
	if r.Summary.Invalid > 0 {
		p.line("Next: `rekey fix --dry-run` shows what would be done about it.")
	}
}
