package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

func (c *command) vaultPlugin() *cobra.Command {
	var in app.VaultPluginInput
	cmd := &cobra.Command{
		Use: "vault-plugin", Short: "Secrets engine for Vault and OpenBao: runners with a lease; started by the server", Args: noArgs,
		Long: `vault-plugin is what Vault or OpenBao starts: a secrets engine that creates a runner
record for each read of creds/ROLE and deletes it when the lease ends. Started by hand it
says how it is registered, and ends with 2.`,
		Example: `  install -m 0755 rekey /etc/vault/plugins/rekey
  vault plugin register -sha256=$(sha256sum /etc/vault/plugins/rekey | cut -d' ' -f1) -command=rekey -args=vault-plugin secret rekey
  vault secrets enable -path=gitlab rekey
  vault read gitlab/creds/ROLE`,
		RunE: func(*cobra.Command, []string) error {
			if in.RollbackAfter < 0 {
				return usageError{fmt.Errorf("--rollback-after cannot be negative")}
			}
			if !c.app.StartedByVault() {
				fmt.Fprint(c.Err, vaultPluginByHand)
				return exitError(exitUsage)
			}
			return c.app.VaultPlugin(in, c.Err)
		},
	}
	cmd.Flags().DurationVar(&in.RollbackAfter, "rollback-after", 0, "age from which a creation that was interrupted is cleaned up (default 2m)")
	return cmd
}

const vaultPluginByHand = `rekey: vault-plugin is started by Vault or OpenBao, not by hand.
  → put this binary into the server's plugin_directory (not -dev-plugin-dir, which starts it without arguments), then:

  vault plugin register -sha256=$(sha256sum PLUGIN_DIRECTORY/rekey | cut -d' ' -f1) -command=rekey -args=vault-plugin secret rekey
  vault secrets enable -path=gitlab rekey
  vault write gitlab/config url=https://gitlab.example.com token=@token-file
  vault write gitlab/roles/docker scope=group owner=acme tags=docker ttl=24h max_ttl=168h
  vault read gitlab/creds/docker
`
