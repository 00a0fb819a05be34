package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"rekey/internal/app"
	"rekey/internal/guard"
)

func (c *command) snapshot() *cobra.Command {
	var in app.SnapshotInput
	file := ""
	cmd := group(&cobra.Command{
		Use:   "snapshot",
		Short: "Remember which runners work, to know after an upgrade or a restore which no longer do",
		Long: `snapshot records the sections of the configs at hand and the runner records in
reach: ids, scopes, attributes, dates, and a keyed mark of each token. It holds no
token; without the key, which lies in the state directory (snapshot.key, 0600),
its marks test no guess. It changes nothing at GitLab.

"rekey snapshot diff FILE" says afterwards what is stale, and
"rekey fix --from-diff" repairs it. A user token with read_api adds the records;
an administrator's adds all of them. See docs/guides/restore-guard.md.`,
		Example: `  rekey snapshot -o before-18.json
  rekey snapshot --config /etc/gitlab-runner/config.toml > before-18.json
  rekey snapshot diff before-18.json
  rekey snapshot diff before-18.json -o json > stale.json
  rekey fix --from-diff stale.json --dry-run`,
	}, c.snapshotDiff())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.runSnapshot(cmd.Context(), in, file) }
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write (0600, never written over); without it the snapshot goes to standard output")
	snapshotFlags(cmd, &in)
	return cmd
}

// snapshotFlags are what a snapshot and a comparison have in common.
func snapshotFlags(cmd *cobra.Command, in *app.SnapshotInput) {
	f := cmd.Flags()
	f.StringArrayVarP(&in.Configs, "config", "c", nil, "config.toml to look at; repeatable (default: the standard locations, CONFIG_FILE; of a comparison: those of the snapshot)")
	f.BoolVar(&in.NoTouch, "no-touch", false, "send no request that carries a runner token")
	f.StringVar(&in.KeyFile, "key-file", "", "the key of the marks (default: snapshot.key in the state directory)")
	stateDirFlag(cmd, &in.State)
	hostFlags(cmd, &in.Hosts)
	accessFlags(cmd, &in.Access)
}

func (c *command) runSnapshot(ctx context.Context, in app.SnapshotInput, file string) error {
	sections, records := c.progress("checked"), c.progress("recorded")
	in.Progress, in.Recorded = sections.update, records.update
	s, err := c.app.Snapshot(ctx, in)
	sections.clear()
	records.clear()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	for _, u := range s.Unread {
		c.say("not in the snapshot: %s", u)
	}
	for _, g := range s.GitLabs {
		if g.Reason != "" {
			c.say("%s: records %s: %s", g.URL, g.Records, g.Reason)
		}
	}
	if file == "" {
		_, err := c.Out.Write(text.Bytes())
		return err
	}
	if err := c.app.WriteSnapshot(file, text.Bytes()); err != nil {
		return err
	}
	p := c.paper()
	p.line("%s holds %s and %s, under key %s.", file, plural(len(s.Sections), "section", "sections"), plural(len(s.Records), "record", "records"), s.Key)
	p.wrapped("next  ", fmt.Sprintf("after the upgrade or restore: `rekey snapshot diff %s`. Keep the key too: without it the snapshot says nothing.", file))
	return nil
}

func (c *command) snapshotDiff() *cobra.Command {
	var in app.SnapshotInput
	output := "table"
	cmd := &cobra.Command{
		Use: "diff FILE", Short: "What is stale since a snapshot: sections, records, and what that shows together",
		Long: `diff looks at the configs and the records of a snapshot again and says which are
stale: a token that was good and is refused, a record that is gone, another record
under the same id, a record that is older than it was, an old token that is good
again. It changes nothing. It ends with 3 when a section is to be repaired.`,
		Example: "  rekey snapshot diff before-18.json\n  rekey snapshot diff before-18.json -o json > stale.json",
		Args:    oneWord("the file of a snapshot; `rekey snapshot -o FILE` takes one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "table", "json"); err != nil {
				return err
			}
			return c.runSnapshotDiff(cmd.Context(), in, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "table, or json for rekey fix --from-diff")
	snapshotFlags(cmd, &in)
	return cmd
}

func (c *command) runSnapshotDiff(ctx context.Context, in app.SnapshotInput, file, output string) error {
	was, err := c.app.ReadSnapshot(file)
	if err != nil {
		return err
	}
	sections, records := c.progress("checked"), c.progress("looked for")
	in.Progress, in.Recorded = sections.update, records.update
	d, err := c.app.SnapshotDiff(ctx, in, was)
	sections.clear()
	records.clear()
	if err != nil {
		return err
	}
	if output == "json" {
		if err := c.json(d); err != nil {
			return err
		}
	} else {
		c.diffText(d)
	}
	if len(d.Repairs()) > 0 {
		return exitError(exitFindings)
	}
	return nil
}

func (c *command) diffText(d guard.Diff) {
	p := c.paper()
	for _, u := range d.Unread {
		p.wrapped(p.red("✘ "), c.app.Scrub(u))
	}
	for _, n := range d.Notes {
		p.wrapped(p.yellow("! "), n)
	}
	for _, s := range d.Sections {
		mark := p.red("✘")
		if !s.Repair {
			mark = p.yellow("!")
		}
		p.line("%s %s  %s  %s", mark, p.bold(oneLine(s.Name)), s.Change, p.faint(s.Config))
		p.wrapped("    ", c.app.Scrub(s.Text))
	}
	if len(d.Records) > 0 {
		p.line("%s", p.bold("Records"))
	}
	for _, r := range d.Records {
		p.wrapped(fmt.Sprintf("  %-8d %-9s ", r.ID, r.Change), oneLine(r.Description)+": "+oneLine(r.Text))
	}
	p.line("%s since %s, %s.", plural(d.Intact, "section is as good as it was", "sections are as good as they were"), d.SnapshotAt.UTC().Format("2006-01-02 15:04Z"), staleText(d))
	if n := len(d.Repairs()); n > 0 {
		p.wrapped("next  ", fmt.Sprintf("`rekey snapshot diff FILE -o json > stale.json`, then `rekey fix --from-diff stale.json --dry-run` shows the repair of %s.", plural(n, "section", "sections")))
	}
}

// staleText counts the changes, most first.
func staleText(d guard.Diff) string {
	count := map[guard.Change]int{}
	for _, s := range d.Sections {
		count[s.Change]++
	}
	if len(count) == 0 {
		return "none is stale"
	}
	var words []string
	for change, n := range count {
		words = append(words, fmt.Sprintf("%d %s", n, change))
	}
	sort.Strings(words)
	return strings.Join(words, ", ")
}
