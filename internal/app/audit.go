package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/iac"
)

// AuditInput is what an audit is asked.
type AuditInput struct {
	Access        Access
	Paths         []string
	Excludes      []string
	NoIgnore      bool
	ForGitLab     string // a version, "" for that of the GitLab at hand
	Baseline      string // a file of known findings, "" for none
	WriteBaseline string // where to write the findings as known, "" for nowhere
	History       bool   // read what git keeps too
	Verify        bool   // ask the GitLab of Access about runner tokens
	Diff, Fix     bool   // work the rewriting out; write it
	Store         string // where literals are put first, "" for nowhere
	Stores        StoreInput
	Fleet         string // a snapshot whose runners the tokens are compared with, "" for none
	State         StateInput
	KeyFile       string // of the snapshot, "" for snapshot.key in the state directory
	Progress      func(done, total int)
}

// AuditOutput is what it answers. Report is the promise to programs; Warnings are
// for people.
type AuditOutput struct {
	Report     iac.Report
	Warnings   []string
	Begin, End time.Time
}

// Audit reads infrastructure code and judges it. It changes code only with Fix, and
// sends nothing anywhere without Verify or Store.
func (a *App) Audit(ctx context.Context, in AuditInput) (AuditOutput, error) {
	out := AuditOutput{Begin: a.Now()}
	target, err := a.auditTarget(ctx, in)
	if err != nil {
		return out, err
	}
	known, err := readBaseline(in)
	if err != nil {
		return out, err
	}
	scan := iac.Scan{Paths: distinct(in.Paths), Excludes: in.Excludes, NoIgnore: in.NoIgnore, Target: target, Progress: in.Progress}
	findings, summary, err := scan.Run(ctx)
	if err == nil && in.History {
		findings, err = a.auditHistory(ctx, in, findings, &summary)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", ctx.Err())
		}
		return out, err
	}
	for _, f := range findings {
		if !f.Secret().IsZero() {
			a.scrub.Add(f.Secret())
		}
	}
	if in.Fleet != "" {
		note, err := a.matchFleet(in, findings)
		if err != nil {
			return out, err
		}
		out.Warnings = append(out.Warnings, note)
	}
	if in.Verify {
		note, err := a.verifyTokens(ctx, in.Access, findings, in.Progress)
		if err != nil {
			return out, err
		}
		out.Warnings = append(out.Warnings, note)
	}
	out.Report = iac.NewReport(findings, summary, target)
	out.Report.Known(known)
	if in.Diff || in.Fix {
		rewritings, err := a.auditFix(ctx, in, target, out.Report)
		if err != nil {
			return out, err
		}
		if out.Report, err = rewritten(out.Report, rewritings, in, target, known); err != nil {
			return out, err
		}
	}
	if n := summary.Skipped["unreadable"]; n > 0 && len(summary.Unreadable) > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d files or folders could not be read, %s first", n, summary.Unreadable[0]))
	}
	out.End = a.Now()
	return out, writeBaseline(in.WriteBaseline, out.Report)
}

// auditTarget is the version that was named, else that of the GitLab at hand where
// it may be asked, else an unknown one, for which both flows are taken to work.
func (a *App) auditTarget(ctx context.Context, in AuditInput) (iac.Target, error) {
	if in.ForGitLab != "" {
		v, err := rekey.ParseVersion(in.ForGitLab)
		return iac.Target{GitLab: v}, err
	}
	if !in.Verify {
		return iac.Target{}, nil
	}
	n, err := a.network(in.Access)
	if err != nil || n.client == nil {
		return iac.Target{}, err
	}
	var target iac.Target
	if _, v, err := n.client.Version(ctx); err == nil {
		target.GitLab = v
	}
	if s, err := n.client.Settings(ctx); err == nil && s.RegistrationAllowed != nil {
		target.RegistrationRefused = !*s.RegistrationAllowed
	}
	return target, nil
}

func readBaseline(in AuditInput) (map[string]bool, error) {
	if in.Baseline == "" {
		return nil, nil
	}
	file, err := os.Open(in.Baseline)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the baseline cannot be read: %w", err).WithHint("write one with `rekey audit --write-baseline FILE`")
	}
	defer file.Close()
	return iac.ReadBaseline(file)
}

// writeBaseline writes what was found as known.
func writeBaseline(path string, r iac.Report) error {
	if path == "" {
		return nil
	}
	var text bytes.Buffer
	if err := iac.WriteBaseline(&text, r); err != nil {
		return err
	}
	if err := durable.Write(path, text.Bytes(), 0o644); err != nil {
		return rekey.Errorf(rekey.KindInvalid, "the baseline cannot be written: %w", err)
	}
	return nil
}

// auditHistory adds what git keeps of the repositories that were named.
func (a *App) auditHistory(ctx context.Context, in AuditInput, findings []iac.Finding, summary *iac.Summary) ([]iac.Finding, error) {
	here := map[rekey.Token]bool{}
	for _, f := range findings {
		here[f.Secret()] = true
	}
	seen := map[string]bool{}
	for _, path := range in.Paths {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			continue
		}
		past, commits, err := gitHistory(ctx, path, here, in.Progress)
		if err != nil {
			return findings, err
		}
		summary.Commits += commits
		for _, f := range past {
			if !seen[f.Fingerprint] {
				seen[f.Fingerprint] = true
				findings = append(findings, f)
			}
		}
	}
	return findings, nil
}
