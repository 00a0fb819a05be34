package export

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/upgrade"
)

// The part of SARIF 2.1.0 (OASIS) that a report fills.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool     `json:"tool"`
		Invocations []sarifInvoke `json:"invocations"`
		Results     []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Help    sarifText `json:"help"`
		HelpURI string    `json:"helpUri,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvoke struct {
		Successful    bool          `json:"executionSuccessful"`
		Notifications []sarifNotice `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotice struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

// sarifLevels are SARIF's words for severities.
var sarifLevels = map[rekey.Severity]string{rekey.Info: "note", rekey.Warning: "warning", rekey.Failing: "error"}

// SARIF writes the top-level findings as SARIF 2.1.0: one rule per cause, one
// result per finding, at the token's line of its config. Configs that could not
// be read are notifications.
func SARIF(w io.Writer, d Document) error {
	r := d.Report
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "rekey", Version: d.Version, Rules: []sarifRule{}}}, Results: []sarifResult{}}
	for _, e := range diagnose.Registry() {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: string(e.Cause), Short: sarifText{e.Meaning}, Help: sarifText{e.Remedy}})
	}
	invoke := sarifInvoke{Successful: true}
	for _, c := range r.Configs {
		if c.Error != "" {
			invoke.Successful = false
			invoke.Notifications = append(invoke.Notifications, sarifNotice{"error", sarifText{c.Error}})
		}
	}
	run.Invocations = []sarifInvoke{invoke}
	for _, s := range r.Sections {
		for _, f := range s.Findings {
			run.Results = append(run.Results, sarifOf(s, f))
		}
	}
	run.add(d)
	for _, f := range r.Findings {
		run.Results = append(run.Results, sarifOfLog(f))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// upgradeRule is the rule of what a GitLab to come does.
const upgradeRule = "before-upgrade"

var upgradeLevels = map[upgrade.Effect]string{upgrade.Breaks: "error", upgrade.Unknown: "warning", upgrade.Deprecated: "warning"}

// add puts what a GitLab to come does beside the findings; what is fine is no result.
func (run *sarifRun) add(d Document) {
	if d.Upgrade == nil {
		return
	}
	run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: upgradeRule, Short: sarifText{"A GitLab to come breaks this section, or deprecates what it depends on."},
		Help: sarifText{"Run `rekey doctor --for-gitlab VERSION` and see to what breaks before the upgrade."}})
	for i, s := range d.Upgrade.Sections {
		level, told := upgradeLevels[s.Effect]
		if !told {
			continue
		}
		run.Results = append(run.Results, sarifResult{RuleID: upgradeRule, Level: level, Message: sarifText{title(d.Report.Sections[i]) + " " + upgradeWords(d.Upgrade.Version, s)},
			Locations: placeOf(d.Report.Sections[i]), Fingerprints: fingerprintOf(d.Report.Sections[i])})
	}
}

// sarifOfLog is a finding of no section, at the log's line that tells it.
func sarifOfLog(f rekey.Finding) sarifResult {
	r := sarifOf(diagnose.SectionReport{}, f)
	where := ""
	if len(f.Evidence) > 0 {
		where = f.Evidence[0].Where
	}
	place := sarifPhysical{Artifact: artifactOf(where)}
	if i := strings.LastIndex(where, ":"); i >= 0 {
		if line, err := strconv.Atoi(where[i+1:]); err == nil && line > 0 {
			place.Artifact, place.Region = artifactOf(where[:i]), &sarifRegion{line}
		}
	}
	r.Locations = []sarifLocation{{place}}
	r.Fingerprints = map[string]string{"rekeySection/v1": where}
	return r
}

func sarifOf(s diagnose.SectionReport, f rekey.Finding) sarifResult {
	return sarifResult{RuleID: string(f.Cause), Level: sarifLevels[f.Severity], Message: sarifText{message(s, f)}, Locations: placeOf(s), Fingerprints: fingerprintOf(s)}
}

func placeOf(s diagnose.SectionReport) []sarifLocation {
	place := sarifPhysical{Artifact: artifactOf(s.Config)}
	if s.Line > 0 {
		place.Region = &sarifRegion{s.Line}
	}
	return []sarifLocation{{place}}
}

// artifactOf is a path as a reference, which is what SARIF takes (RFC 3986): spaces and
// what has a meaning in addresses are escaped. A file of another host is an address.
func artifactOf(path string) sarifArtifact {
	if scheme, rest, far := strings.Cut(path, "://"); far {
		return sarifArtifact{URI: scheme + "://" + (&url.URL{Path: rest}).EscapedPath()}
	}
	return sarifArtifact{URI: (&url.URL{Path: filepath.ToSlash(path)}).String()}
}

func fingerprintOf(s diagnose.SectionReport) map[string]string {
	return map[string]string{"rekeySection/v1": s.Config + "\x1f" + s.Name + "\x1f" + string(s.Token.Fingerprint())}
}
