package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
)

func (c *command) runner() *cobra.Command {
	return group(&cobra.Command{Use: "runner", Short: "The fleet as GitLab sees it",
		Example: "  rekey runner list --offline\n  rekey runner stale --older-than 30d\n  rekey runner compat --for-gitlab 18.11"},
		c.runnerList(), c.runnerShow(), c.runnerStale(), c.runnerPrune(), c.runnerOwner(), c.runnerExpiry(), c.runnerCompat())
}

func (c *command) runnerList() *cobra.Command {
	var in app.ListInput
	output, filter := "table", runnerFilter{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runner records, of the instance, a group or a project",
		Long: `list shows the runner records that the user token may see (scope read_api).
Without --group or --project: all of the instance for an administrator, else
those the user administers. With several of --offline, --stale, --never-contacted,
--expiring, --legacy, --no-rotation-date and --no-owner it shows those that have
one of them, and says why.

REST shows no expiry of a runner's token: --expiring goes by the date in the
owners file, else by the instance setting where you may read it. Nor does it show
a token: --legacy goes by a record without a creator (GitLab 18.0 and later).`,
		Example: `  rekey runner list --offline --never-contacted
  rekey runner list --expiring 14d
  rekey runner list --group acme
  rekey runner list --project acme/web -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := cmp.Or(known("-o", output, "table", "json"), known("--status", in.Status, "", "online", "offline", "stale", "never_contacted"))
			if err != nil {
				return err
			}
			if filter.given() {
				return c.runnersWith(cmd.Context(), in, filter, output)
			}
			runners, err := c.app.Runners(cmd.Context(), in)
			if err != nil {
				return err
			}
			if output == "json" {
				return c.json(runnersJSON(runners))
			}
			c.runnerTable(runners)
			return nil
		},
	}
	s := cmd.Flags()
	s.StringVar(&in.Group, "group", "", "runners of this group, by path or id")
	s.StringVar(&in.Project, "project", "", "runners of this project, by path or id")
	s.StringVar(&in.Status, "status", "", "online, offline, stale or never_contacted")
	filter.define(cmd)
	s.StringVarP(&output, "output", "o", output, "table or json")
	accessFlags(cmd, &in.Access)
	return cmd
}

func (c *command) runnerTable(runners []rekey.Runner) {
	p := c.paper()
	if len(runners) == 0 {
		p.line("No runner matches.")
		return
	}
	p.line("%s", p.bold(fmt.Sprintf("%-8s %-9s %-16s %-32s", "ID", "SCOPE", "STATUS", "DESCRIPTION")))
	for _, r := range runners {
		status := fmt.Sprintf("%-16s", r.Status)
		if r.Status == "online" {
			status = p.green(status)
		}
		p.line("%-8d %-9s %s %-32s", r.ID, r.Scope, status, oneLine(r.Description))
	}
	p.line("%s. `rekey runner show ID` gives the rest.", plural(len(runners), "runner", "runners"))
}

func (c *command) runnerShow() *cobra.Command {
	var access app.Access
	output := "text"
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one runner record and its managers", Args: oneID,
		Example: "  rekey runner show 4711",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "text", "json"); err != nil {
				return err
			}
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usageError{fmt.Errorf("%q is not the id of a runner", args[0])}
			}
			detail, err := c.app.RunnerDetail(cmd.Context(), access, rekey.RunnerID(id))
			if err != nil {
				return err
			}
			if output == "json" {
				return c.json(detailJSON(detail))
			}
			c.runnerText(detail)
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "text or json")
	accessFlags(cmd, &access)
	return cmd
}

func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{errors.New("name one runner by its id, as `rekey runner list` gives it")}
	}
	return nil
}

func (c *command) runnerText(d app.RunnerDetail) {
	p, r := c.paper(), d.Runner
	row := func(k, v string) {
		if v != "" {
			p.wrapped(fmt.Sprintf("  %-16s ", k), v)
		}
	}
	p.line("%s", p.bold(fmt.Sprintf("runner %d  %s", r.ID, oneLine(r.Description))))
	row("scope", strings.TrimSpace(string(r.Scope)+" "+paths(r.Groups)+paths(r.Projects)))
	row("status", r.Status)
	row("created", created(r))
	row("last contact", ago(r.ContactedAt, d.Now))
	row("takes jobs", takes(r))
	row("maintenance note", r.MaintenanceNote)
	if !d.ManagersKnown {
		row("managers", "this GitLab lists none (before 17.1)")
		return
	}
	row("managers", plural(len(d.Managers), "manager", "managers"))
	for _, m := range d.Managers {
		p.line("    %-16s %-16s gitlab-runner %-10s %s", m.SystemID, m.Status, m.Version, ago(m.ContactedAt, d.Now))
	}
}

func paths(refs []rekey.Ref) string {
	var list []string
	for _, r := range refs {
		list = append(list, r.Path)
	}
	return strings.Join(list, ", ")
}

func takes(r rekey.Runner) string {
	var parts []string
	if len(r.Tags) > 0 {
		parts = append(parts, "with tags "+strings.Join(r.Tags, ", "))
	}
	if r.RunUntagged {
		parts = append(parts, "without tags")
	}
	text := strings.Join(parts, "; ")
	if r.AccessLevel == "ref_protected" {
		text += "; protected refs only"
	}
	if r.Locked {
		text += "; locked to its projects"
	}
	if r.Paused {
		text += "; PAUSED: takes none"
	}
	return strings.TrimPrefix(text, "; ")
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), now.Sub(t).Round(time.Second))
}
