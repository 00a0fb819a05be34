package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"rekey/internal/app"
	"rekey/internal/diagnose"
	"rekey/internal/durable"
	"rekey/internal/export"
	"rekey/internal/upgrade"
)

// showDoctor writes the report where it was asked for, and its warnings to people.
func (c *command) showDoctor(out app.DoctorOutput, f *doctorFlags) error {
	for _, w := range out.Warnings {
		fmt.Fprintf(c.Err, "rekey: %s\n", w)
	}
	if f.file == "" {
		return c.writeDoctor(c.Out, c.paper(), out, f.output)
	}
	var b bytes.Buffer
	if err := c.writeDoctor(&b, &paper{w: &b, width: plainWidth}, out, f.output); err != nil {
		return err
	}
	return durable.Write(f.file, b.Bytes(), 0o644) // for others to read: a report holds no token
}

// writeDoctor writes the report to w; p is w for people.
func (c *command) writeDoctor(w io.Writer, p *paper, out app.DoctorOutput, output string) error {
	doc := export.Document{Report: out.Report, Upgrade: out.Upgrade, Version: Version(), Now: c.app.Now()}
	switch output {
	case "json":
		return writeJSON(w, doctorDocument{out.Report, out.Upgrade})
	case "sarif":
		return export.SARIF(w, doc)
	case "junit":
		return export.JUnit(w, doc)
	case "prometheus":
		return export.Prometheus(w, doc)
	}
	doctorTable(p, out)
	return nil
}

// doctorDocument is the contract of docs/json.md.
type doctorDocument struct {
	diagnose.Report
	ForGitLab *upgrade.Report `json:"for_gitlab,omitempty"`
}

// json writes one document. It passes through no scrubber that could cut it:
// reports hold no token.
func (c *command) json(v any) error { return writeJSON(c.Out, v) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
