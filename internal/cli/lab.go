package cli

import (
	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) lab() *cobra.Command {
	return group(&cobra.Command{Use: "lab", Short: "A GitLab of any version to rehearse on; never for production",
		Example: "  rekey lab demo\n  rekey lab up --data /tmp/lab --gitlab-version 16.11\n  rekey lab upgrade 18.0 --data /tmp/lab"},
		c.labUp(), c.labStatus(), c.labUpgrade(), c.labMaintenance(), c.labReadOnly(), c.labSnapshot(), c.labRestore(), c.labLoseSecrets(),
		c.labClock(), c.labFault(), c.labRunner(), c.labDemo())
}

func (c *command) labUp() *cobra.Command {
	var in app.LabInput
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Serve a GitLab-compatible coordinator in the foreground",
		Long: `up serves a coordinator that gitlab-runner and API clients cannot tell from the
GitLab of that version in what it implements. It is persistent: the same --data
is the same lab. When it serves, DIR/lab.json (mode 0600) holds its address and an
administrator's token.

It is not GitLab, it guards nothing, and it must not be used in production.`,
		Example: `  rekey lab up
  rekey lab up --data /tmp/lab --listen 127.0.0.1:0 --gitlab-version 15.11
  rekey lab up --gitlab-version 18.0 --profile self-managed   # registration tokens still allowed
  rekey lab upgrade 18.0                                      # while it serves, from another terminal`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.app.LabUp(cmd.Context(), in, c.Out) },
	}
	s := cmd.Flags()
	s.StringVar(&in.Dir, "data", "rekey-lab", "directory of the lab's database and secrets")
	s.StringVar(&in.Listen, "listen", "127.0.0.1:8929", "address to serve on; port 0 picks one")
	s.StringVar(&in.Version, "gitlab-version", "", "15.11 to 19.x (default: the lab's own, 17.11 for a fresh one)")
	s.StringVar(&in.Profile, "profile", "", "gitlab.com or self-managed: how registration tokens are switched (default: gitlab.com from 17.0 on)")
	s.StringVar(&in.URL, "external-url", "", "address that clients use, where it is not the one listened on")
	return cmd
}

func (c *command) labRunner() *cobra.Command {
	var in app.SimulatedInput
	cmd := &cobra.Command{
		Use:   "runner",
		Short: "Simulate gitlab-runner processes: poll, reload, run jobs with sh",
		Long: `runner behaves as gitlab-runner does towards its GitLab: it polls, disables a
section for an hour after three refusals, loads a config whose mtime is newer or
on SIGHUP, and runs jobs with sh. It runs what the jobs say, as you: point it at
the lab only.

--count simulates a fleet in one process: so many gitlab-runner processes on the one
config, as autoscaled machines from one image. Each is a manager of its own of every
section's token, with its own system id, concurrent and health, and their polls are
spread over check_interval. (From 18.5 on GitLab answers 429 to more than 2000 polls a
minute of one token: raise runner_jobs_request_api_limit, or use --records.)

--records makes so many instance runners on the running lab of --data first, and
writes a new config with a section for each: what a load test wants.`,
		Example: `  rekey lab runner --config ./config.toml
  rekey lab runner --config ./config.toml --count 1000
  rekey lab runner --config ./fleet.toml --records 1000 --data /tmp/lab`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.app.SimulatedRunner(cmd.Context(), in, c.Err) },
	}
	s := cmd.Flags()
	s.StringVarP(&in.Config, "config", "c", "config.toml", "config.toml to run")
	s.StringVar(&in.Version, "runner-version", "", "gitlab-runner version to report and to behave as (default 17.11.0)")
	s.IntVar(&in.Count, "count", 1, "how many processes to simulate, each with a system id of its own")
	s.IntVar(&in.Records, "records", 0, "make so many runners on the lab of --data first, and write them to --config")
	s.StringVar(&in.LabDir, "data", "rekey-lab", "directory of the lab that --records makes runners on")
	s.StringVar(&in.BuildsDir, "builds-dir", "", "where jobs work (default: builds beside the config)")
	return cmd
}
