package export

import (
	"encoding/json"
	"io"
	"path/filepath"

	"rekey"
	"rekey/internal/diagnose"
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
func SARIF(w io.Writer, r diagnose.Report, version string) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "rekey", Version: version, Rules: []sarifRule{}}}, Results: []sarifResult{}}
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
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func sarifOf(s diagnose.SectionReport, f rekey.Finding) sarifResult {
	place := sarifPhysical{Artifact: sarifArtifact{URI: filepath.ToSlash(s.Config)}}
	if s.Line > 0 {
		place.Region = &sarifRegion{s.Line}
	}
	return sarifResult{
		RuleID: string(f.Cause), Level: sarifLevels[f.Severity], Message: sarifText{message(s, f)},
		Locations:    []sarifLocation{{place}},
		Fingerprints: map[string]string{"rekeySection/v1": s.Config + "\x1f" + s.Name + "\x1f" + string(s.Token.Fingerprint())},
	}
}
