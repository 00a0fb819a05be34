package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/diagnose"
	"rekey/internal/export"
)

func (c *command) doctor() *cobra.Command {
	var in app.DoctorInput
	output, failOn := "table", "error"
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say which runner tokens match their GitLab, and why the others do not",
		Long: `doctor reads config.toml, asks each section's GitLab about its token in a way
that changes nothing there, and names the cause of every mismatch with what it
saw. It knows three answers: valid, invalid and unknown.

With a user token (GITLAB_TOKEN, scope read_api or manage_runner) it can tell a
deleted record from a rotated token, and see scope, managers and versions.`,
		Example: `  rekey doctor                                   # the standard locations
  rekey doctor --config /srv/runner/config.toml  # this file
  GITLAB_HOST=https://gitlab.example.com GITLAB_TOKEN=… rekey doctor
  rekey doctor --expect-project acme/web -o json | jq .summary
  rekey doctor --job https://gitlab.example.com/acme/web/-/jobs/4711`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			threshold, err := rekey.ParseSeverity(failOn)
			if err != nil {
				return err
			}
			if err := known("-o", output, "table", "json", "sarif", "junit", "prometheus"); err != nil {
				return err
			}
			once := func() error { return c.doctorOnce(cmd.Context(), in, output, threshold) }
			if watch == 0 {
				return once()
			}
			return c.watch(cmd.Context(), watch, once)
		},
	}
	probeFlags(cmd, &in)
	hostFlags(cmd, &in.Hosts)
	accessFlags(cmd, &in.Access)
	cmd.Flags().StringVarP(&output, "output", "o", output, "table; json (docs/json.md), sarif, junit or prometheus for programs")
	cmd.Flags().StringVar(&failOn, "fail-on", failOn, "exit 3 on findings of this severity or above: info, warning or error")
	cmd.Flags().StringVar(&in.Job, "job", "", "start from a stuck job, by its address in GitLab")
	cmd.Flags().StringArrayVar(&in.Logs, "log", nil, "a file with gitlab-runner's log, read as evidence; repeatable")
	cmd.Flags().DurationVar(&watch, "watch", 0, "look again this often, until Ctrl-C")
	return cmd
}

// doctorGC lets the heap grow by a third between collections rather than double: a
// runner host has work of its own, and ten thousand sections then take 85 MB, not 130.
const doctorGC = 30

func (c *command) doctorOnce(ctx context.Context, in app.DoctorInput, output string, threshold rekey.Severity) error {
	defer debug.SetGCPercent(debug.SetGCPercent(doctorGC))
	progress := c.progress("checked")
	in.Progress = progress.update
	out, err := c.app.Doctor(ctx, in)
	progress.clear()
	if err != nil {
		return err
	}
	for _, w := range out.Warnings {
		fmt.Fprintf(c.Err, "rekey: %s\n", w)
	}
	return c.showDoctor(out, output, threshold)
}

// watch looks again and again until ctx ends, and then returns what the last
// look did. An error is shown and does not end the watch: a GitLab that is down
// is what one watches for.
func (c *command) watch(ctx context.Context, every time.Duration, look func() error) error {
	if every < time.Second {
		return usageError{fmt.Errorf("--watch %s is too often: a second is the least", every)}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if c.OutTTY {
			fmt.Fprintf(c.Out, "\x1b[H\x1b[2J%s, every %s; Ctrl-C ends\n\n", c.app.Now().Format(time.TimeOnly), every)
		}
		err := look()
		var found exitError
		if err != nil && !errors.As(err, &found) {
			fmt.Fprintf(c.Err, "rekey: %s\n", c.app.Scrub(err.Error()))
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func (c *command) showDoctor(out app.DoctorOutput, output string, threshold rekey.Severity) error {
	if err := c.writeDoctor(out, output); err != nil {
		return err
	}
	return doctorExit(out.Report, threshold)
}

func (c *command) writeDoctor(out app.DoctorOutput, output string) error {
	switch output {
	case "json":
		return c.json(out.Report)
	case "sarif":
		return export.SARIF(c.Out, out.Report, Version())
	case "junit":
		return export.JUnit(c.Out, out.Report)
	case "prometheus":
		return export.Prometheus(c.Out, out.Report, c.app.Now())
	}
	c.doctorTable(out)
	return nil
}

// json writes one document. It passes through no scrubber that could cut it:
// reports hold no token.
func (c *command) json(v any) error {
	enc := json.NewEncoder(c.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// doctorExit: 1 when no config could be read, 3 when one could not or a finding
// is grave enough.
func doctorExit(r diagnose.Report, threshold rekey.Severity) error {
	unreadable := 0
	for _, c := range r.Configs {
		if c.Error != "" {
			unreadable++
		}
	}
	switch {
	case unreadable > 0 && unreadable == len(r.Configs):
		return exitError(exitFailed)
	case unreadable > 0:
		return exitError(exitFindings)
	}
	for _, s := range r.Sections {
		for _, f := range s.Findings {
			if f.Severity.AtLeast(threshold) {
				return exitError(exitFindings)
			}
		}
	}
	return nil
}
