package cli

import (
	"fmt"
	"strings"

	"rekey/internal/diagnose"
	"rekey/internal/upgrade"
)

// most is how many sections of one kind are named before the rest is counted.
const most = 6

// upgrade shows what a GitLab to come does to the sections. Sections with the same
// reasons are told together: of a thousand there are a few kinds.
func (p *chart) upgrade(u *upgrade.Report, r diagnose.Report) {
	p.line("")
	p.line("%s", p.bold("Before an upgrade to "+u.Version))
	for _, s := range u.GitLab {
		p.upgradeServer(s)
	}
	for _, e := range []upgrade.Effect{upgrade.Breaks, upgrade.Unknown, upgrade.Deprecated, upgrade.Fine} {
		for _, k := range kindsOf(u.Sections, r.Sections, e) {
			p.kind(k)
		}
	}
	for _, note := range u.Notes {
		p.wrapped("  ", note)
	}
	p.line("%s", p.upgradeSummary(u))
}

func (p *chart) upgradeServer(s upgrade.Server) {
	version := s.Version
	if version == "" {
		version = "version unknown"
	}
	p.line("  %s  %s", s.URL, p.faint(version))
	for _, reason := range s.Reasons {
		p.wrapped("      ", p.tagged(reason, upgrade.Fine))
	}
	for _, row := range s.Crossed {
		p.wrapped(fmt.Sprintf("      %s %s: ", row.Since, row.Level), row.Text)
	}
}

// kind is sections with one effect for the same reasons.
type kind struct {
	effect  upgrade.Effect
	reasons []upgrade.Reason
	names   []string
}

func kindsOf(sections []upgrade.Section, today []diagnose.SectionReport, e upgrade.Effect) []*kind {
	var kinds []*kind
	known := map[string]*kind{}
	for i, s := range sections {
		if s.Effect != e {
			continue
		}
		var key strings.Builder
		for _, r := range s.Reasons {
			key.WriteString(r.Text + "\n")
		}
		k := known[key.String()]
		if k == nil {
			k = &kind{effect: e, reasons: s.Reasons}
			known[key.String()], kinds = k, append(kinds, k)
		}
		k.names = append(k.names, title(today[i]))
	}
	return kinds
}

func (p *chart) kind(k *kind) {
	names := strings.Join(k.names[:min(most, len(k.names))], ", ")
	if rest := len(k.names) - most; rest > 0 {
		names += fmt.Sprintf(" and %s more", grouped(float64(rest)))
	}
	p.wrapped("  "+p.effect(k.effect)+" ", names)
	for _, r := range k.reasons {
		p.wrapped("      ", p.tagged(r, k.effect))
	}
}

// tagged is a reason with its effect, where that is not the one of the heading.
func (p *paper) tagged(r upgrade.Reason, heading upgrade.Effect) string {
	text := r.Text
	if r.Since != "" {
		text += " (since " + r.Since + ")"
	}
	if r.Effect != heading {
		text = string(r.Effect) + ": " + text
	}
	return text
}

func (p *paper) effect(e upgrade.Effect) string {
	text := fmt.Sprintf("%-10s", e)
	switch e {
	case upgrade.Breaks:
		return p.red(text)
	case upgrade.Fine:
		return p.green(text)
	}
	return p.yellow(text)
}

func (p *paper) upgradeSummary(u *upgrade.Report) string {
	var parts []string
	for _, n := range []struct {
		count int
		word  string
	}{{u.Summary.Breaks, "broken"}, {u.Summary.Unknown, "cannot be told"}, {u.Summary.Deprecated, "deprecated"}, {u.Summary.Fine, "fine"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", grouped(float64(n.count)), n.word))
		}
	}
	if len(parts) == 0 {
		return "no section"
	}
	return fmt.Sprintf("For GitLab %s, %s: %s", u.Version, plural(len(u.Sections), "section", "sections"), strings.Join(parts, ", "))
}
