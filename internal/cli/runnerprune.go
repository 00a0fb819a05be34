package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

type pruneFlags struct {
	dryRun, yes, never        bool
	olderThan, digest, output string
	spare                     []string
}

func (c *command) runnerPrune() *cobra.Command {
	var in app.FleetInput
	f := pruneFlags{output: "text"}
	cmd := &cobra.Command{
		Use:   "prune --older-than AGE",
		Short: "Delete runners that have been offline for long; shows first, then asks",
		Long: `prune lists the runners that were last in contact longer ago than --older-than,
with a digest, and stops; on a terminal it asks whether to go on. With
--yes --plan DIGEST it deletes exactly that list, and nothing if the list has
become another one. Each record is read again right before: one that was seen
since, has a job, other tags or any other change stays, and is named.

It never deletes a runner that is online, nor one that was never contacted
unless --include-never-contacted is given and it is older than the age. With
--group only the group's own runners go, with --project only those that serve
this project alone; what is inherited stays. "keep: true" in the owners file
spares a runner for good. Deleting is for ever: the runner's token is dead.

GitLab does not tell who else keeps a record: one that Terraform or an operator
made is made anew at their next run.

A user token needs api, or read_api and manage_runner (GitLab 17.1 and later).`,
		Example: `  rekey runner prune --older-than 30d
  rekey runner prune --older-than 30d --group acme --spare-tag dr-site
  rekey runner prune --older-than 30d --yes --plan 3f9a61c20b7d4e18`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runPrune(cmd.Context(), in, f) },
	}
	s := cmd.Flags()
	s.StringVar(&f.olderThan, "older-than", "", "how long nobody must have heard of a runner, as 30d, 2w or 36h; 3h at least")
	s.StringArrayVar(&f.spare, "spare-tag", nil, "leave runners with this tag alone; repeatable")
	s.BoolVar(&f.never, "include-never-contacted", false, "delete those too that were never contacted and are older than the age")
	s.BoolVar(&f.dryRun, "dry-run", false, "show the list and stop, on a terminal too")
	s.BoolVarP(&f.yes, "yes", "y", false, "delete without asking; needs --plan")
	s.StringVar(&f.digest, "plan", "", "delete only if the list has this digest")
	s.StringVarP(&f.output, "output", "o", f.output, "text, or json for programs (which is never asked)")
	ownersFlag(cmd, &in.Owners)
	fleetFlags(cmd, &in)
	return cmd
}

func (f pruneFlags) rule() (fleet.PruneRule, error) {
	if err := known("-o", f.output, "text", "json"); err != nil {
		return fleet.PruneRule{}, err
	}
	switch {
	case f.olderThan == "":
		return fleet.PruneRule{}, usageError{fmt.Errorf("--older-than is missing, as in --older-than 30d")}
	case f.yes && f.digest == "":
		return fleet.PruneRule{}, usageError{fmt.Errorf("--yes needs --plan with the digest that the list was shown with")}
	case f.dryRun && f.yes:
		return fleet.PruneRule{}, usageError{fmt.Errorf("--dry-run and --yes contradict each other")}
	}
	age, err := fleet.ParseAge(f.olderThan)
	if err != nil {
		return fleet.PruneRule{}, usageError{fmt.Errorf("--older-than: %w", err)}
	}
	rule := fleet.PruneRule{OlderThan: age, SpareTags: f.spare, IncludeNeverContacted: f.never}
	return rule, rule.Check()
}

func (c *command) runPrune(ctx context.Context, in app.FleetInput, f pruneFlags) error {
	rule, err := f.rule()
	if err != nil {
		return err
	}
	progress := c.progress("looked at")
	defer progress.clear()
	in.Progress = progress.update
	opened, err := c.app.OpenFleet(ctx, in)
	if err != nil {
		return err
	}
	plan, o, err := opened.PrunePlan(ctx, rule)
	progress.clear()
	if err != nil {
		return err
	}
	c.clockSkew(opened)
	c.unread(o)
	if f.output == "text" {
		c.pruneText(plan)
	}
	if f.digest != "" && f.digest != plan.Digest() {
		return rekey.Errorf(rekey.KindConflict, "nothing was deleted: the list's digest is %s, not %s; the world has moved", plan.Digest(), f.digest).
			WithHint("read the new list, then give its digest")
	}
	if len(plan.Delete) == 0 || !c.mayPrune(plan, f) {
		if f.output == "json" {
			return c.json(pruneJSON(plan, o.Unread, nil))
		}
		return nil
	}
	deleting := c.progress("dealt with")
	results := opened.Prune(ctx, plan, deleting.update)
	deleting.clear()
	return c.pruned(plan, o, results, f)
}

func (c *command) mayPrune(plan fleet.PrunePlan, f pruneFlags) bool {
	switch {
	case f.yes:
		return true
	case f.dryRun || f.output == "json":
		return false
	case c.InTTY:
		return c.confirm(fmt.Sprintf("Delete %s for ever?", plural(len(plan.Delete), "runner", "runners")))
	}
	c.say("Nothing was deleted. To delete exactly these: the same command with --yes --plan %s", plan.Digest())
	return false
}

func (c *command) pruneText(plan fleet.PrunePlan) {
	p := c.paper()
	for _, s := range plan.Spare {
		p.wrapped(fmt.Sprintf("  spared %-8d ", s.ID), oneLine(s.Description)+": "+s.Why)
	}
	if len(plan.Delete) == 0 {
		but := ""
		if len(plan.Spare) > 0 {
			but = ", but those spared"
		}
		p.line("Nothing to prune at %s: no runner %s is silent for %s%s.", plan.GitLab, whose(plan.Rule), fleet.AgeText(plan.Rule.OlderThan), but)
		return
	}
	p.line("%s", p.bold(fmt.Sprintf("To delete at %s: %s", plan.GitLab, plural(len(plan.Delete), "runner", "runners"))))
	for _, d := range plan.Delete {
		r := d.Record.Runner
		p.wrapped(fmt.Sprintf("  %-8d %-9s ", r.ID, r.Scope), oneLine(r.Description)+": "+d.Why+tags(r.Tags))
	}
	p.line("plan %s", plan.Digest())
}

func whose(rule fleet.PruneRule) string {
	if rule.Scope == "" {
		return "in reach"
	}
	return "of " + string(rule.Scope) + " " + rule.Owner.Path
}

func tags(list []string) string {
	if len(list) == 0 {
		return ""
	}
	text := "; tags"
	for _, t := range list {
		text += " " + oneLine(t)
	}
	return text
}

// pruned tells what became of each, and how that ends: 0 when all are gone, 4
// when some stay, 1 when none could be deleted.
func (c *command) pruned(plan fleet.PrunePlan, o app.Overview, results []app.PruneResult, f pruneFlags) error {
	count := map[app.PruneOutcome]int{}
	for _, r := range results {
		count[r.Outcome]++
	}
	if f.output == "json" {
		if err := c.json(pruneJSON(plan, o.Unread, results)); err != nil {
			return err
		}
	} else {
		c.prunedText(results)
	}
	away := count[app.PruneDeleted] + count[app.PruneGone]
	switch {
	case away == len(results):
		return nil
	case away == 0 && count[app.PruneFailed] > 0:
		return exitError(exitFailed)
	}
	return exitError(exitPartial)
}

func (c *command) prunedText(results []app.PruneResult) {
	p := c.paper()
	hinted := map[string]bool{}
	deleted := 0
	for _, r := range results {
		text := oneLine(r.Candidate.Record.Runner.Description) + ": " + r.Why
		if r.Err != nil {
			text += ": " + c.app.Scrub(r.Err.Error())
		}
		if r.Outcome == app.PruneDeleted {
			deleted++
		}
		p.wrapped(fmt.Sprintf("  %-8s %-8d ", r.Outcome, r.Candidate.Record.Runner.ID), text)
		if hint := rekey.HintOf(r.Err); hint != "" && !hinted[hint] {
			hinted[hint] = true
			p.wrapped("    → ", c.app.Scrub(hint))
		}
	}
	p.line("%d of %s deleted.", deleted, plural(len(results), "runner", "runners"))
}

type pruneDocument struct {
	ID          rekey.RunnerID   `json:"id"`
	RunnerType  string           `json:"runner_type"`
	Description string           `json:"description"`
	Tags        []string         `json:"tag_list"`
	LastSeen    time.Time        `json:"last_seen,omitzero"`
	CreatedAt   time.Time        `json:"created_at,omitzero"`
	Managers    int              `json:"managers"`
	Why         string           `json:"why"`
	Outcome     app.PruneOutcome `json:"outcome,omitempty"`
	Reason      string           `json:"reason,omitempty"`
}

func pruneJSON(plan fleet.PrunePlan, unread int, results []app.PruneResult) any {
	list := []pruneDocument{}
	for i, d := range plan.Delete {
		r := d.Record.Runner
		row := pruneDocument{r.ID, r.Scope.RunnerType(), r.Description, append([]string{}, r.Tags...), d.LastSeen, r.CreatedAt, len(d.Record.Managers), d.Why, "", ""}
		if results != nil {
			row.Outcome, row.Reason = results[i].Outcome, results[i].Why
			if results[i].Err != nil {
				row.Reason += ": " + results[i].Err.Error()
			}
		}
		list = append(list, row)
	}
	return struct {
		Schema  string          `json:"schema"`
		GitLab  string          `json:"gitlab"`
		Scope   rekey.Scope     `json:"scope"`
		Owner   string          `json:"owner"`
		Older   int64           `json:"older_than_seconds"`
		Digest  string          `json:"digest"`
		DryRun  bool            `json:"dry_run"`
		Runners []pruneDocument `json:"runners"`
		Spared  []fleet.Spared  `json:"spared"`
		Unread  int             `json:"unread"`
	}{"rekey.prune/1", plan.GitLab, plan.Rule.Scope, plan.Rule.Owner.Path, int64(plan.Rule.OlderThan / time.Second), plan.Digest(), results == nil, list,
		append([]fleet.Spared{}, plan.Spare...), unread}
}
