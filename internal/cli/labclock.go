package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) labClock() *cobra.Command {
	return group(&cobra.Command{Use: "clock", Short: "Move the lab's clock: expiry and staleness without waiting"},
		c.labClockAdvance(), c.labClockShow(), c.labClockReset())
}

func showClock(p *paper, s app.LabClock) {
	p.line("The lab's clock says %s, %s ahead of this machine's.", s.Now.Format("2006-01-02 15:04:05 MST"), s.Offset)
}

func (c *command) labClockAdvance() *cobra.Command {
	cmd := &cobra.Command{
		Use: "advance TIME", Short: "Move the clock ahead by a time such as 5d",
		Long: `advance moves the lab's clock ahead. Tokens expire, runners become offline and stale,
the Date header moves and the periodic cleanups run as if the time had passed. It is
kept over restarts and restores; simulated and real runners go on by their own clock.`,
		Example: "  rekey lab clock advance 5d --data /tmp/lab\n  rekey lab clock advance 1d12h",
		Args:    oneWord("the time to advance by, such as 5d, 2w or 36h"),
	}
	return labOrder(c, cmd, func(ctx context.Context, dir string, args []string) (app.LabAdvanced, error) {
		return c.app.LabClockAdvance(ctx, dir, args[0])
	}, func(p *paper, s app.LabAdvanced) {
		showClock(p, s.ClockState)
		if s.Removed.Managers+s.Removed.Runners > 0 {
			p.line("GitLab's cleanups removed %s and %s.", plural(int(s.Removed.Managers), "stale manager", "stale managers"), plural(int(s.Removed.Runners), "stale group runner", "stale group runners"))
		}
	})
}

func (c *command) labClockShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show the lab's time", Args: noArgs, Example: "  rekey lab clock show"}
	return labOrder(c, cmd, func(ctx context.Context, dir string, _ []string) (app.LabClock, error) {
		return c.app.LabClock(ctx, dir)
	}, showClock)
}

func (c *command) labClockReset() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reset", Short: "Go back to this machine's clock", Args: noArgs,
		Long: `reset goes back to this machine's clock. What the lab wrote meanwhile lies in the
future then; restore a snapshot from before to be rid of it.`,
		Example: "  rekey lab clock reset",
	}
	return labOrder(c, cmd, func(ctx context.Context, dir string, _ []string) (app.LabClock, error) {
		return c.app.LabClockReset(ctx, dir)
	}, showClock)
}
