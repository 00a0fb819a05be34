package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
)

type fixFlags struct {
	dryRun, yes, undo, resume, abort bool
	plan, run, output                string
	proof                            app.ProofInput
}

func (c *command) fix() *cobra.Command {
	var in app.FixInput
	var f fixFlags
	var record recordFlags
	cmd := &cobra.Command{
		Use:   "fix",
		Short: "Repair what doctor found: plan, confirm, apply, prove",
		Long: `fix makes a plan from doctor's findings, shows it with its digest, and applies
it once you agree. Every step is journalled before and after; a token is sealed
before anything else happens to it; config.toml keeps every other byte. An
interrupted fix is resumed by the next one. "fixed" is said only of a runner on
which a job ran (--canary-project, docs/guides/canary.md).

A user token (GITLAB_TOKEN) needs create_runner and manage_runner, or api; api
too for --canary-project and for assignments. Without one, give a glrt- token
that a colleague made: --token-file FILE, or - for standard input.`,
		Example: `  rekey fix --dry-run
  rekey fix --canary-project infra/canary
  rekey fix --yes --plan 3f9a61c20b7d4e18            # only exactly this plan
  rekey fix --section deploy --project acme/web --tag-list deploy,linux
  rekey fix --section deploy --token-file ./token
  rekey fix --store 'vault://secret/ci/{name}'       # into the store first
  rekey fix --host ssh://root@runner1
  rekey fix --inventory hosts.ini --limit runners --become
  rekey fix --host k8s://ci/gitlab-runner --tag-list deploy
  rekey fix --from-diff stale.json --dry-run         # after a restore: docs/guides/restore-guard.md
  rekey fix --resume                                 # only finish what was interrupted
  rekey fix --abort                                  # give it up instead
  rekey fix --undo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := record.into(cmd, &in.Record); err != nil {
				return err
			}
			return c.runFix(cmd.Context(), in, f)
		},
	}
	s := cmd.Flags()
	s.BoolVar(&f.dryRun, "dry-run", false, "show the plan and stop; changes nothing anywhere")
	s.BoolVarP(&f.yes, "yes", "y", false, "apply without asking")
	s.StringVar(&f.plan, "plan", "", "apply only if the plan has this digest")
	s.BoolVar(&f.undo, "undo", false, "put the configs back as they were before the last run")
	s.BoolVar(&f.resume, "resume", false, "finish what an earlier run left open, and begin nothing new")
	s.BoolVar(&f.abort, "abort", false, "give up what an earlier run left open: undo what can be undone, and say what cannot")
	s.StringVar(&in.FromDiff, "from-diff", "", "repair the sections that a comparison names (rekey snapshot diff FILE -o json), in stages")
	s.IntVar(&in.AbortAfter, "abort-after", 5, "with --from-diff: begin nothing further once so many repairs have failed or lost the answer to their reset; 0 never stops")
	s.StringVar(&in.KeyFile, "key-file", "", "with --from-diff: the key of the snapshot (default: snapshot.key in the state directory)")
	s.StringVar(&f.run, "run", "", "with --undo: the run to undo, instead of the last")
	s.StringVarP(&f.output, "output", "o", "text", "text, or json for programs")
	s.StringArrayVar(&in.Sections, "section", nil, "repair only the section of this name or index; repeatable")
	s.StringVar(&in.TokenFile, "token-file", "", "file with a glrt- token that a colleague made; - is standard input")
	s.StringArrayVar(&in.Hosts.Addresses, "host", nil, "instead of the standard locations: ssh://[user@]host[:port][/path], docker://CONTAINER (its mounted file) or k8s://NAMESPACE/RELEASE[?context=NAME]; repeatable")
	s.StringVar(&in.Hosts.Inventory, "inventory", "", "every host of an Ansible inventory, over ssh")
	s.StringVar(&in.Hosts.Limit, "limit", "", "only these hosts and groups of the inventory, as for Ansible")
	s.BoolVar(&in.Become, "become", false, "over ssh: act as root there, by sudo without a password")
	s.BoolVar(&in.PatchManaged, "patch-managed", false, "with --host k8s://: change a Secret that Helm, Argo CD or an operator keeps; it may put the old token back")
	s.DurationVar(&in.RolloutWait, "rollout-timeout", 10*time.Minute, "with --host k8s://: how long new pods may take to be ready; then the repair stays open")
	s.StringVar(&in.Store, "store", "", "put new tokens into this secret before anything else takes them; {name} and {host} stand for the section's and the host's (docs/guides/stores.md)")
	s.BoolVar(&in.SeparateRecord, "separate-record", false, "make a new record where a reset would lock other hosts out")
	probeFlags(cmd, &in.DoctorInput)
	accessFlags(cmd, &in.Access)
	record.define(cmd, &in.Record)
	proofFlags(cmd, &in.Proof)
	stateFlags(cmd, &in.State)
	return cmd
}

func (c *command) runFix(ctx context.Context, in app.FixInput, f fixFlags) error {
	if err := known("-o", f.output, "text", "json"); err != nil {
		return err
	}
	f.proof = in.Proof
	repaired := &counted{progress: c.progress("repaired")}
	in.Report = repaired.tell(c.conversation())
	in.Stdin = c.In
	if err := f.oneOrder(); err != nil {
		return err
	}
	in.DryRun, in.Undo = f.dryRun, f.undo
	in.Leftover = f.leftover()
	progress := c.progress("checked")
	in.Progress = progress.update
	fix, err := c.app.Fix(ctx, in)
	if err != nil {
		return err
	}
	defer fix.Close()
	if f.undo {
		return c.undo(ctx, fix, f.run)
	}
	if in.Leftover != "" {
		return c.leftover(ctx, fix, f)
	}
	resumed, err := c.resume(ctx, fix, f)
	if err != nil {
		return err
	}
	plan, err := fix.Plan(ctx)
	progress.clear()
	if err != nil {
		return err
	}
	plan.Left = besides(plan.Left, resumed)
	repaired.total = len(plan.Targets)
	return c.applyPlan(ctx, fix, plan, resumed, f)
}

// resume finishes what an earlier run left open before anything new is planned.
func (c *command) resume(ctx context.Context, fix *app.Fix, f fixFlags) ([]rekey.Result, error) {
	open, err := fix.Unfinished()
	if err != nil || len(open) == 0 {
		return nil, err
	}
	fmt.Fprintf(c.Err, "An earlier fix was interrupted: %s open.\n", plural(len(open), "repair is", "repairs are"))
	for _, t := range open {
		fmt.Fprintf(c.Err, "  %s section %q (%s)\n", t.Config, t.Name, t.Remedy)
	}
	if f.dryRun {
		fmt.Fprintln(c.Err, "Run `rekey fix` without --dry-run to finish them.")
		return nil, nil
	}
	if !f.yes && !c.confirm("Finish them now?") {
		return nil, rekey.Errorf(rekey.KindConflict, "an earlier fix is unfinished, and nothing new is begun before it").WithHint("`rekey fix --resume` finishes it, `rekey fix --abort` gives it up")
	}
	return fix.Resume(ctx)
}

func (c *command) applyPlan(ctx context.Context, fix *app.Fix, plan rekey.Plan, resumed []rekey.Result, f fixFlags) error {
	text := f.output == "text"
	if text {
		c.planText(plan)
	}
	switch {
	case f.plan != "" && f.plan != plan.Digest():
		return rekey.Errorf(rekey.KindConflict, "the plan's digest is %s, not %s: the world has moved", plan.Digest(), f.plan).
			WithHint("read the new plan, then give its digest")
	case f.dryRun:
		if text && len(plan.Targets) > 0 {
			c.paper().wrapped("Next: ", fmt.Sprintf("the same command without --dry-run asks and applies; with `--yes --plan %s` it applies exactly this plan.", plan.Digest()))
		}
		return c.fixed(fixReport{Plan: &plan, Digest: plan.Digest()}, f)
	case len(plan.Targets) == 0:
		return c.fixed(fixReport{Plan: &plan, Digest: plan.Digest(), Results: resumed}, f)
	}
	if !f.yes && !c.confirm(fmt.Sprintf("Apply plan %s?", plan.Digest())) {
		return rekey.Errorf(rekey.KindConflict, "nothing was changed").WithHint("`rekey fix --yes --plan %s` applies exactly this plan", plan.Digest())
	}
	results, err := fix.Apply(ctx, plan)
	report := fixReport{Plan: &plan, Digest: plan.Digest(), Results: append(resumed, results...)}
	if err != nil {
		return err
	}
	return c.fixed(report, f)
}

// confirm asks on a terminal; without one the answer is no.
func (c *command) confirm(question string) bool {
	if !c.InTTY {
		fmt.Fprintf(c.Err, "%s Standard input is no terminal: give --yes to agree.\n", question)
		return false
	}
	fmt.Fprintf(c.Err, "%s [y/N] ", question)
	line, _ := bufio.NewReader(c.In).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// conversation tells each step on standard error as it happens; proofs run side
// by side.
func (c *command) conversation() func(app.Event) {
	var mu sync.Mutex
	return func(e app.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.Err != nil:
			fmt.Fprintf(c.Err, "  ✘ %s: %s: %s\n", sectionName(e.Target.Name, e.Target.Index), e.Step, c.app.Scrub(e.Err.Error()))
		case e.Text != "":
			fmt.Fprintf(c.Err, "  · %s: %s\n", sectionName(e.Target.Name, e.Target.Index), c.app.Scrub(e.Text))
		}
	}
}

func (c *command) undo(ctx context.Context, fix *app.Fix, run string) error {
	done, err := fix.Undo(ctx, run)
	p := c.paper()
	for _, u := range done {
		if u.Err == nil {
			p.wrapped(p.green("✔ "), u.Text)
		}
	}
	return err
}
