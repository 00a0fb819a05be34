package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

func (c *command) runnerOwner() *cobra.Command {
	var in app.OwnersInput
	output := "table"
	cmd := &cobra.Command{
		Use:   "owner [ID…]",
		Short: "Who owns which runner, who created it, when it was rotated and is due",
		Long: `owner shows what the owners file says beside what GitLab says: records that
nobody has written down, and entries whose record is gone, are in it too. The
file is plain YAML, sorted by id, made for review and version control; see
docs/guides/fleet.md. A user token needs read_api; with --file-only none.`,
		Example: `  rekey runner owner
  rekey runner owner --overdue -o csv > due.csv
  rekey runner owner set 4711 4712 --to team-ci --rotated today --due 90d
  rekey runner owner forget 4711`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "table", "json", "csv"); err != nil {
				return err
			}
			var err error
			if in.IDs, err = runnerIDs(args); err != nil {
				return err
			}
			progress := c.progress("looked at")
			in.Fleet.Progress = progress.update
			rows, err := c.app.Owners(cmd.Context(), in)
			progress.clear()
			if err != nil {
				return err
			}
			return c.owners(rows, output)
		},
		Args: cobra.ArbitraryArgs,
	}
	s := cmd.Flags()
	s.BoolVar(&in.Offline, "file-only", false, "show the owners file alone and ask no GitLab")
	s.BoolVar(&in.Overdue, "overdue", false, "only what is past its due or expiry date")
	s.StringVarP(&output, "output", "o", output, "table, json or csv")
	ownersFlag(cmd, &in.Fleet.Owners)
	fleetFlags(cmd, &in.Fleet)
	cmd.AddCommand(c.ownerSet(), c.ownerForget())
	return cmd
}

func runnerIDs(args []string) ([]rekey.RunnerID, error) {
	var ids []rekey.RunnerID
	seen := map[int64]bool{}
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usageError{fmt.Errorf("%q is not a runner id", arg)}
		}
		if !seen[id] {
			ids = append(ids, rekey.RunnerID(id))
		}
		seen[id] = true
	}
	return ids, nil
}

func (c *command) owners(rows []fleet.Row, output string) error {
	switch output {
	case "csv":
		return fleet.WriteCSV(c.Out, rows)
	case "json":
		return c.json(struct {
			Schema  string      `json:"schema"`
			Runners []fleet.Row `json:"runners"`
		}{fleet.LedgerSchema, append([]fleet.Row{}, rows...)})
	}
	p := c.paper()
	if len(rows) == 0 {
		p.line("No runner, and no entry in the owners file.")
		return nil
	}
	p.line("%s", p.bold(fmt.Sprintf("%-8s %-18s %-14s %-11s %-11s %-11s %s", "ID", "OWNER", "CREATED BY", "ROTATED", "DUE", "EXPIRES", "DESCRIPTION")))
	for _, r := range rows {
		text := oneLine(r.Description)
		switch {
		case r.Known == fleet.KnownGone:
			text += p.yellow(" (GitLab has no such runner)")
		case r.Overdue:
			text += p.red(" OVERDUE")
		}
		p.line("%-8d %-18s %-14s %-11s %-11s %-11s %s", r.ID, orDash(oneLine(r.Owner)), orDash(oneLine(r.CreatedBy)),
			orDash(fleet.DayText(r.RotatedAt)), orDash(fleet.DayText(r.Due)), orDash(fleet.DayText(r.ExpiresAt)), text)
	}
	return nil
}

type ownerFlags struct {
	to, note, rotated, due, expires string
	keep                            bool
}

func (c *command) ownerSet() *cobra.Command {
	var in app.FleetInput
	var f ownerFlags
	cmd := &cobra.Command{
		Use:   "set ID…",
		Short: "Write down who owns runners and when their tokens were and will be changed",
		Long: `set changes the entries of runners in the owners file, and begins the file where
there is none. What is not given stays; an empty text or "never" removes. GitLab
is asked who created each runner; one that GitLab does not have is refused, and
nothing is written then. Nothing changes at GitLab.`,
		Example: `  rekey runner owner set 4711 --to team-ci --rotated today --due 90d
  rekey runner owner set 4711 --keep --note "cold standby of the second site"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := runnerIDs(args)
			if err != nil {
				return err
			}
			edit, err := f.edit(cmd)
			if err != nil {
				return err
			}
			rows, err := c.app.SetOwner(cmd.Context(), in, ids, edit)
			if err != nil {
				return err
			}
			return c.owners(rows, "table")
		},
	}
	s := cmd.Flags()
	s.StringVar(&f.to, "to", "", "the owner: a person, a team or an address")
	s.StringVar(&f.rotated, "rotated", "", "when the token was changed last: a date or today")
	s.StringVar(&f.due, "due", "", "when to change it next: a date, or a time after the last change such as 90d")
	s.StringVar(&f.expires, "expires", "", "when GitLab ends the token: a date, or a time after the last change")
	s.StringVar(&f.note, "note", "", "a note")
	s.BoolVar(&f.keep, "keep", false, "no prune may delete it (--keep=false takes that back)")
	ownersFlag(cmd, &in.Owners)
	accessFlags(cmd, &in.Access)
	return cmd
}

func (f *ownerFlags) edit(cmd *cobra.Command) (app.OwnerEdit, error) {
	var edit app.OwnerEdit
	given := 0
	has := func(name string) bool {
		if cmd.Flags().Changed(name) {
			given++
			return true
		}
		return false
	}
	if has("to") {
		edit.Owner = &f.to
	}
	if has("note") {
		edit.Note = &f.note
	}
	if has("keep") {
		edit.Keep = &f.keep
	}
	for _, row := range []struct {
		name, text string
		into       **fleet.Moment
	}{{"rotated", f.rotated, &edit.RotatedAt}, {"due", f.due, &edit.Due}, {"expires", f.expires, &edit.ExpiresAt}} {
		if !has(row.name) {
			continue
		}
		m, err := fleet.ParseMoment(row.text)
		if err != nil {
			return edit, usageError{fmt.Errorf("--%s: %w", row.name, err)}
		}
		if row.name == "rotated" && m.IsSpan() {
			return edit, usageError{fmt.Errorf("--rotated: %q is a span of time: give the date", row.text)}
		}
		*row.into = &m
	}
	if given == 0 {
		return edit, usageError{fmt.Errorf("nothing to set: give --to, --rotated, --due, --expires, --note or --keep")}
	}
	return edit, nil
}

func (c *command) ownerForget() *cobra.Command {
	owners := ""
	cmd := &cobra.Command{
		Use: "forget ID…", Short: "Remove entries from the owners file", Args: cobra.MinimumNArgs(1),
		Long:    `forget removes entries from the owners file. Nothing changes at GitLab, which is not asked.`,
		Example: "  rekey runner owner forget 4711",
		RunE: func(_ *cobra.Command, args []string) error {
			ids, err := runnerIDs(args)
			if err != nil {
				return err
			}
			if err := c.app.ForgetOwner(owners, ids); err != nil {
				return err
			}
			c.paper().line("Forgot %s.", plural(len(ids), "entry", "entries"))
			return nil
		},
	}
	ownersFlag(cmd, &owners)
	return cmd
}
