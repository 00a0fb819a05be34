package iac

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"rekey"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"semanticVersion,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Full    sarifText `json:"fullDescription"`
		Help    sarifText `json:"help"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine   int `json:"startLine"`
				StartColumn int `json:"startColumn"`
				EndLine     int `json:"endLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
)

// SARIF writes a report as SARIF 2.1.0, for code scanning. version is rekey's own.
func SARIF(w io.Writer, r Report, version string) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "rekey audit", Version: semantic(version)}
	for _, e := range Registry() {
		rule := sarifRule{ID: string(e.Slug), Short: sarifText{e.Meaning}, Full: sarifText{e.Meaning + " " + e.Why}, Help: sarifText{e.Remedy}}
		rule.Default.Level = sarifLevel(e.Severity)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
	}
	for _, f := range r.Findings {
		run.Results = append(run.Results, sarifOf(f))
	}
	return indented(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifOf(f Finding) sarifResult {
	var at sarifLocation
	at.Physical.Artifact.URI = address(f.Path)
	at.Physical.Region.StartLine, at.Physical.Region.StartColumn, at.Physical.Region.EndLine = f.Line, f.Column, max(f.Line, f.EndLine)
	return sarifResult{RuleID: string(f.Slug), RuleIndex: rank(f.Slug), Level: sarifLevel(f.Severity), Message: sarifText{sentence(f)},
		Locations: []sarifLocation{at}, Fingerprints: map[string]string{"rekeyAudit/v1": f.Fingerprint}}
}

func sarifLevel(s rekey.Severity) string {
	return map[rekey.Severity]string{rekey.Failing: "error", rekey.Warning: "warning"}[s] + map[bool]string{true: "note"}[s == rekey.Info]
}

// semantic leaves out a version that is none: SARIF wants a semantic one.
func semantic(version string) string {
	if _, err := rekey.ParseVersion(version); err != nil {
		return ""
	}
	return strings.TrimPrefix(version, "v")
}

// sentence is a finding in words: what was seen, what it means, what to do.
func sentence(f Finding) string {
	text := f.Evidence + ". " + f.Message + " " + f.Remedy
	if f.Alive != nil {
		text += " " + f.Alive.Seen + "."
	}
	return text
}

// address writes a path as a relative reference of a URL.
func address(path string) string {
	return (&url.URL{Path: strings.TrimPrefix(filepath.ToSlash(path), "./")}).EscapedPath()
}

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
