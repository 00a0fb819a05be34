package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/iac"
)

func (c *command) audit() *cobra.Command {
	var in app.AuditInput
	output, failOn := "table", "error"
	cmd := &cobra.Command{
		Use:   "audit [PATH…]",
		Short: "Find registration tokens and hard-coded runner tokens in infrastructure code",
		Long: `audit reads Terraform, Ansible, Helm and Kubernetes YAML, compose files, shell and
PowerShell scripts, Dockerfiles, Nix, Puppet and more, each with a parser of its
own, and says where runners are still registered with registration tokens, where
tokens are hard-coded or printed, and what that means on your GitLab.

--diff shows what can be mended without a guess, --fix writes it: only the bytes in
question change, the result is parsed again, and what needs a decision becomes a
comment that begins with "rekey:".

It reads the current folder when no PATH is given, leaves out what .gitignore
leaves out, and sends nothing anywhere unless --verify is given. A comment
"rekey:ignore SLUG reason" on a line, or alone on the line above, accepts a finding.`,
		Example: `  rekey audit                                # this folder
  rekey audit --for-gitlab 18.0 infra/       # what breaks with that version
  rekey audit -o sarif . > audit.sarif       # for code scanning
  rekey audit --exclude 'vendor/' --fail-on warning .
  rekey audit --diff infra/                  # what --fix would write
  rekey audit --fix infra/                   # write it; what needs a decision becomes a comment
  rekey audit --fix --store vault://secret/ci/runner#token deploy.sh   # keep its token first
  rekey audit --history                      # tokens ever committed, and how to rotate each
  rekey audit --verify --url https://gitlab.example.com   # which of them are alive`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			threshold, err := rekey.ParseSeverity(failOn)
			if err != nil {
				return err
			}
			if err := known("-o", output, auditFormats...); err != nil {
				return err
			}
			if in.Paths = args; len(args) == 0 {
				in.Paths = []string{"."}
			}
			if in.Store != "" && !in.Diff && !in.Fix {
				return rekey.Errorf(rekey.KindInvalid, "--store keeps what --fix takes out of the code").WithHint("add --fix, or --diff to see it first")
			}
			in.Stores = app.StoreInput{Access: in.Access, State: in.State}
			return c.auditOnce(cmd.Context(), in, output, threshold)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", output, "table; json (docs/json-audit.md), sarif, codequality, secret-detection or junit for programs")
	f.StringVar(&failOn, "fail-on", failOn, "exit 3 on findings of this severity or above: info, warning or error")
	f.StringVar(&in.ForGitLab, "for-gitlab", "", "the GitLab version to judge for (default: both flows are taken to be allowed)")
	f.StringArrayVar(&in.Excludes, "exclude", nil, "leave out paths that match, written as in .gitignore; repeatable")
	f.StringVar(&in.Baseline, "baseline", "", "leave out the findings that this file holds as known")
	f.StringVar(&in.WriteBaseline, "write-baseline", "", "write the findings to this file as known, and exit 0")
	f.BoolVar(&in.History, "history", false, "look for tokens in everything that git keeps, with commit and author")
	f.BoolVar(&in.Verify, "verify", false, "ask your GitLab (--url, GITLAB_HOST), and no other, whether each runner token is alive; may leave a <legacy> manager there")
	f.BoolVar(&in.Diff, "diff", false, "show what --fix would write, and write nothing; tokens are shown as kind and fingerprint")
	f.BoolVar(&in.Fix, "fix", false, "rewrite what can be rewritten without a guess, and leave a comment where somebody has to decide")
	f.StringVar(&in.Store, "store", "", "put the token that stood in the code here first (vault:// awssm:// gitlab-var:// k8s:// file://), and refer to it")
	f.StringVar(&in.Fleet, "fleet", "", "tell which runners of this snapshot (rekey snapshot) the tokens are, offline")
	f.StringVar(&in.KeyFile, "key-file", "", "the key of the snapshot (default: snapshot.key in the state directory)")
	f.StringVar(&in.State.Dir, "state-dir", "", "where snapshot.key and the key of file:// lie (REKEY_STATE_DIR)")
	accessFlags(cmd, &in.Access)
	cmd.MarkFlagsMutuallyExclusive("diff", "fix")
	cmd.MarkFlagsMutuallyExclusive("history", "fix")
	f.BoolVar(&in.NoIgnore, "no-ignore", false, "read what .gitignore leaves out too")
	return cmd
}

var auditFormats = []string{"table", "json", "sarif", "codequality", "secret-detection", "junit"}

// auditGC and auditMemory let the heap grow between collections while there is little
// on it, and not past what an audit may take where there is much.
const (
	auditGC     = 400
	auditMemory = 120 << 20
)

func (c *command) auditOnce(ctx context.Context, in app.AuditInput, output string, threshold rekey.Severity) error {
	defer debug.SetGCPercent(debug.SetGCPercent(auditGC))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(auditMemory))
	progress := c.progress("read")
	in.Progress = progress.update
	out, err := c.app.Audit(ctx, in)
	progress.clear()
	if err != nil {
		return err
	}
	for _, w := range out.Warnings {
		fmt.Fprintf(c.Err, "rekey: %s\n", w)
	}
	if err := c.writeAudit(out, output); err != nil {
		return err
	}
	if in.WriteBaseline == "" && out.Report.Worst(threshold) {
		return exitError(exitFindings)
	}
	return nil
}

func (c *command) writeAudit(out app.AuditOutput, output string) error {
	switch output {
	case "json":
		return c.json(out.Report)
	case "sarif":
		return iac.SARIF(c.Out, out.Report, Version())
	case "codequality":
		return iac.CodeQuality(c.Out, out.Report)
	case "secret-detection":
		return iac.SecretDetection(c.Out, out.Report, Version(), out.Begin, out.End)
	case "junit":
		return iac.JUnit(c.Out, out.Report)
	}
	if c.auditRewritten(out.Report) {
		c.paper().auditSummary(out.Report)
		return nil
	}
	c.auditTable(out.Report)
	return nil
}

// skippedWords are the reasons for which files were left out, in the order shown.
var skippedWords = []struct{ key, word string }{
	{"binary", "binary"}, {"archive", "archives"}, {"ignored", "ignored by .gitignore"}, {"excluded", "excluded"}, {"link", "symbolic links"},
	{"special", "no regular files"}, {"unreadable", "unreadable"}, {"vanished", "vanished meanwhile"},
}

func skippedParts(skipped map[string]int) []string {
	var parts []string
	for _, w := range skippedWords {
		if n := skipped[w.key]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.word))
		}
	}
	return slices.Clip(parts)
}
