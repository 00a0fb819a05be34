package iac

import (
	"encoding/json"
	"io"

	"rekey"
)

// baselineSchema names the format of a baseline file.
const baselineSchema = "rekey.audit-baseline/1"

type baselineFile struct {
	Schema   string          `json:"schema"`
	Findings []baselineEntry `json:"findings"`
}

// baselineEntry keeps more than the fingerprint so that a person can review what is
// accepted; only the fingerprint counts.
type baselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Slug        Slug   `json:"slug"`
	Path        string `json:"path"`
	Line        int    `json:"line"`
}

// WriteBaseline writes the findings of a report as accepted. It holds no token.
func WriteBaseline(w io.Writer, r Report) error {
	b := baselineFile{Schema: baselineSchema, Findings: []baselineEntry{}}
	for _, f := range r.Findings {
		b.Findings = append(b.Findings, baselineEntry{f.Fingerprint, f.Slug, relative(f.Path), f.Line})
	}
	return indented(w, b)
}

// ReadBaseline returns the fingerprints that a baseline accepts.
func ReadBaseline(r io.Reader) (map[string]bool, error) {
	var b baselineFile
	if err := json.NewDecoder(r).Decode(&b); err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the baseline is no JSON: %w", err).WithHint("write it anew with --write-baseline")
	}
	if b.Schema != baselineSchema {
		return nil, rekey.Errorf(rekey.KindInvalid, "the baseline's schema is %q, not %s", b.Schema, baselineSchema).WithHint("write it anew with --write-baseline")
	}
	known := make(map[string]bool, len(b.Findings))
	for _, e := range b.Findings {
		known[e.Fingerprint] = true
	}
	return known, nil
}
