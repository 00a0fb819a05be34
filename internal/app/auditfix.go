package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/iac"
	"rekey/internal/secretstore"
)

// AuditRewriting is one file that was, or would be, rewritten.
type AuditRewriting struct {
	iac.Rewriting
	Dirty bool // git has changes of it that are not committed
}

// auditFix works out the rewriting of every file with something to mend and, with
// Fix, stores the literals and writes the files. Nothing is written when a literal
// could not be stored first.
func (a *App) auditFix(ctx context.Context, in AuditInput, target iac.Target, report iac.Report) ([]AuditRewriting, error) {
	options := iac.RewriteOptions{Target: target, Reference: in.Store}
	if in.Store != "" {
		if _, err := secretstore.Parse(in.Store); err != nil {
			return nil, err
		}
	}
	rewritings, err := rewriteFiles(ctx, report, options)
	if err != nil {
		return nil, err
	}
	for _, r := range rewritings {
		for _, s := range r.Secrets() {
			a.scrub.Add(s)
		}
	}
	markDirty(ctx, rewritings)
	if !in.Fix {
		return rewritings, nil
	}
	if in.Store != "" {
		if err := a.storeLiterals(ctx, in, rewritings); err != nil {
			return nil, err
		}
	}
	for i, r := range rewritings {
		if !r.Changed() {
			continue
		}
		if _, err := durable.Replace(r.Path, r.Before, r.After); err != nil {
			return rewritings[:i], rekey.Errorf(rekey.KindOf(err), "%s was not rewritten: %w", r.Path, err).WithHint("the files named before are; run `rekey audit --fix` again for the rest")
		}
	}
	return rewritings, nil
}

// rewriteFiles reads the files anew; one that changed since is rewritten as it is
// now, and written only if it stays so.
func rewriteFiles(ctx context.Context, report iac.Report, options iac.RewriteOptions) ([]AuditRewriting, error) {
	var out []AuditRewriting
	modules := map[string]*module{}
	for _, path := range toRewrite(report, modules) {
		if ctx.Err() != nil {
			return nil, rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", ctx.Err())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			return nil, rekey.Errorf(rekey.KindUnavailable, "%w", err)
		}
		one := options
		m := modules[filepath.Dir(path)]
		if m != nil {
			one.Beside = m.beside(path)
		}
		r := iac.Rewrite(path, raw, one)
		if m != nil && r.Changed() {
			m.after = append(m.after, r.After)
		}
		out = append(out, AuditRewriting{Rewriting: r})
	}
	return out, nil
}

// module are the Terraform files of one folder.
type module struct {
	texts map[string][]byte
	after [][]byte
}

func (m *module) beside(path string) [][]byte {
	others := slices.Clone(m.after)
	for other, text := range m.texts {
		if other != path {
			others = append(others, text)
		}
	}
	return others
}

// toRewrite lists the files with a finding that can be mended, and those of their
// Terraform modules that may refer to what is moved.
func toRewrite(report iac.Report, modules map[string]*module) []string {
	var paths []string
	for _, f := range report.Findings {
		if f.Fixable && f.Commit == nil && !slices.Contains(paths, f.Path) {
			paths = append(paths, f.Path)
		}
	}
	for _, path := range slices.Clone(paths) {
		dir := filepath.Dir(path)
		if filepath.Ext(path) != ".tf" && filepath.Ext(path) != ".tofu" || modules[dir] != nil {
			continue
		}
		m := &module{texts: map[string][]byte{}}
		modules[dir] = m
		siblings, _ := filepath.Glob(filepath.Join(dir, "*.t[fo]*"))
		for _, other := range siblings {
			text, err := os.ReadFile(other)
			if err != nil || !strings.HasSuffix(other, ".tf") && !strings.HasSuffix(other, ".tofu") {
				continue
			}
			m.texts[other] = text
			if bytes.Contains(text, []byte("gitlab_runner.")) && !slices.Contains(paths, other) {
				paths = append(paths, other)
			}
		}
	}
	return paths
}

// markDirty tells the files that git has uncommitted changes of.
func markDirty(ctx context.Context, rewritings []AuditRewriting) {
	for i, r := range rewritings {
		if !r.Changed() {
			continue
		}
		_ = gitLines(git(ctx, filepath.Dir(r.Path), "status", "--porcelain", "--", filepath.Base(r.Path)), '\n', func(line string) {
			rewritings[i].Dirty = line != ""
		})
	}
}

// storeLiterals puts the token that stood in the code into the user's store. A
// registration token is not kept: nothing reads it any more.
func (a *App) storeLiterals(ctx context.Context, in AuditInput, rewritings []AuditRewriting) error {
	var tokens []rekey.Token
	for _, r := range rewritings {
		for _, t := range r.Keep() {
			if !slices.Contains(tokens, t) {
				tokens = append(tokens, t)
			}
		}
	}
	switch len(tokens) {
	case 0:
		return nil
	case 1:
		return a.storeLiteral(ctx, SecretInput{Ref: in.Store, StoreInput: in.Stores}, tokens[0])
	}
	return rekey.Errorf(rekey.KindInvalid, "%d different tokens stand in these files, and --store names one place", len(tokens)).
		WithHint("name the files of one token at a time: rekey audit --fix --store REF FILE…")
}

func (a *App) storeLiteral(ctx context.Context, in SecretInput, token rekey.Token) error {
	return a.withStore(in, func(s secretstore.Store, ref secretstore.Ref) error {
		now, err := s.Get(ctx, ref, "")
		switch {
		case err == nil && now.Value == token:
			return nil
		case err == nil:
			return rekey.Errorf(rekey.KindConflict, "%s holds another token already: no file was changed", in.Ref).WithHint("name a reference where nothing is yet, or drop --store")
		case rekey.KindOf(err) != rekey.KindNotFound:
			return err
		}
		if _, err = s.Put(ctx, ref, token, secretstore.Put{If: secretstore.Absent()}); err != nil {
			return fmt.Errorf("the token could not be stored, and no file was changed: %w", err)
		}
		return nil
	})
}

// rewritten is the report after the rewriting: what is left in the files, and what
// became of each.
func rewritten(report iac.Report, rewritings []AuditRewriting, in AuditInput, target iac.Target, known map[string]bool) (iac.Report, error) {
	changed := map[string]iac.Rewriting{}
	var files []iac.RewrittenFile
	for _, r := range rewritings {
		f := iac.RewrittenFile{Path: r.Path, Changed: r.Changed(), Written: in.Fix && r.Changed(), Fixed: r.Fixed, Left: len(r.Left), Notes: r.Notes, Refused: r.Refused, Dirty: r.Dirty}
		var diff strings.Builder
		if err := r.Diff(&diff); err != nil {
			return report, err
		}
		f.Diff = diff.String()
		if files = append(files, f); f.Written {
			changed[r.Path] = r.Rewriting
		}
	}
	if len(changed) > 0 {
		left := slices.DeleteFunc(slices.Clone(report.Findings), func(f iac.Finding) bool {
			_, gone := changed[f.Path]
			return gone && f.Commit == nil
		})
		for _, r := range changed {
			left = append(left, r.Left...)
		}
		summary := report.Summary
		summary.Suppressed, summary.Baseline = 0, 0
		iac.Identify(left)
		report = iac.NewReport(left, summary, target)
		report.Known(known)
	}
	report.Rewritten = files
	return report, nil
}
