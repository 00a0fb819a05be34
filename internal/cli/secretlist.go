package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rekey/internal/app"
	"rekey/internal/secretstore"
)

func (c *command) secretList() *cobra.Command {
	var in app.SecretInput
	var versions bool
	output := "table"
	cmd := &cobra.Command{
		Use: "list PLACE", Short: "Name the secrets of a place, or the versions of one, never their values",
		Example: `  rekey secret list vault://secret/ci/
  rekey secret list gitlab-var://acme/web
  rekey secret list vault://secret/ci/runner#token --versions`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known("-o", output, "table", "json"); err != nil {
				return err
			}
			in.Ref = args[0]
			if versions {
				all, err := c.app.SecretVersions(cmd.Context(), in)
				if err != nil {
					return err
				}
				return c.secretVersions(all, output)
			}
			all, err := c.app.SecretList(cmd.Context(), in)
			if err != nil {
				return err
			}
			return c.secretEntries(all, output)
		},
	}
	cmd.Flags().BoolVar(&versions, "versions", false, "the versions of one secret")
	cmd.Flags().StringVarP(&output, "output", "o", output, "table or json")
	storeFlags(cmd, &in.StoreInput)
	return cmd
}

type jsonSecret struct {
	Ref   string            `json:"ref"`
	Place bool              `json:"place"`
	Meta  map[string]string `json:"metadata"`
}

func (c *command) secretEntries(all []secretstore.Entry, output string) error {
	if output == "json" {
		list := []jsonSecret{}
		for _, e := range all {
			list = append(list, jsonSecret{e.Ref.String(), e.Place, e.Meta.Fields()})
		}
		return c.json(struct {
			Schema  string       `json:"schema"`
			Secrets []jsonSecret `json:"secrets"`
		}{"rekey.secrets/1", list})
	}
	p := c.paper()
	if len(all) == 0 {
		p.line("There is nothing.")
		return nil
	}
	for _, e := range all {
		text := oneLine(e.Ref.String())
		if e.Meta.RunnerID != 0 {
			text += fmt.Sprintf("  runner %d", e.Meta.RunnerID)
		}
		if e.Meta.Owner != "" {
			text += "  of " + oneLine(e.Meta.Owner)
		}
		if !e.Meta.NextDue.IsZero() {
			text += "  due " + e.Meta.NextDue.Format(time.DateOnly)
		}
		p.line("%s", text)
	}
	return nil
}

type jsonSecretVersion struct {
	Version   string   `json:"version"`
	CreatedAt string   `json:"created_at,omitempty"`
	Current   bool     `json:"current"`
	Deleted   bool     `json:"deleted"`
	Stages    []string `json:"stages,omitempty"`
}

func (c *command) secretVersions(all []secretstore.VersionInfo, output string) error {
	list := []jsonSecretVersion{}
	for _, v := range all {
		one := jsonSecretVersion{Version: string(v.Version), Current: v.Current, Deleted: v.Deleted, Stages: v.Stages}
		if !v.CreatedAt.IsZero() {
			one.CreatedAt = v.CreatedAt.UTC().Format(time.RFC3339)
		}
		list = append(list, one)
	}
	if output == "json" {
		return c.json(struct {
			Schema   string              `json:"schema"`
			Versions []jsonSecretVersion `json:"versions"`
		}{"rekey.secret-versions/1", list})
	}
	p := c.paper()
	for _, v := range list {
		var marks []string
		if v.Current {
			marks = append(marks, "current")
		}
		if v.Deleted {
			marks = append(marks, "deleted")
		}
		p.line("%-40s %-21s %s", oneLine(v.Version), orDash(v.CreatedAt), strings.Join(append(marks, v.Stages...), ", "))
	}
	return nil
}

func (c *command) secretRemove() *cobra.Command {
	var in app.SecretInput
	yes := false
	cmd := &cobra.Command{
		Use: "rm REF", Short: "Remove a token from its store; the runner stays as it is",
		Long: `rm removes the token, and the secret around it when nothing else is in it. Vault's
KV version 2 and AWS can bring it back for a while. Nothing changes at GitLab: the
token stays valid, on every host that has it.`,
		Example: "  rekey secret rm vault://secret/ci/old-runner#token --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Ref = args[0]
			if _, err := secretstore.Parse(in.Ref); err != nil {
				return err
			}
			if !yes && !c.confirm("Remove "+oneLine(in.Ref)+"?") {
				return exitError(exitFailed)
			}
			if err := c.app.RemoveSecret(cmd.Context(), in); err != nil {
				return err
			}
			c.paper().line("Removed %s.", oneLine(in.Ref))
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	storeFlags(cmd, &in.StoreInput)
	return cmd
}
