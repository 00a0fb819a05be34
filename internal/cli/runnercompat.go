package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

func (c *command) runnerCompat() *cobra.Command {
	var in app.FleetInput
	var ask app.CompatInput
	output := "table"
	cmd := &cobra.Command{
		Use:   "compat",
		Short: "How the versions of server, runner managers, chart and provider go together",
		Long: `compat compares the version of every runner manager with GitLab's, and with the
GitLab to come (--for-gitlab), says what each older version loses or breaks, and
in which order to raise what. Every row of the table has its source (-o json).

GitLab knows the versions of its managers and itself. It does not know charts and
providers: give --chart and --provider; which of them goes with which version is
not in the table, and compat says so. Managers that GitLab calls stale are left
out. A user token needs read_api.`,
		Example: `  rekey runner compat
  rekey runner compat --for-gitlab 18.11
  rekey runner compat --group acme --for-gitlab 20.0 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := known("-o", output, "table", "json"); err != nil {
				return err
			}
			return c.runCompat(cmd.Context(), in, ask, output)
		},
	}
	s := cmd.Flags()
	s.StringVar(&ask.Target, "for-gitlab", "", "the GitLab version to come, as 18.11")
	s.StringVar(&ask.Chart, "chart", "", "version of the gitlab-runner chart in use")
	s.StringVar(&ask.Provider, "provider", "", "version of the Terraform provider in use")
	s.StringVarP(&output, "output", "o", output, "table or json")
	fleetFlags(cmd, &in)
	return cmd
}

func (c *command) runCompat(ctx context.Context, in app.FleetInput, ask app.CompatInput, output string) error {
	progress := c.progress("looked at")
	defer progress.clear()
	in.Progress = progress.update
	f, err := c.app.OpenFleet(ctx, in)
	if err != nil {
		return err
	}
	matrix, o, err := f.Compat(ctx, ask)
	progress.clear()
	if err != nil {
		return err
	}
	c.unread(o)
	if output == "json" {
		return c.json(compatJSON(matrix))
	}
	c.compatTable(matrix)
	return nil
}

func (c *command) compatTable(m fleet.Compat) {
	p := c.paper()
	then := ""
	if !m.Target.IsZero() {
		then = "FOR " + bounded(m.Target)
	}
	p.line("%s", p.bold(strings.TrimRight(fmt.Sprintf("%-14s %-12s %8s %7s  %-9s %s", "COMPONENT", "VERSION", "MANAGERS", "ONLINE", "NOW", then), " ")))
	p.line("%s", strings.TrimRight(fmt.Sprintf("%-14s %-12s %8s %7s  %-9s %s", fleet.ComponentServer, m.Server, "", "", "", raised(m)), " "))
	for _, l := range m.Lines {
		p.line("%-14s %-12s %8d %7d  %s %s", "gitlab-runner", versionText(l), l.Managers, l.Online, p.fit(l.Now), p.fit(l.Then))
		for _, row := range l.Changes {
			p.wrapped(fmt.Sprintf("%-15s%s: ", "", row.Level), row.Says)
		}
	}
	if len(m.Lines) == 0 {
		p.line("%-14s no manager in contact", "gitlab-runner")
	}
	if m.StaleManagers > 0 {
		p.line("%-14s %s left out", "", plural(m.StaleManagers, "stale manager", "stale managers"))
	}
	for _, part := range m.Parts {
		p.part(part)
	}
	c.crossed(p, m)
	p.line("")
	p.wrapped("", fleet.Policy)
}

// raised tells that the server is to become another.
func raised(m fleet.Compat) string {
	if m.Target.IsZero() || bounded(m.Target) == bounded(m.Server) {
		return ""
	}
	return "to be raised"
}

// part shows a component whose version only the operator knows.
func (p *paper) part(part fleet.CompatPart) {
	version := part.Version
	if version == "" {
		version = "not given"
	}
	p.line("%-14s %-12s %8s %7s  %s", part.Component, version, "", "", strings.TrimRight(p.fit(part.Fit), " "))
	p.wrapped(fmt.Sprintf("%-15s", ""), part.Why)
	for _, row := range part.Changes {
		p.wrapped(fmt.Sprintf("%-15s%s (GitLab %s): ", "", row.Level, bounded(row.ServerFrom)), row.Says)
	}
}

func (c *command) crossed(p *paper, m fleet.Compat) {
	if len(m.Crossed) > 0 {
		p.line("")
		p.line("%s", p.bold("On the way"))
	}
	for _, row := range m.Crossed {
		p.wrapped(fmt.Sprintf("  %d.%d %s: ", row.ServerFrom.Major, row.ServerFrom.Minor, row.Level), row.Says)
	}
	if len(m.Path) > 0 {
		p.line("")
		p.line("%s", p.bold("In this order"))
	}
	for i, step := range m.Path {
		p.wrapped(fmt.Sprintf("  %d. ", i+1), step)
	}
}

func (p *paper) fit(f fleet.Fit) string {
	text := fmt.Sprintf("%-9s", f)
	switch f {
	case fleet.FitEqual, fleet.FitMinor:
		return p.green(text)
	case fleet.FitMayWork, fleet.FitUnknown:
		return p.yellow(text)
	}
	return strings.TrimSpace(text)
}

func versionText(l fleet.CompatLine) string {
	if l.Text == "" {
		return "unknown"
	}
	return oneLine(l.Text)
}

// changeDocument is a row of the version table in JSON.
type changeDocument struct {
	fleet.Change
	ServerFrom  string `json:"server_from,omitempty"`
	RunnerBelow string `json:"runner_below,omitempty"`
	New         bool   `json:"new,omitempty"`
}

func compatJSON(m fleet.Compat) any {
	type line struct {
		Version  string           `json:"version"`
		Managers int              `json:"managers"`
		Online   int              `json:"online"`
		Runners  []rekey.RunnerID `json:"runners"`
		Now      fleet.Fit        `json:"now"`
		Then     fleet.Fit        `json:"then,omitempty"`
		Changes  []changeDocument `json:"changes"`
	}
	type part struct {
		Component fleet.Component  `json:"component"`
		Version   string           `json:"version"`
		Fit       fleet.Fit        `json:"fit"`
		Why       string           `json:"why"`
		Changes   []changeDocument `json:"changes"`
	}
	lines, parts := []line{}, []part{}
	for _, l := range m.Lines {
		lines = append(lines, line{l.Text, l.Managers, l.Online, l.Runners, l.Now, l.Then, changeList(l.Changes, l.New)})
	}
	for _, q := range m.Parts {
		parts = append(parts, part{q.Component, q.Version, q.Fit, q.Why, changeList(q.Changes, nil)})
	}
	return struct {
		Schema  string           `json:"schema"`
		GitLab  string           `json:"gitlab_version"`
		Target  string           `json:"target_version,omitempty"`
		Runners []line           `json:"gitlab_runner"`
		Stale   int              `json:"stale_managers"`
		Unread  int              `json:"unread"`
		Parts   []part           `json:"parts"`
		Crossed []changeDocument `json:"crossed"`
		Path    []string         `json:"path"`
		Policy  string           `json:"policy"`
	}{"rekey.compat/1", m.Server.String(), bounded(m.Target), lines, m.StaleManagers, m.Untold, parts, changeList(m.Crossed, nil), append([]string{}, m.Path...), fleet.Policy}
}

func changeList(rows, fresh []fleet.Change) []changeDocument {
	isNew := map[string]bool{}
	for _, row := range fresh {
		isNew[row.ID] = true
	}
	list := []changeDocument{}
	for _, row := range rows {
		list = append(list, changeDocument{row, bounded(row.ServerFrom), bounded(row.RunnerBelow), isNew[row.ID]})
	}
	return list
}

func bounded(v rekey.Version) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}
