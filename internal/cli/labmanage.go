package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

// labFlags are those of every command that gives an order to a lab.
type labFlags struct{ dir, output string }

func (f *labFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "data", "rekey-lab", "directory of the lab")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text, or json for programs (docs/guides/lab.md)")
}

// labOrder completes cmd: do gives the order and returns what the lab answered,
// say tells it to people.
func labOrder[Out any](c *command, cmd *cobra.Command, do func(ctx context.Context, dir string, args []string) (Out, error), say func(*paper, Out)) *cobra.Command {
	var f labFlags
	f.define(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := known("-o", f.output, "text", "json"); err != nil {
			return err
		}
		out, err := do(cmd.Context(), f.dir, args)
		if err != nil {
			return err
		}
		if f.output == "json" {
			return c.json(out)
		}
		say(c.paper(), out)
		return nil
	}
	return cmd
}

// oneWord is exactly one argument; what says what it is.
func oneWord(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("give %s, and nothing else", what)}
		}
		return nil
	}
}

func allowedText(allowed bool) string {
	if allowed {
		return "registration tokens allowed"
	}
	return "registration tokens refused with 410"
}

func (c *command) labStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show what the lab is and what was ordered of it", Args: noArgs,
		Example: "  rekey lab status --data /tmp/lab",
	}
	return labOrder(c, cmd, func(ctx context.Context, dir string, _ []string) (app.LabState, error) {
		return c.app.LabState(ctx, dir)
	}, showLabState)
}

func showLabState(p *paper, s app.LabState) {
	p.line("%s", p.bold(fmt.Sprintf("GitLab %s, profile %s: %s. Not GitLab, not for production.", s.Version, s.Profile, allowedText(s.RegistrationAllowed))))
	p.line("clock:       %s, %s ahead", s.Clock.Now.Format("2006-01-02 15:04:05 MST"), s.Clock.Offset)
	p.line("maintenance: %s", onOff(s.Maintenance.Enabled))
	p.line("read-only:   %s", onOff(s.ReadOnly))
	p.line("snapshots:   %d", len(s.Snapshots))
	p.line("faults:      %d ordered", len(s.Faults))
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (c *command) labUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use: "upgrade VERSION", Short: "Make the lab a later GitLab, in place, as a self-managed server is upgraded",
		Long: `upgrade makes the lab a later GitLab. Tokens of every shape go on working and every
setting stays as stored: where registration tokens were allowed they stay allowed
(with profile gitlab.com they are switched off on the way past 17.0, as GitLab.com
did). What is made from now on is of the new version. A running lab restarts in
place: requests wait meanwhile, those that take longer than two seconds are cut.

There is no way back but a snapshot: take one first.`,
		Example: "  rekey lab snapshot before-18\n  rekey lab upgrade 18.0 --data /tmp/lab",
		Args:    oneWord("the version to upgrade to, such as 18.0"),
	}
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, args []string) (app.LabUpgraded, error) {
			return c.app.LabUpgrade(ctx, dir, args[0])
		},
		func(p *paper, u app.LabUpgraded) {
			if u.From == u.To {
				p.line("The lab is GitLab %s already, profile %s: %s.", u.To, u.Profile, allowedText(u.RegistrationAllowed))
				return
			}
			p.line("The lab was GitLab %s and is %s now, profile %s: %s.", u.From, u.To, u.Profile, allowedText(u.RegistrationAllowed))
		})
}

// onOrOff is the one argument of a switch.
func onOrOff(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] != "on" && args[0] != "off" {
		return usageError{fmt.Errorf("say on or off")}
	}
	return nil
}

func (c *command) labMaintenance() *cobra.Command {
	text := ""
	cmd := &cobra.Command{
		Use: "maintenance on|off", Short: "Switch GitLab's maintenance mode: writes get 403", Args: onOrOff,
		Long: `maintenance switches the application setting maintenance_mode. Every write is then
refused with 403 and a message that says nothing of the token; an administrator may
end it through PUT /application/settings too.`,
		Example: "  rekey lab maintenance on --message 'upgrading'\n  rekey lab maintenance off",
	}
	cmd.Flags().StringVar(&text, "message", "", "the setting maintenance_mode_message")
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, args []string) (app.LabMode, error) {
			return c.app.LabMaintenance(ctx, dir, app.LabMode{Enabled: args[0] == "on", Message: text})
		},
		func(p *paper, m app.LabMode) { p.line("Maintenance mode is %s.", onOff(m.Enabled)) })
}

type readOnlyJSON struct {
	ReadOnly bool `json:"read_only"`
}

func (c *command) labReadOnly() *cobra.Command {
	cmd := &cobra.Command{
		Use: "read-only on|off", Short: "Let the lab's database take no writes: 403, also for administrators", Args: onOrOff,
		Long: `read-only makes the lab a GitLab whose database takes no writes, as a secondary site
or one that is being restored. Unlike maintenance mode nothing in GitLab's API ends
it; it is kept over restarts.`,
		Example: "  rekey lab read-only on\n  rekey lab read-only off",
	}
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, args []string) (readOnlyJSON, error) {
			on := args[0] == "on"
			return readOnlyJSON{on}, c.app.LabReadOnly(ctx, dir, on)
		},
		func(p *paper, r readOnlyJSON) { p.line("Read-only is %s.", onOff(r.ReadOnly)) })
}

func (c *command) labLoseSecrets() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lose-secrets", Short: "Lose gitlab-secrets.json: no stored token matches any more", Args: noArgs,
		Long: `lose-secrets replaces the lab's key, as a server that was rebuilt from its database
without its gitlab-secrets.json. Every token is unmatchable then, also after a
restart: of runners, jobs, triggers, users and registration; what GitLab must
decrypt answers 500. Only the administrator's token in lab.json goes on working: it
stands for the password that no key guards.

Resetting or creating tokens repairs, as it does on a real GitLab; so does
restore --with-secrets with a snapshot from before.`,
		Example: "  rekey lab snapshot before\n  rekey lab lose-secrets\n  rekey lab restore before --with-secrets",
	}
	return labOrder(c, cmd,
		func(ctx context.Context, dir string, _ []string) (struct{}, error) {
			return struct{}{}, c.app.LabLoseSecrets(ctx, dir)
		},
		func(p *paper, _ struct{}) {
			p.line("The secrets are lost: no stored token matches any more, but for the administrator's in lab.json.")
		})
}
