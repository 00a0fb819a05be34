package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/docs/schema"
	"rekey/internal/app"
	"rekey/internal/diagnose"
)

// doctorFlags is what doctor was asked, and how it is to answer.
type doctorFlags struct {
	in        app.DoctorInput
	output    string
	file      string // "" for standard output
	failOn    string
	threshold rekey.Severity // of failOn
	watch     time.Duration
	schema    bool
}

func (c *command) doctor() *cobra.Command {
	f := doctorFlags{output: "table", failOn: "error"}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say which runner tokens match their GitLab, and why the others do not",
		Long: `doctor reads config.toml, asks each section's GitLab about its token, and names
the cause of every mismatch with what it saw. It knows three answers: valid,
invalid and unknown.

From GitLab 18.7 on the question leaves no trace. Before, it is the verify that
gitlab-runner itself sends, with this host's system id: it renews contact times,
and GitLab notes a host that was never in contact as a runner manager. --no-touch
asks nothing about tokens.

With a user token (GITLAB_TOKEN, scope read_api or manage_runner) it can tell a
deleted record from a rotated token, and see scope, managers and versions.

--for-gitlab judges the same facts for a GitLab to come: what breaks there, what
is deprecated, what is fine. "Breaks" is said only of what was read.

Ctrl-C shows what is known by then; a second one ends at once.`,
		Example: `  rekey doctor                                   # the standard locations
  rekey doctor --config /srv/runner/config.toml  # this file
  GITLAB_HOST=https://gitlab.example.com GITLAB_TOKEN=… rekey doctor
  rekey doctor --host ssh://root@runner1         # another host, through your ssh
  rekey doctor --inventory hosts.yml --limit ci  # a fleet, by its Ansible inventory
  rekey doctor --host docker:// --host k8s://ci  # containers, and a namespace's releases
  rekey doctor --for-gitlab 18.0                 # before an upgrade
  rekey doctor --expect-project acme/web -o json | jq .summary
  rekey doctor -o prometheus --output-file /var/lib/node_exporter/textfile/rekey.prom
  rekey doctor --job https://gitlab.example.com/acme/web/-/jobs/4711`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runDoctor(cmd.Context(), &f) },
	}
	probeFlags(cmd, &f.in)
	hostFlags(cmd, &f.in.Hosts)
	accessFlags(cmd, &f.in.Access)
	s := cmd.Flags()
	s.StringVarP(&f.output, "output", "o", f.output, "table; json (docs/json.md), sarif, junit or prometheus for programs")
	s.StringVar(&f.file, "output-file", "", "write there instead, at once and whole: who reads the file never sees half of it")
	s.StringVar(&f.failOn, "fail-on", f.failOn, "exit 3 on findings of this severity or above: info, warning or error")
	s.StringVar(&f.in.ForGitLab, "for-gitlab", "", "judge for this GitLab to come as well, as 18.0; exit 3 if something breaks there")
	s.StringVar(&f.in.Job, "job", "", "start from a stuck job, by its address in GitLab")
	s.StringArrayVar(&f.in.Logs, "log", nil, "a file with gitlab-runner's log, read as evidence; repeatable")
	s.DurationVar(&f.watch, "watch", 0, "look again this often, until Ctrl-C")
	s.BoolVar(&f.schema, "schema", false, "print the JSON Schema of -o json and end")
	return cmd
}

func (c *command) runDoctor(ctx context.Context, f *doctorFlags) error {
	if f.schema {
		_, err := c.Out.Write(schema.Doctor)
		return err
	}
	var err error
	if f.threshold, err = rekey.ParseSeverity(f.failOn); err != nil {
		return err
	}
	if err := known("-o", f.output, "table", "json", "sarif", "junit", "prometheus"); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(doctorGC)) // for the writing too: JSON of a fleet is large
	if f.watch != 0 {
		return c.watchDoctor(ctx, f)
	}
	out, err := c.lookOnce(ctx, f)
	if err != nil {
		return err
	}
	if err := c.showDoctor(out, f); err != nil {
		return err
	}
	return c.doctorExit(out, f.threshold)
}

// doctorGC lets the heap grow by a fifth between collections rather than double: a
// runner host has work of its own, and ten thousand sections then take 90 MB, not 130.
const doctorGC = 20

func (c *command) lookOnce(ctx context.Context, f *doctorFlags) (app.DoctorOutput, error) {
	in, progress := f.in, c.progress("checked")
	in.Progress = progress.update
	in.Announce = func(e app.Estimate) {
		c.announce(e)
		progress.pausing(e.Sections, e.Pause)
	}
	stop := progress.redrawn()
	out, err := c.app.Doctor(ctx, in)
	stop()
	progress.clear()
	return out, err
}

// worthSaying is how long a run must take to be announced.
const worthSaying = 10 * time.Second

// announce says on a terminal how long the budget makes a run take.
func (c *command) announce(e app.Estimate) {
	if c.ErrTTY && e.Time > worthSaying {
		fmt.Fprintf(c.Err, "%s at %s requests/s: about %s; --rps raises it\n", plural(e.Sections, "section", "sections"), grouped(e.RPS), spoken(e.Time))
	}
}

// doctorExit: 1 when no config could be read or the run was interrupted, 3 when
// one could not or a finding is grave enough.
func (c *command) doctorExit(out app.DoctorOutput, threshold rekey.Severity) error {
	r := out.Report
	if r.Interrupted {
		fmt.Fprintf(c.Err, "rekey: interrupted: %s\n", interrupted(r))
		return exitError(exitFailed)
	}
	switch {
	case r.NothingRead():
		return exitError(exitFailed)
	case r.Fails(threshold), out.Upgrade.Fails(threshold):
		return exitError(exitFindings)
	}
	return nil
}

// interrupted says how much of the report is known.
func interrupted(r diagnose.Report) string {
	if len(r.Sections) == 0 {
		return "no section was asked about"
	}
	return fmt.Sprintf("of %s, %d are known to be valid or invalid; the others are unknown, not bad", plural(len(r.Sections), "section", "sections"), r.Summary.Valid+r.Summary.Invalid)
}
