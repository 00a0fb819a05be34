package cli

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

func (c *command) rotate() *cobra.Command {
	var in app.RotateInput
	var f fixFlags
	var age string
	cmd := &cobra.Command{
		Use:   "rotate [--due | RUNNER…]",
		Short: "Give runners new tokens: nothing refused, no job lost",
		Long: `rotate replaces good tokens. RUNNER is a record's id, a section's name or the
fingerprint of its token. By default the rotation is an overlap: a second record
and section beside the first, proved; the old one is paused once every online
manager was seen on the new one, and deleted when its last job has ended. With
--strategy in-place the record's token is reset instead, for all hosts that use
it or not at all.

Give the configs of all hosts that share a record together. An interrupted
rotation is resumed by the next one. --due takes the tokens whose time has come
(two thirds of their lifetime, or --max-age), is silent when there are none, and
is made for timers: docs/guides/rotate.md.

A user token (GITLAB_TOKEN) needs create_runner and manage_runner, or api; api
too for --canary-project and for runners of several projects; an overlap of an
instance runner needs an administrator.`,
		Example: `  rekey rotate deploy --dry-run
  rekey rotate 42 --canary-project infra/canary
  rekey rotate --due --max-age 90d --yes
  rekey rotate 42 --config a/config.toml --config b/config.toml    # two hosts, one record
  rekey rotate deploy --strategy in-place
  rekey rotate 42 --strategy in-place --host ssh://a --host ssh://b    # reset once, to both
  rekey rotate --due --store 'vault://secret/ci/{name}' --yes          # into the store first
  rekey rotate 42 --store vault://secret/ci/deploy --deliver-by-agent  # its host runs rekey agent
  rekey rotate --host k8s://ci/gitlab-runner --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Runners = args
			if age != "" {
				limit, err := fleet.ParseAge(age)
				if err != nil {
					return usageError{fmt.Errorf("--max-age: %w", err)}
				}
				in.MaxAge = limit
			}
			return c.runRotate(cmd.Context(), in, f)
		},
	}
	s := cmd.Flags()
	s.BoolVar(&in.Due, "due", false, "rotate the tokens whose time has come; quiet when there are none")
	s.StringVar(&in.Strategy, "strategy", "", "overlap or in-place (default: overlap; in-place for a token that has expired)")
	s.StringVar(&age, "max-age", "", "with --due: a token is due at this age at the latest, as 90d, 2w or 36h, whether it expires or not")
	s.StringArrayVar(&in.Hosts, "host", nil, "instead of the standard locations: ssh://[user@]host[:port][/path], docker://CONTAINER (its mounted file) or k8s://NAMESPACE/RELEASE[?context=NAME]; repeatable")
	s.StringVar(&in.Inventory, "inventory", "", "every host of an Ansible inventory, over ssh")
	s.StringVar(&in.Limit, "limit", "", "only these hosts and groups of the inventory, as for Ansible")
	s.BoolVar(&in.Become, "become", false, "over ssh: act as root there, by sudo without a password")
	s.BoolVar(&in.PatchManaged, "patch-managed", false, "with --host k8s://: change a Secret that Helm, Argo CD or an operator keeps; it may put the old token back")
	s.DurationVar(&in.RolloutWait, "rollout-timeout", 10*time.Minute, "with --host k8s://: how long new pods may take to be ready; then the rotation stays open")
	s.DurationVar(&in.DrainTimeout, "drain-timeout", time.Hour, "how long the old record's jobs are waited for; then the rotation stays open")
	s.StringVar(&in.Store, "store", "", "put the new token into this secret before anything else takes it; {name} and {host} stand for the section's and the host's (docs/guides/stores.md)")
	s.BoolVar(&in.ByAgent, "deliver-by-agent", false, "with --store: hosts that are not reached from here follow it with rekey agent, which delivers; RUNNER is then a record's id")
	s.StringVar(&in.Owners, "owners", "", "the owners file, for when a token was rotated (default: runners.owners.yaml here)")
	s.StringArrayVarP(&in.Configs, "config", "c", nil, "config.toml; repeatable (default: the standard locations; CONFIG_FILE)")
	s.BoolVar(&f.dryRun, "dry-run", false, "show the plan and stop; changes nothing anywhere")
	s.BoolVarP(&f.yes, "yes", "y", false, "apply without asking")
	s.StringVar(&f.plan, "plan", "", "apply only if the plan has this digest")
	s.StringVarP(&f.output, "output", "o", "text", "text, or json for programs")
	accessFlags(cmd, &in.Access)
	proofFlags(cmd, &in.Proof)
	stateFlags(cmd, &in.State)
	wait := s.Lookup("proof-wait") // both records serve meanwhile, and a busy host polls late
	wait.DefValue = "2m0s"
	in.Proof.Wait = 2 * time.Minute
	return cmd
}

func (c *command) runRotate(ctx context.Context, in app.RotateInput, f fixFlags) error {
	if err := known("-o", f.output, "text", "json"); err != nil {
		return err
	}
	if err := known("--strategy", in.Strategy, "", "overlap", "in-place"); err != nil {
		return err
	}
	if in.Due && len(in.Runners) > 0 {
		return usageError{fmt.Errorf("--due chooses by date: name runners or give --due")}
	}
	if in.MaxAge != 0 && !in.Due {
		return usageError{fmt.Errorf("--max-age says when a token is due: give --due with it")}
	}
	f.proof = in.Proof
	looked, rotated := c.progress("looked at"), &counted{progress: c.progress("rotated")}
	in.DryRun, in.Progress, in.Report = f.dryRun, looked.update, rotated.tell(c.conversation())
	if c.InTTY && !f.yes {
		in.WaitOn = func(runner rekey.RunnerID, name string, waited time.Duration) bool {
			return c.confirm(fmt.Sprintf("%s: runner %d still runs a job after %s. Wait as long again?", name, runner, waited))
		}
	}
	rotation, err := c.app.Rotate(ctx, in)
	if err != nil {
		return err
	}
	defer rotation.Close()
	resumed, err := c.resume(ctx, rotation.Fix, f)
	if err != nil {
		return err
	}
	if err := rotation.Skip(resumed); err != nil {
		return err
	}
	plan, err := rotation.Plan(ctx)
	looked.clear()
	if err != nil {
		return err
	}
	plan.Left = besides(plan.Left, resumed)
	rotated.total = len(plan.Targets)
	return c.applyRotation(ctx, rotation, plan, resumed, f, in.Due)
}

func (c *command) applyRotation(ctx context.Context, r *app.Rotation, plan rekey.Plan, resumed []rekey.Result, f fixFlags, quiet bool) error {
	report := fixReport{Schema: "rekey.rotate/1", Plan: &plan, Digest: plan.Digest(), Results: resumed}
	text, empty := f.output == "text", len(plan.Targets) == 0 && len(plan.Left) == 0
	switch {
	case text && !empty:
		c.planText(plan)
	case text && !quiet && len(resumed) == 0:
		c.paper().line("Nothing to rotate.")
	}
	switch {
	case f.plan != "" && f.plan != plan.Digest():
		return rekey.Errorf(rekey.KindConflict, "the plan's digest is %s, not %s: the world has moved", plan.Digest(), f.plan).
			WithHint("read the new plan, then give its digest")
	case f.dryRun:
		if text && len(plan.Targets) > 0 {
			c.paper().wrapped("Next: ", fmt.Sprintf("the same command without --dry-run asks and applies; with `--yes --plan %s` it applies exactly this plan.", plan.Digest()))
		}
		return c.fixed(report, f)
	case len(plan.Targets) == 0:
		return c.fixed(report, f)
	}
	if !f.yes && !c.confirm(fmt.Sprintf("Apply plan %s?", plan.Digest())) {
		return rekey.Errorf(rekey.KindConflict, "nothing was changed").WithHint("`--yes --plan %s` applies exactly this plan", plan.Digest())
	}
	results, err := r.Apply(ctx, plan)
	if err != nil {
		return err
	}
	report.Results = append(resumed, results...)
	return c.fixed(report, f)
}

// counted draws how many rotations are over between the lines of a conversation.
type counted struct {
	progress    *progress
	mu          sync.Mutex
	done, total int
}

func (n *counted) tell(next func(app.Event)) func(app.Event) {
	return func(e app.Event) {
		n.progress.clear()
		next(e)
		n.mu.Lock()
		steps := e.Target.Order()
		retires := slices.Contains(steps, rekey.StepRetire)
		last := retires && e.Step == rekey.StepRetire || !retires && e.Step == rekey.StepProve
		if last || e.Err != nil {
			n.done++
		}
		done, total := n.done, n.total
		n.mu.Unlock()
		if total > 1 && done > 0 && done < total {
			n.progress.update(done, total)
		}
	}
}
