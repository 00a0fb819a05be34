package cli

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) agent() *cobra.Command {
	var in app.AgentInput
	var once bool
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Keep a host's config.toml and a secret store in step, both ways",
		Long: `agent watches config.toml and a store. A new token in the store is delivered,
loaded by gitlab-runner and verified; a token that gitlab-runner rotated by itself
is written back. Where both changed GitLab decides which is good; two good ones:
the store's counts. A token that GitLab refuses goes nowhere, and while GitLab or
the store is away nothing changes.

--store names a secret for each section: {name} stands for the section's name,
{host} for this host's. Credentials come from where "rekey secret" has them; a
user token is needed for gitlab-var:// alone.

SIGHUP looks at everything at once, SIGTERM ends it. deploy/systemd has a unit;
docs/guides/agent.md tells of sidecars, health and metrics.`,
		Example: `  rekey agent --store 'vault://secret/runners/{host}/{name}#token'
  rekey agent --config /etc/gitlab-runner/config.toml --store 'file:///var/lib/tokens/{name}.sealed' --interval 5s
  rekey agent --store 'k8s://ci/{name}' --listen 127.0.0.1:9252
  rekey agent --once --section deploy --store awssm://eu-central-1/ci/deploy`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Report = c.agentLog()
			if once {
				return c.app.AgentOnce(cmd.Context(), in)
			}
			look, stop := hangups()
			defer stop()
			in.LookNow = look
			return c.app.Agent(cmd.Context(), in)
		},
	}
	s := cmd.Flags()
	s.StringArrayVarP(&in.Configs, "config", "c", nil, "config.toml to keep; repeatable (default: the standard locations; CONFIG_FILE)")
	s.StringVar(&in.Store, "store", "", "the secret of a section as a `REF`, with {name} and {host}: vault://, awssm://, gitlab-var://, k8s://, file://, env:")
	s.StringArrayVar(&in.Sections, "section", nil, "only the section of this name; repeatable (default: all whose token is no ${VARIABLE})")
	s.BoolVar(&once, "once", false, "look once and end: 0 when all sections are in step, else 1 with the reason")
	s.DurationVar(&in.Interval, "interval", 30*time.Second, "how often the store is looked at, a tenth more or less; a store that can be watched, and the config, are seen at once")
	s.StringVar(&in.Listen, "listen", "", "serve /healthz and /metrics there, as 127.0.0.1:9252")
	s.StringVar(&in.HostName, "host-name", "", "what {host} stands for (default: this host's name)")
	s.StringVar(&in.Reload, "reload", "auto", "how gitlab-runner is made to load the file: auto, sighup, touch, systemd, none, or restart (only once no job runs for certain)")
	s.BoolVar(&in.PatchManaged, "patch-managed", false, "deliver also into a config that Ansible, Helm or another tool writes; it may put the old token back")
	s.BoolVar(&in.Touch, "touch", false, "below GitLab 18.7, verify even without a system id, as before gitlab-runner's first start; this makes a <legacy> manager")
	accessFlags(cmd, &in.Access)
	stateFlags(cmd, &in.State)
	return cmd
}

// hangups makes of each SIGHUP a look.
func hangups() (look <-chan struct{}, stop func()) {
	signals, out, end := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-signals:
				select {
				case out <- struct{}{}:
				default: // one look sees all
				}
			}
		}
	})
	return out, func() { signal.Stop(signals); close(end); running.Wait() }
}

// agentLog writes one line for each event.
func (c *command) agentLog() func(app.AgentEvent) {
	var mu sync.Mutex
	return func(e app.AgentEvent) {
		mu.Lock()
		defer mu.Unlock()
		line := "rekey agent: "
		switch {
		case e.Section != "":
			line += e.Section + ": "
		case e.Config != "":
			line += e.Config + ": "
		}
		line += e.Text
		if e.Next != "" {
			line += " → " + e.Next
		}
		fmt.Fprintln(c.Err, c.app.Scrub(line))
	}
}
