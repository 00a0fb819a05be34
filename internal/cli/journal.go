package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
	"rekey/internal/remedy"
)

func (c *command) journal() *cobra.Command {
	return group(&cobra.Command{
		Use:   "journal",
		Short: "What rekey did on this host, step by step, and what is unfinished",
		Long: `journal reads the state directory, where every repair and rotation writes what it
is about to do before it does it, and how that ended. Tokens in it are sealed;
none of these commands opens them.`,
		Example: `  rekey journal list
  rekey journal show 20260401t101500abcd
  rekey journal prune --older-than 90d`,
	}, c.journalList(), c.journalShow(), c.journalPrune())
}

func (c *command) journalList() *cobra.Command {
	var in app.StateInput
	output, unfinished := "table", false
	cmd := &cobra.Command{
		Use: "list", Short: "The operations of this host: when, what, how far, and what resumes them",
		Long: `list shows every operation that the state directory has a journal of, oldest
first. With --unfinished it shows those alone, and ends with 3 when there are
any: for a timer that watches.`,
		Example: "  rekey journal list\n  rekey journal list --unfinished -o json",
		Args:    noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if err := known("-o", output, "table", "json"); err != nil {
				return err
			}
			j, err := c.app.Journal(in)
			if err != nil && rekey.KindOf(err) != rekey.KindNotFound {
				return err
			}
			ops := j.Operations
			if unfinished {
				ops = slices.DeleteFunc(slices.Clone(ops), func(s app.JournalSummary) bool { return over(s) })
			}
			if output == "json" {
				err = c.json(journalJSON(j.Dir, ops, in, false))
			} else {
				err = nil
				if unfinished && len(ops) == 0 && len(j.Operations) > 0 {
					c.paper().line("No operation is unfinished in %s: %s.", j.Dir, plural(len(j.Operations), "finished one is there", "finished ones are there"))
					return nil
				}
				c.journalTable(j.Dir, ops, in)
			}
			if err == nil && unfinished && len(ops) > 0 {
				return exitError(exitFindings)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "table or json")
	cmd.Flags().BoolVar(&unfinished, "unfinished", false, "only what is not finished; exit 3 when there is any")
	stateDirFlag(cmd, &in)
	return cmd
}

func (c *command) journalShow() *cobra.Command {
	var in app.StateInput
	output := "text"
	cmd := &cobra.Command{
		Use: "show OPERATION|RUN", Short: "Every step of an operation in words: what was intended, what came of it",
		Example: "  rekey journal show 20260401t101500abcd-1\n  rekey journal show 20260401t101500abcd -o json",
		Args:    oneWord("the name of an operation or of a run; `rekey journal list` shows them"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := known("-o", output, "text", "json"); err != nil {
				return err
			}
			j, err := c.app.Journal(in)
			if err != nil {
				return err
			}
			ops, err := j.Named(args[0])
			if err != nil {
				return err
			}
			if output == "json" {
				return c.json(journalJSON(j.Dir, ops, in, true))
			}
			for _, s := range ops {
				c.journalText(s, in)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "text or json")
	stateDirFlag(cmd, &in)
	return cmd
}

func (c *command) journalPrune() *cobra.Command {
	var in app.StateInput
	age, output, yes, dryRun := "", "text", false, false
	cmd := &cobra.Command{
		Use: "prune --older-than AGE", Short: "Remove journals that ended long ago; shows first, then asks",
		Long: `prune lists the journals of runs that ended longer ago than --older-than, and
stops; on a terminal it asks whether to go on, and --yes goes on without asking.
What is sealed in them goes too: such a run can no longer be undone.

It never removes what is unfinished, nor a journal whose sealed token was never
proved to be delivered: that may be the only copy. A run goes as a whole.`,
		Example: "  rekey journal prune --older-than 90d\n  rekey journal prune --older-than 90d --yes",
		Args:    noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if err := known("-o", output, "text", "json"); err != nil {
				return err
			}
			if age == "" {
				return usageError{fmt.Errorf("--older-than is missing, as in --older-than 90d")}
			}
			if yes && dryRun {
				return usageError{fmt.Errorf("--dry-run and --yes contradict each other")}
			}
			span, err := fleet.ParseAge(age)
			if err != nil {
				return usageError{fmt.Errorf("--older-than: %w", err)}
			}
			return c.runJournalPrune(in, span, pruneAsked{yes: yes, dryRun: dryRun, json: output == "json"})
		},
	}
	s := cmd.Flags()
	s.StringVar(&age, "older-than", "", "how long ago a run must have ended, as 30d, 2w or 36h")
	s.BoolVarP(&yes, "yes", "y", false, "remove without asking")
	s.BoolVar(&dryRun, "dry-run", false, "show the list and stop, on a terminal too")
	s.StringVarP(&output, "output", "o", output, "text, or json for programs (which is never asked)")
	stateDirFlag(cmd, &in)
	return cmd
}

// stateDirFlag says where journals are, for commands that repair nothing.
func stateDirFlag(cmd *cobra.Command, in *app.StateInput) {
	cmd.Flags().StringVar(&in.Dir, "state-dir", "", "where journals live (REKEY_STATE_DIR; default /var/lib/rekey for root, else ~/.local/state/rekey)")
}

type pruneAsked struct{ yes, dryRun, json bool }

func (c *command) runJournalPrune(in app.StateInput, span time.Duration, asked pruneAsked) error {
	p, err := c.app.PruneJournal(in, span, asked.yes)
	if err != nil {
		return err
	}
	removed := asked.yes
	if !asked.json {
		c.journalPruneText(p, span)
	}
	if len(p.Gone) > 0 && !asked.yes && !asked.dryRun && !asked.json && c.InTTY && c.confirm(fmt.Sprintf("Remove %s?", plural(len(p.Gone), "journal", "journals"))) {
		if p, err = c.app.PruneJournal(in, span, true); err != nil {
			return err
		}
		removed = true
	}
	switch {
	case asked.json:
		return c.json(journalPruneJSON(p, in, removed))
	case removed && len(p.Gone) > 0:
		c.paper().line("%s removed.", plural(len(p.Gone), "journal", "journals"))
	case len(p.Gone) > 0:
		c.say("Nothing was removed. To remove exactly these: the same command with --yes")
	}
	return nil
}

func (c *command) journalPruneText(p app.JournalPrune, span time.Duration) {
	paper := c.paper()
	for _, s := range p.Stay {
		paper.wrapped("  stays  "+string(s.Operation)+"  ", s.Held)
	}
	if len(p.Gone) == 0 {
		paper.line("Nothing to remove in %s: no run that may go ended more than %s ago.", p.Dir, fleet.AgeText(span))
		return
	}
	for _, s := range p.Gone {
		paper.wrapped("  goes   "+string(s.Operation)+"  ", fmt.Sprintf("%s: %s", stamp(s.Last), describeOperation(s)))
	}
}

func (c *command) journalTable(dir string, ops []app.JournalSummary, in app.StateInput) {
	p := c.paper()
	if len(ops) == 0 {
		p.line("No operation is in %s.", dir)
		return
	}
	for _, s := range ops {
		p.line("%s  %s  %s", p.bold(string(s.Operation)), stamp(s.Begun), c.painted(p, s))
		p.wrapped("    ", describeOperation(s))
		if next := nextCommand(s, in); next != "" {
			p.wrapped("    next  ", next)
		}
	}
}

func (c *command) painted(p *paper, s app.JournalSummary) string {
	text := stateText(s)
	switch {
	case !over(s):
		return p.yellow(text)
	case s.Status == rekey.StatusFailed && s.State != remedy.StateUndone:
		return p.red(text)
	}
	return p.green(text)
}

// over reports whether nothing of the operation is left to do.
func over(s app.JournalSummary) bool {
	return s.State == remedy.StateEnded || s.State == remedy.StateUndone
}

func stateText(s app.JournalSummary) string {
	switch s.State {
	case remedy.StateUnfinished:
		return fmt.Sprintf("unfinished: %d of %d steps%s", s.Done, s.Steps, reached(s))
	case remedy.StateUndoing:
		return "undone in part: the config is put back, GitLab is not cleaned up"
	case remedy.StateUndone:
		return "undone"
	}
	if s.Proof == "" || s.Proof == rekey.ProofNone || string(s.Proof) == string(s.Status) {
		return string(s.Status)
	}
	return fmt.Sprintf("%s (proof: %s)", s.Status, s.Proof)
}

func reached(s app.JournalSummary) string {
	if s.Reached == "" {
		return ""
	}
	return fmt.Sprintf(", the last begun is %q", s.Reached)
}

func describeOperation(s app.JournalSummary) string {
	t := s.Target
	text := fmt.Sprintf("%s of section %q in %s at %s", t.Remedy, t.Name, t.Config, t.URL)
	if s.RunnerID != 0 {
		text += fmt.Sprintf(", runner %d", s.RunnerID)
	}
	var causes []string
	for _, cause := range t.Causes {
		causes = append(causes, string(cause))
	}
	if len(causes) > 0 {
		text += " (" + strings.Join(causes, ", ") + ")"
	}
	return text
}

// nextCommand is what finishes an operation, "" for one that is over.
func nextCommand(s app.JournalSummary, in app.StateInput) string {
	where := ""
	if in.Dir != "" {
		where = " --state-dir " + in.Dir
	}
	switch s.State {
	case remedy.StateUnfinished:
		return fmt.Sprintf("`rekey fix --resume%s` finishes it, `rekey fix --abort%s` gives it up", where, where)
	case remedy.StateUndoing:
		return fmt.Sprintf("`rekey fix --abort%s` cleans up at GitLab", where)
	}
	return ""
}

func (c *command) journalText(s app.JournalSummary, in app.StateInput) {
	p := c.paper()
	p.line("%s  %s", p.bold(string(s.Operation)), c.painted(p, s))
	p.wrapped("    ", describeOperation(s))
	for _, l := range s.Lines {
		text := c.app.Scrub(oneLine(l.Text))
		lead := "    " + stamp(l.At) + "  "
		if l.Failed {
			text = p.red(text)
		}
		p.wrapped(lead, text)
	}
	if next := nextCommand(s, in); next != "" {
		p.wrapped("    next  ", next)
	} else if s.Held != "" {
		p.wrapped("    note  ", "prune leaves it: "+s.Held)
	}
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }
