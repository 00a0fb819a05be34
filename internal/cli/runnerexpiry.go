package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

type expiryFlags struct {
	group, project, output string
	set                    []string
	yes                    bool
}

func (c *command) runnerExpiry() *cobra.Command {
	var access app.Access
	f := expiryFlags{output: "table"}
	cmd := &cobra.Command{
		Use:   "expiry",
		Short: "After what time new runner tokens expire, by instance, group and project",
		Long: `expiry shows the settings from which GitLab reckons the expiry of a runner's token,
and changes them with --set. The shortest that applies counts. A change is for
tokens issued from then on: those that exist keep theirs until they are changed.

The instance takes an administrator, a project a Maintainer. A group's settings
GitLab keeps for its page and GraphQL: what REST does not show is said, not set.
Reading needs read_api, --set needs api.`,
		Example: `  rekey runner expiry
  rekey runner expiry --project acme/web
  rekey runner expiry --set project=90d --set instance=never`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := known("-o", f.output, "table", "json"); err != nil {
				return err
			}
			return c.runExpiry(cmd.Context(), access, f)
		},
	}
	s := cmd.Flags()
	s.StringVar(&f.group, "group", "", "of this group, by path or id")
	s.StringVar(&f.project, "project", "", "of this project, by path or id")
	s.StringArrayVar(&f.set, "set", nil, "WHOSE=TIME, as project=90d, or WHOSE=never; repeatable")
	s.BoolVarP(&f.yes, "yes", "y", false, "change without asking")
	s.StringVarP(&f.output, "output", "o", f.output, "table or json")
	accessFlags(cmd, &access)
	return cmd
}

func (c *command) runExpiry(ctx context.Context, access app.Access, f expiryFlags) error {
	e, err := c.app.OpenExpiry(ctx, access, f.group, f.project)
	if err != nil {
		return err
	}
	var wanted []app.ExpirySetting
	for _, text := range f.set {
		w, err := e.ParseExpiry(text)
		if err != nil {
			return err
		}
		wanted = append(wanted, w)
	}
	if len(wanted) > 0 {
		for _, w := range wanted {
			c.say("%s of %s: %s", w.Key, e.Place, interval(w))
		}
		if !f.yes && !c.confirm("Change this?") {
			return rekey.Errorf(rekey.KindConflict, "nothing was changed").WithHint("add --yes to change it without being asked")
		}
		if err := e.Set(ctx, wanted); err != nil {
			return err
		}
	}
	return c.expiry(e, f.output)
}

func (c *command) expiry(e *app.Expiry, output string) error {
	if output == "json" {
		return c.json(expiryJSON(e))
	}
	p := c.paper()
	p.line("%s", p.bold("New runner tokens of "+e.Place+" expire"))
	for _, s := range e.Settings {
		p.line("  %-9s runners  %-14s %s", s.For, interval(s), p.faint(s.Key))
	}
	if text := e.Elsewhere(); text != "" {
		p.wrapped("  ", text+".")
	}
	return nil
}

func interval(s app.ExpirySetting) string {
	switch {
	case s.Interval > 0:
		return "after " + fleet.AgeText(s.Interval)
	case s.Known:
		return "never"
	}
	return "not shown"
}

func expiryJSON(e *app.Expiry) any {
	type row struct {
		For     string `json:"for"`
		Key     string `json:"key"`
		Known   bool   `json:"known"`
		Seconds *int64 `json:"seconds"`
	}
	list := []row{}
	for _, s := range e.Settings {
		r := row{For: s.For, Key: s.Key, Known: s.Known}
		if s.Interval > 0 {
			seconds := int64(s.Interval.Seconds())
			r.Seconds = &seconds
		}
		list = append(list, r)
	}
	return struct {
		Schema    string `json:"schema"`
		Place     string `json:"place"`
		Settings  []row  `json:"settings"`
		Elsewhere string `json:"elsewhere,omitempty"`
	}{"rekey.expiry/1", e.Place, list, e.Elsewhere()}
}
