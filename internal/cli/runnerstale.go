package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"rekey/internal/app"
	"rekey/internal/fleet"
)

func (c *command) runnerStale() *cobra.Command {
	var in app.FleetInput
	age, output := "7d", "table"
	cmd := &cobra.Command{
		Use:   "stale",
		Short: "Runners that nobody has heard of for long",
		Long: `stale lists the runners that were last in contact longer ago than --older-than,
and those that never were and are at least as old, with their last contact and
owner. Times are by GitLab's clock. It changes nothing; "rekey runner prune" is
the next step. A user token needs read_api.`,
		Example: `  rekey runner stale
  rekey runner stale --older-than 90d --group acme -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := known("-o", output, "table", "json"); err != nil {
				return err
			}
			span, err := fleet.ParseAge(age)
			if err != nil {
				return usageError{fmt.Errorf("--older-than: %w", err)}
			}
			progress := c.progress("looked at")
			defer progress.clear()
			in.Progress = progress.update
			f, err := c.app.OpenFleet(cmd.Context(), in)
			if err != nil {
				return err
			}
			o, err := f.Silent(cmd.Context(), span)
			progress.clear()
			if err != nil {
				return err
			}
			c.clockSkew(f)
			if output == "json" {
				return c.json(overviewJSON("rekey.stale/1", o))
			}
			c.overviewTable(o)
			c.unread(o)
			return nil
		},
	}
	s := cmd.Flags()
	s.StringVar(&age, "older-than", age, "how long nobody must have heard of a runner, as 30d, 2w or 36h")
	s.StringVarP(&output, "output", "o", output, "table or json")
	ownersFlag(cmd, &in.Owners)
	fleetFlags(cmd, &in)
	return cmd
}

// fleetFlags say which records a command is about.
func fleetFlags(cmd *cobra.Command, in *app.FleetInput) {
	s := cmd.Flags()
	s.StringVar(&in.Group, "group", "", "runners of this group, by path or id")
	s.StringVar(&in.Project, "project", "", "runners of this project, by path or id")
	accessFlags(cmd, &in.Access)
}
