package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) canary() *cobra.Command {
	return group(&cobra.Command{
		Use: "canary", Short: "The project in which a small job proves that a repaired runner works",
		Example: "  rekey canary init platform/canary",
	}, c.canaryInit())
}

func (c *command) canaryInit() *cobra.Command {
	var in app.CanaryInput
	output := "text"
	cmd := &cobra.Command{
		Use: "init PROJECT", Short: "Prepare a project for canary jobs",
		Long: `init commits a .gitlab-ci.yml with one small job to the project's default branch.
The job starts only when rekey asks for it, on the runner that it was told to
prove. An existing .gitlab-ci.yml stays as it is unless --force is given; one
that has such a job already is fine. It can be repeated.

A user token needs api, and the right to push to the default branch.`,
		Example: `  rekey canary init platform/canary
  rekey canary init platform/canary --create
  rekey fix --canary-project platform/canary --proof job`,
		Args: oneWord("a project, by path or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "text", "json"); err != nil {
				return err
			}
			in.Project = args[0]
			done, err := c.app.CanaryInit(cmd.Context(), in)
			if err != nil {
				if output == "text" {
					c.canaryDone(done)
				}
				return err
			}
			if output == "json" {
				return c.json(struct {
					Schema string `json:"schema"`
					app.Canary
				}{"rekey.canary/1", done})
			}
			c.canaryDone(done)
			c.canaryUse(done)
			return nil
		},
	}
	s := cmd.Flags()
	s.BoolVar(&in.Create, "create", false, "make the project (private) where it is not there; its group must be")
	s.BoolVar(&in.Force, "force", false, "replace a .gitlab-ci.yml that is there")
	s.BoolVar(&in.AllowVariables, "allow-variables", false, "let developers set pipeline variables, where the project allows fewer")
	s.StringVarP(&output, "output", "o", output, "text or json")
	accessFlags(cmd, &in.Access)
	return cmd
}

func (c *command) canaryDone(done app.Canary) {
	p := c.paper()
	for _, text := range done.Done {
		p.wrapped(p.green("✔ "), text)
	}
}

func (c *command) canaryUse(done app.Canary) {
	p := c.paper()
	if len(done.Done) == 0 {
		p.line("%s was ready already.", done.Project)
	}
	for _, n := range done.Notes {
		p.wrapped("note  ", n)
	}
	p.wrapped("use   ", fmt.Sprintf("`rekey fix --canary-project %s`; with --proof job nothing less counts as proved. The same for register and rotate.", done.Project))
}
