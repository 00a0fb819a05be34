package cli

import (
	"os"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) labDemo() *cobra.Command {
	in := app.DemoInput{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a fleet of broken runners being diagnosed, repaired and proved",
		Long: `demo starts a lab, four runner hosts with config files as found in real life, and
simulated runners that poll; breaks at least eight sections in different ways,
chosen by --seed; then runs doctor, fix and doctor again, and checks what they say
against what it planted. It ends by itself, and not with 0 if anything is not as
promised.`,
		Example: "  rekey lab demo\n  rekey lab demo --seed 7 --keep",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			in.Binary, in.Out, in.Color = self, c.Out, c.paper().color
			return c.app.Demo(cmd.Context(), in)
		},
	}
	s := cmd.Flags()
	s.Int64Var(&in.Seed, "seed", 1, "which breakages are drawn and where they are placed")
	s.StringVar(&in.Version, "gitlab-version", "17.11", "version of the lab")
	s.StringVar(&in.Dir, "dir", "", "directory to work in (default: a new temporary one)")
	s.BoolVar(&in.Keep, "keep", false, "leave the lab and the runners up to play with, until Ctrl-C")
	return cmd
}
