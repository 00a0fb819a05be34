package iac

import (
	"io"
	"path/filepath"
	"strings"
	"time"

	"rekey"
)

type qualityIssue struct {
	Description string `json:"description"`
	Check       string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

// CodeQuality writes the report that GitLab shows in merge requests
// (artifacts:reports:codequality).
func CodeQuality(w io.Writer, r Report) error {
	issues := make([]qualityIssue, 0, len(r.Findings))
	for _, f := range r.Findings {
		one := qualityIssue{Description: sentence(f), Check: string(f.Slug), Fingerprint: f.Fingerprint,
			Severity: map[rekey.Severity]string{rekey.Failing: "critical", rekey.Warning: "major", rekey.Info: "info"}[f.Severity]}
		one.Location.Path, one.Location.Lines.Begin = relative(f.Path), f.Line
		issues = append(issues, one)
	}
	return indented(w, issues)
}

func relative(path string) string { return strings.TrimPrefix(filepath.ToSlash(path), "./") }

type (
	secretReport struct {
		Version         string         `json:"version"`
		Schema          string         `json:"schema"`
		Vulnerabilities []secretIssue  `json:"vulnerabilities"`
		Scan            secretScanInfo `json:"scan"`
	}
	secretScanInfo struct {
		Analyzer  secretTool `json:"analyzer"`
		Scanner   secretTool `json:"scanner"`
		Type      string     `json:"type"`
		StartTime string     `json:"start_time"`
		EndTime   string     `json:"end_time"`
		Status    string     `json:"status"`
	}
	secretTool struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Version string `json:"version"`
		URL     string `json:"url,omitempty"`
		Vendor  struct {
			Name string `json:"name"`
		} `json:"vendor"`
	}
	secretIssue struct {
		ID          string             `json:"id"`
		Category    string             `json:"category"`
		Name        string             `json:"name"`
		Description string             `json:"description"`
		Severity    string             `json:"severity"`
		Solution    string             `json:"solution"`
		Scanner     map[string]string  `json:"scanner"`
		Location    secretLocation     `json:"location"`
		Identifiers []secretIdentifier `json:"identifiers"`
	}
	secretLocation struct {
		File      string       `json:"file"`
		StartLine int          `json:"start_line"`
		EndLine   int          `json:"end_line"`
		Commit    secretCommit `json:"commit"`
	}
	secretCommit struct {
		SHA     string `json:"sha"`
		Author  string `json:"author,omitempty"`
		Date    string `json:"date,omitempty"`
		Message string `json:"message,omitempty"`
	}
	secretIdentifier struct {
		Type  string `json:"type"`
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// secretSlugs are the findings that speak of a secret: only these belong in a
// secret-detection report.
var secretSlugs = map[Slug]bool{Hardcoded: true, TokenInLog: true, BrokenToken: true, TokenInState: true}

// unknownCommit stands for a finding in the work tree, as GitLab's own analyzer
// writes it.
const unknownCommit = "0000000"

// SecretDetection writes GitLab's secret-detection report
// (artifacts:reports:secret_detection), schema 15.0.7. begin and end are those of
// the scan.
func SecretDetection(w io.Writer, r Report, version string, begin, end time.Time) error {
	const stamp = "2006-01-02T15:04:05"
	tool := secretTool{ID: "rekey", Name: "rekey audit", Version: version}
	tool.Vendor.Name = "rekey"
	report := secretReport{Version: "15.0.7", Schema: "https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/raw/v15.0.7/dist/secret-detection-report-format.json",
		Vulnerabilities: []secretIssue{},
		Scan:            secretScanInfo{Analyzer: tool, Scanner: tool, Type: "secret_detection", StartTime: begin.UTC().Format(stamp), EndTime: end.UTC().Format(stamp), Status: "success"}}
	for _, f := range r.Findings {
		if secretSlugs[f.Slug] && f.Severity != rekey.Info {
			report.Vulnerabilities = append(report.Vulnerabilities, secretOf(f))
		}
	}
	return indented(w, report)
}

func secretOf(f Finding) secretIssue {
	one := secretIssue{ID: f.Fingerprint, Category: "secret_detection", Name: f.Message, Description: f.Evidence, Solution: f.Remedy,
		Severity: map[rekey.Severity]string{rekey.Failing: "Critical", rekey.Warning: "Medium"}[f.Severity],
		Scanner:  map[string]string{"id": "rekey", "name": "rekey audit"},
		Location: secretLocation{File: relative(f.Path), StartLine: f.Line, EndLine: max(f.Line, f.EndLine), Commit: secretCommit{SHA: unknownCommit}}}
	if f.Commit != nil {
		one.Location.Commit = secretCommit{SHA: f.Commit.ID, Author: f.Commit.Author, Date: f.Commit.Date}
	}
	one.Identifiers = []secretIdentifier{{Type: "rekey_audit_slug", Name: "rekey audit " + string(f.Slug), Value: string(f.Slug)}}
	if f.Token != nil {
		one.Identifiers = append(one.Identifiers, secretIdentifier{Type: "rekey_token_fingerprint", Name: "token " + f.Token.String(), Value: string(f.Token.Fingerprint())})
	}
	return one
}
