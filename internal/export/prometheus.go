package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
)

// Prometheus writes the report for node_exporter's textfile collector: a gauge
// per section and verdict, one per finding, and when doctor ran. Write it to a
// new file and rename it, so that the collector never reads half of it.
func Prometheus(w io.Writer, d Document) error {
	r, b := d.Report, bufio.NewWriter(w)
	head(b, "rekey_section_verdict", "1 for the verdict of a section's token, 0 for the other two.")
	for _, s := range r.Sections {
		for _, v := range []rekey.Verdict{rekey.Valid, rekey.Invalid, rekey.Unknown} {
			fmt.Fprintf(b, "rekey_section_verdict{%s,verdict=%s} %d\n", labels(s), quote(string(v)), one(s.Verdict == v))
		}
	}
	head(b, "rekey_section_finding", "1 for each finding of a section.")
	for _, s := range r.Sections {
		for _, f := range s.Findings {
			fmt.Fprintf(b, "rekey_section_finding{%s,cause=%s,severity=%s,confidence=%s} 1\n", labels(s), quote(string(f.Cause)), quote(string(f.Severity)), quote(string(f.Confidence)))
		}
	}
	head(b, "rekey_finding", "1 for each finding that belongs to no section.")
	for _, f := range r.Findings {
		fmt.Fprintf(b, "rekey_finding{cause=%s,severity=%s,confidence=%s} 1\n", quote(string(f.Cause)), quote(string(f.Severity)), quote(string(f.Confidence)))
	}
	head(b, "rekey_config_readable", "1 when a config could be read and parsed.")
	for _, c := range r.Configs {
		fmt.Fprintf(b, "rekey_config_readable{config=%s} %d\n", quote(c.Path), one(c.Error == ""))
	}
	head(b, "rekey_sections", "Sections by verdict.")
	fmt.Fprintf(b, "rekey_sections{verdict=\"valid\"} %d\nrekey_sections{verdict=\"invalid\"} %d\nrekey_sections{verdict=\"unknown\"} %d\n",
		r.Summary.Valid, r.Summary.Invalid, r.Summary.Unknown)
	clocks(b, r)
	upgrades(b, d)
	head(b, "rekey_doctor_complete", "0 when doctor was interrupted and the rest is what was known by then.")
	fmt.Fprintf(b, "rekey_doctor_complete %d\n", one(!r.Interrupted))
	head(b, "rekey_doctor_timestamp_seconds", "When doctor ran, in seconds since 1970.")
	fmt.Fprintf(b, "rekey_doctor_timestamp_seconds %d\n", d.Now.Unix())
	return b.Flush()
}

// clocks tells of the GitLabs that told their time.
func clocks(w io.Writer, r diagnose.Report) {
	head(w, "rekey_gitlab_clock_skew_seconds", "How far this machine's clock is ahead of a GitLab's.")
	for _, g := range r.GitLab {
		if g.ClockSkew != nil {
			fmt.Fprintf(w, "rekey_gitlab_clock_skew_seconds{url=%s} %d\n", quote(g.URL), *g.ClockSkew)
		}
	}
}

// upgrades tells what a GitLab to come does, where one was asked about.
func upgrades(w io.Writer, d Document) {
	if d.Upgrade == nil {
		return
	}
	head(w, "rekey_section_upgrade_effect", "1 for what an upgrade to the version does to a section.")
	for i, s := range d.Upgrade.Sections {
		fmt.Fprintf(w, "rekey_section_upgrade_effect{%s,version=%s,effect=%s} 1\n", labels(d.Report.Sections[i]), quote(d.Upgrade.Version), quote(string(s.Effect)))
	}
}

func head(w io.Writer, name, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

func labels(s diagnose.SectionReport) string {
	return fmt.Sprintf("config=%s,index=\"%d\",name=%s,url=%s,runner_id=\"%d\"", quote(s.Config), s.Index, quote(s.Name), quote(s.URL), s.RunnerID)
}

// quote is a label value of the text format: backslash, quote and newline are
// escaped, and nothing else.
func quote(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(v, "\uFFFD")) + `"`
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
