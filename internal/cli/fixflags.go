package cli

import (
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
)

// stateFlags say where journals live.
func stateFlags(cmd *cobra.Command, in *app.StateInput) {
	s := cmd.Flags()
	s.StringVar(&in.Dir, "state-dir", "", "where journals and their key live (REKEY_STATE_DIR; default /var/lib/rekey for root, else ~/.local/state/rekey)")
	s.DurationVar(&in.Keep, "keep", 30*24*time.Hour, "how long the journals of finished repairs, and what is sealed in them, are kept for --undo")
}

// proofFlags say how a repair is proved.
func proofFlags(cmd *cobra.Command, in *app.ProofInput) {
	s := cmd.Flags()
	s.StringVar(&in.Reload, "reload", "auto", "how gitlab-runner is made to load the file: auto, sighup, touch, systemd, none, or restart (only once no job runs for certain)")
	s.StringVar(&in.Level, "proof", "", "how far to prove: verify (GitLab takes the token), online (its manager was seen after the change) or job (a canary job ran); without it as far as can be had")
	s.StringArrayVar(&in.Canaries, "canary-project", nil, "project in which a canary job proves the repair; repeatable (docs/guides/canary.md)")
	s.DurationVar(&in.CanaryTimeout, "canary-timeout", 2*time.Minute, "how long a canary job may take")
	s.DurationVar(&in.Wait, "proof-wait", 30*time.Second, "how long to wait for the runner manager to be seen")
	s.DurationVar(&in.Recheck, "recheck-after", 4*time.Second, "how long after the edit config.toml is read again: a gitlab-runner that rotates its own token writes the whole file")
}

// recordFlags describe a record to be made.
type recordFlags struct {
	scope               string
	runUntagged, locked bool
}

func (r *recordFlags) define(cmd *cobra.Command, in *app.RecordInput) {
	s := cmd.Flags()
	s.StringVar(&r.scope, "scope", "", "scope of a new record: instance, group or project (default: what the old token or --group, --project say)")
	s.StringVar(&in.Group, "group", "", "group of a new group runner, by path or id")
	s.StringVar(&in.Project, "project", "", "project of a new project runner, by path or id")
	s.StringSliceVar(&in.Tags, "tag-list", nil, "tags of a new record, separated by commas")
	s.BoolVar(&r.runUntagged, "run-untagged", false, "a new record takes jobs without tags")
	s.BoolVar(&r.locked, "locked", false, "a new project runner is locked to its projects")
	s.StringVar(&in.AccessLevel, "access-level", "", "of a new record: not_protected or ref_protected")
	s.StringVar(&in.Description, "description", "", "of a new record (default: the section's name)")
}

// into moves the parsed flags over; a flag that was not given stays unknown.
func (r *recordFlags) into(cmd *cobra.Command, in *app.RecordInput) error {
	if r.scope != "" {
		scope, err := rekey.ParseScope(r.scope)
		if err != nil {
			return err
		}
		in.Scope = scope
	}
	if cmd.Flags().Changed("run-untagged") {
		in.RunUntagged = &r.runUntagged
	}
	if cmd.Flags().Changed("locked") {
		in.Locked = &r.locked
	}
	return nil
}
