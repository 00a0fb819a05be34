package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rekey"
	"rekey/internal/app"
)

func (c *command) register() *cobra.Command {
	var in app.RegisterInput
	var record recordFlags
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Create a runner record and write its section: both steps of GitLab's flow in one",
		Long: `register creates a runner record through the API, writes its token as a new
[[runners]] section the way gitlab-runner register would, but without losing a
comment, makes gitlab-runner load it and proves it. The section's system id file
is written beside the config if there is none.

A user token (GITLAB_TOKEN) needs create_runner and manage_runner, or api. With
--token-file the record is one that a colleague made in GitLab's page.`,
		Example: `  rekey register --project acme/web --tag-list linux,docker --executor docker --docker-image alpine:latest
  rekey register --group acme --run-untagged --name shared-1
  rekey register --url https://gitlab.example.com --token-file - < token`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := record.into(cmd, &in.Record); err != nil {
				return err
			}
			if err := executable(in.Executor, in.Image); err != nil {
				return err
			}
			in.Report, in.Stdin = c.conversation(), c.In
			result, err := c.app.Register(cmd.Context(), in)
			if err != nil {
				return err
			}
			return c.fixed(fixReport{Results: []rekey.Result{result}}, fixFlags{output: "text", proof: in.Proof})
		},
	}
	s := cmd.Flags()
	s.StringVarP(&in.Config, "config", "c", "", "config.toml to write to (CONFIG_FILE; default: the standard location)")
	s.StringVar(&in.Name, "name", "", "name of the section (default: the host's name)")
	s.StringVar(&in.Executor, "executor", "shell", "executor of the section: shell or docker")
	s.StringVar(&in.Image, "docker-image", "", "image of the docker executor")
	s.StringVar(&in.TokenFile, "token-file", "", "file with a glrt- token that a colleague made; - is standard input")
	accessFlags(cmd, &in.Access)
	record.define(cmd, &in.Record)
	proofFlags(cmd, &in.Proof)
	stateFlags(cmd, &in.State)
	return cmd
}

// executable refuses what gitlab-runner would not run.
func executable(executor, image string) error {
	switch {
	case executor == "docker" && image == "":
		return usageError{errors.New("the docker executor needs --docker-image, such as alpine:latest")}
	case executor != "docker" && image != "":
		return usageError{fmt.Errorf("--docker-image is for --executor docker, not %s", executor)}
	}
	return known("--executor", executor, "shell", "docker")
}
