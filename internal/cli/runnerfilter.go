package cli

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

// runnerFilter chooses records by what there is to say about them.
type runnerFilter struct {
	offline, stale, never, legacy, undated, unowned bool

	expiring, owners string
}

func (f *runnerFilter) define(cmd *cobra.Command) {
	s := cmd.Flags()
	s.BoolVar(&f.offline, "offline", false, "online once, and not now; paused ones too")
	s.BoolVar(&f.stale, "stale", false, "stale by GitLab's word: silent for 7 days, before GitLab 18 for 3 months")
	s.BoolVar(&f.never, "never-contacted", false, "nobody ever used the token")
	s.StringVar(&f.expiring, "expiring", "", "the token ends within this time, as 14d, or has ended")
	s.BoolVar(&f.legacy, "legacy", false, "made with a registration token, as far as GitLab lets it be seen")
	s.BoolVar(&f.undated, "no-rotation-date", false, "the owners file does not say when the token was changed")
	s.BoolVar(&f.unowned, "no-owner", false, "the owners file names no owner")
	ownersFlag(cmd, &f.owners)
}

func ownersFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "owners", "", "the owners file (default "+fleet.LedgerFile+" where there is one)")
}

func (f *runnerFilter) given() bool { return len(f.marks()) > 0 }

func (f *runnerFilter) marks() []fleet.Mark {
	var marks []fleet.Mark
	for _, row := range []struct {
		wanted bool
		mark   fleet.Mark
	}{{f.offline, fleet.MarkOffline}, {f.stale, fleet.MarkStale}, {f.never, fleet.MarkNever}, {f.expiring != "", fleet.MarkExpiring},
		{f.legacy, fleet.MarkLegacy}, {f.undated, fleet.MarkUndated}, {f.unowned, fleet.MarkUnowned}} {
		if row.wanted {
			marks = append(marks, row.mark)
		}
	}
	return marks
}

func (c *command) runnersWith(ctx context.Context, in app.ListInput, filter runnerFilter, output string) error {
	if in.Status != "" {
		return usageError{fmt.Errorf("--status goes with none of the other filters")}
	}
	within := time.Duration(0)
	if filter.expiring != "" {
		var err error
		if within, err = fleet.ParseAge(filter.expiring); err != nil {
			return usageError{fmt.Errorf("--expiring: %w", err)}
		}
	}
	progress := c.progress("looked at")
	defer progress.clear()
	f, err := c.app.OpenFleet(ctx, app.FleetInput{Access: in.Access, Group: in.Group, Project: in.Project, Owners: filter.owners, Progress: progress.update})
	if err != nil {
		return err
	}
	o, err := f.Select(ctx, filter.marks(), within)
	progress.clear()
	if err != nil {
		return err
	}
	if output == "json" {
		return c.json(overviewJSON("rekey.runners/1", o))
	}
	c.overviewTable(o)
	c.unread(o)
	if within > 0 && o.ExpiryUnknown > 0 {
		c.say("When the tokens of %s end is not known: the owners file has no date, and no readable setting tells.", plural(o.ExpiryUnknown, "other runner", "other runners"))
	}
	if filter.legacy && o.CreatorUnknown > 0 {
		c.say("Of %s GitLab does not say who made them (before 18.0, or hidden from this user): whether they were registered the old way is unknown.", plural(o.CreatorUnknown, "runner", "runners"))
	}
	return nil
}

// overviewTable shows records with why they are shown.
func (c *command) overviewTable(o app.Overview) {
	p := c.paper()
	if len(o.Shown) == 0 {
		p.line("No runner matches, of %s.", plural(o.Of, "runner", "runners"))
		return
	}
	p.line("%s", p.bold(fmt.Sprintf("%-8s %-9s %-16s %-18s %s", "ID", "SCOPE", "STATUS", "OWNER", "DESCRIPTION")))
	for _, s := range o.Shown {
		r := s.Record.Runner
		p.line("%-8d %-9s %-16s %-18s %s", r.ID, r.Scope, r.Status, orDash(oneLine(s.Owner)), oneLine(r.Description))
		for _, remark := range s.Remarks {
			text := string(remark.Mark) + ": " + remark.Why
			if remark.Confidence != rekey.Certain {
				text += " (" + string(remark.Confidence) + ")"
			}
			p.wrapped("         ", text)
		}
	}
	p.line("%s of %d.", plural(len(o.Shown), "runner", "runners"), o.Of)
}

func overviewJSON(schema string, o app.Overview) any {
	list := []runnerDocument{}
	for _, s := range o.Shown {
		d := document(s.Record.Runner)
		d.Tags, d.LastSeen, d.Owner, d.Remarks = s.Record.Runner.Tags, s.Record.LastSeen(), s.Owner, s.Remarks
		list = append(list, d)
	}
	return struct {
		Schema  string           `json:"schema"`
		Now     time.Time        `json:"now"`
		Of      int              `json:"of"`
		Unread  int              `json:"unread"`
		Runners []runnerDocument `json:"runners"`
	}{schema, o.Now, o.Of, o.Unread, list}
}

// unread says that a list is not complete, and why.
func (c *command) unread(o app.Overview) {
	if o.Unread == 0 {
		return
	}
	c.say("%s could not be read: %v", plural(o.Unread, "runner", "runners"), o.Why)
	if hint := rekey.HintOf(o.Why); hint != "" {
		c.say("  → %s", hint)
	}
}

// clockSkew warns where the two clocks differ by more than a request takes.
func (c *command) clockSkew(f *app.Fleet) {
	if skew := f.Skew().Round(time.Second); skew.Abs() > time.Minute {
		c.say("The clocks differ: this machine is %s off GitLab's. Ages are by GitLab's clock.", skew)
	}
}

// say talks on standard error.
func (c *command) say(format string, args ...any) {
	fmt.Fprintln(c.Err, c.app.Scrub(fmt.Sprintf(format, args...)))
}

// oneLine is a text that somebody else wrote, without what could move a cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func created(r rekey.Runner) string {
	text := ""
	if !r.CreatedAt.IsZero() {
		text = r.CreatedAt.UTC().Format(time.RFC3339)
	}
	switch {
	case r.Creator != "":
		text += " by " + oneLine(r.Creator)
	case r.CreatorKnown:
		text += " by nobody that GitLab names: with a registration token, or by a user who is gone"
	}
	return strings.TrimSpace(text)
}
