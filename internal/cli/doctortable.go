package cli

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/diagnose"
)

// doctorTable shows a report to a person: healthy sections take one line, the
// others say what, why, what was seen and what to do.
func doctorTable(to *paper, out app.DoctorOutput) {
	p, r := &chart{paper: to, told: map[string]string{}}, out.Report
	for _, config := range r.Configs {
		p.line("%s", p.bold(config.Path))
		if config.Error != "" {
			p.wrapped("  "+p.red("✘")+" ", strings.TrimPrefix(config.Error, config.Path+": "))
		}
		sections := of(r.Sections, config.Path)
		if config.Error == "" && len(sections) == 0 {
			p.line("  no [[runners]] section")
		}
		width, left := nameWidth(sections), 0
		for _, s := range sections {
			if r.Interrupted && notReached(s) {
				left++
				continue
			}
			p.section(s, width)
		}
		if left > 0 {
			p.line("  %s %s not asked: interrupted", p.yellow("?"), plural(left, "section", "sections"))
		}
		p.line("")
	}
	for _, f := range r.Findings {
		p.finding(f, diagnose.SectionReport{})
	}
	for _, note := range r.Notes {
		p.wrapped("  ", note)
	}
	for _, server := range r.GitLab {
		p.userToken(server)
	}
	if len(r.Configs) > 0 { // none in a report that starts from a job
		p.summary(r)
	}
	if out.Upgrade != nil {
		p.upgrade(out.Upgrade, r)
	}
}

// chart is one table under way. What was told of one section is not told again of
// the next: told maps a remedy, or what was not told, to who had it first.
type chart struct {
	*paper
	told map[string]string
}

// once writes text after first, or refers to the section that had the same.
func (p *chart) once(first, text, title string) {
	if who, again := p.told[text]; again && who != title {
		text = "as for " + who
	} else {
		p.told[text] = title
	}
	p.wrapped(first, text)
}

// userToken says once what every section of that GitLab suffers from.
func (p *paper) userToken(s diagnose.ServerReport) {
	switch s.UserToken {
	case diagnose.UserTokenRefused:
		p.wrapped(p.yellow("!")+" ", fmt.Sprintf("%s refuses the user token (401): it is unknown, expired or revoked; the verdicts do without it", s.URL))
	case diagnose.UserTokenUnknown:
		p.wrapped(p.yellow("!")+" ", fmt.Sprintf("%s could not be asked with the user token: %s", s.URL, s.UserTokenDetail))
	}
}

// notReached reports whether an interrupt is all that keeps a section from a verdict.
func notReached(s diagnose.SectionReport) bool {
	if s.Verdict != rekey.Unknown || len(s.Findings) == 0 || s.Findings[0].Cause != rekey.Unreachable {
		return false
	}
	seen := s.Findings[0].Evidence
	return len(seen) == 1 && strings.HasSuffix(seen[0].Seen, ": "+diagnose.InterruptedMessage)
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

// title is what a section is called: one line of its name, by its place without.
func title(s diagnose.SectionReport) string {
	const most = 64
	name := []rune(strings.TrimSpace(oneLine(s.Name)))
	switch {
	case len(name) == 0:
		return fmt.Sprintf("[%d]", s.Index)
	case len(name) > most:
		return string(name[:most-1]) + "…"
	}
	return string(name)
}

func (p *chart) section(s diagnose.SectionReport, width int) {
	mark := map[rekey.Verdict]string{rekey.Valid: p.green("✔"), rekey.Invalid: p.red("✘"), rekey.Unknown: p.yellow("?")}[s.Verdict]
	id := ""
	if s.RunnerID != 0 {
		id = fmt.Sprintf("runner %d at ", s.RunnerID)
	}
	if at := id + s.URL; len("  ✔   ")+width+len(s.Verdict)+utf8.RuneCountInString(at) > p.width {
		p.line("  %s %s  %s", mark, title(s), s.Verdict)
		p.line("      %s", p.faint(at))
	} else {
		p.line("  %s %-*s  %-7s  %s", mark, width, title(s), s.Verdict, p.faint(at))
	}
	for _, f := range s.Findings {
		p.finding(f, s)
	}
	if s.Untold != "" && len(s.Findings) > 0 {
		p.once("      not told: ", s.Untold, title(s))
	}
}

func (p *chart) finding(f rekey.Finding, s diagnose.SectionReport) {
	const indent = "      "
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
		p.wrapped(indent+saidOf(e), evidence(e, s))
	}
	p.once(indent+"  do  ", f.Remedy, title(s))
	for _, b := range f.Because {
		p.line("%s  explains %s", indent, b.Cause)
	}
}

// hint shows a finding of severity info in one sentence; those that are merely
// possible are for programs.
func (p *chart) hint(f rekey.Finding, indent string) {
	if f.Confidence != rekey.Possible && len(f.Evidence) > 0 {
		p.wrapped(indent+"note: ", f.Evidence[0].Seen)
	}
}

// saidOf tells what was seen from what would decide and could not be had.
func saidOf(e rekey.Evidence) string {
	if e.Where == "" && strings.Contains(e.Seen, " would ") {
		return "  but "
	}
	return "  saw "
}

// evidence leaves out of the place what the lines above say already: the file, and
// the GitLab's address.
func evidence(e rekey.Evidence, s diagnose.SectionReport) string {
	if s.Config == "" && e.Where != "" {
		return e.Seen + " (" + e.Where + ")"
	}
	where := strings.Replace(e.Where, s.Config+":", "line ", 1)
	if u, err := url.Parse(s.URL); err == nil && u.Host != "" {
		where = strings.Replace(where, u.Scheme+"://"+u.Host+"/", "/", 1)
	}
	seen := strings.Replace(e.Seen, " of "+s.Config+" too", " too", 1)
	seen = strings.TrimSuffix(seen, ", with URL "+s.URL)
	if where == "" || where == s.Config {
		return seen
	}
	return seen + " (" + where + ")"
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
	if r.Interrupted {
		p.wrapped(p.yellow("!")+" ", "Interrupted: this is what was known by then.")
	}
	if r.Summary.Invalid > 0 {
		p.wrapped("Next: ", nextOf(r))
	}
}

// nextOf is the command behind a report with refused tokens: `rekey fix` mends the
// files of the machine that it runs on.
func nextOf(r diagnose.Report) string {
	here, there := false, false
	for _, s := range r.Sections {
		if s.Verdict == rekey.Invalid {
			far := strings.Contains(s.Config, "://")
			here, there = here || !far, there || far
		}
	}
	const fix = "`rekey fix --dry-run` shows what would be done about it"
	switch {
	case here && there:
		return fix + " on this machine; for the other hosts each finding names the command, and where it runs."
	case there:
		return "each finding names the command that mends it, and where it runs: without --host `rekey fix` looks at this machine only."
	}
	return fix + "."
}
