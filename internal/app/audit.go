package app

import (
	"context"
	"fmt"

	"rekey"
	"rekey/internal/iac"
)

// AuditInput is what an audit is asked.
type AuditInput struct {
	Access    Access
	Paths     []string
	Excludes  []string
	NoIgnore  bool
	ForGitLab string // a version, "" for that of the GitLab at hand
	Baseline  string // a file of known findings, "" for none
	Progress  func(done, total int)
}

// AuditOutput is what it answers. Report is the promise to programs; Warnings are
// for people.
type AuditOutput struct {
	Report   iac.Report
	Warnings []string
}

// Audit reads infrastructure code and judges it. It changes nothing.
func (a *App) Audit(ctx context.Context, in AuditInput) (AuditOutput, error) {
	target, err := a.auditTarget(in)
	if err != nil {
		return AuditOutput{}, err
	}
	scan := iac.Scan{Paths: distinct(in.Paths), Excludes: in.Excludes, NoIgnore: in.NoIgnore, Target: target, Progress: in.Progress}
	findings, summary, err := scan.Run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", err)
		}
		return AuditOutput{}, err
	}
	out := AuditOutput{Report: iac.NewReport(findings, summary, target)}
	if n := summary.Skipped["unreadable"]; n > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d files or folders could not be read, %s first", n, summary.Unreadable[0]))
	}
	return out, nil
}

func (a *App) auditTarget(in AuditInput) (iac.Target, error) {
	if in.ForGitLab == "" {
		return iac.Target{}, nil
	}
	v, err := rekey.ParseVersion(in.ForGitLab)
	return iac.Target{GitLab: v}, err
}
