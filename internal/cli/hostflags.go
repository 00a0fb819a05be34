package cli

import (
	"github.com/spf13/cobra"

	"rekey/internal/app"
)

// hostFlags say where else than on this machine to look.
func hostFlags(cmd *cobra.Command, h *app.Hosts) {
	f := cmd.Flags()
	f.StringArrayVar(&h.Addresses, "host", nil, "look there instead of here: ssh://[user@]host[:port][/path/to/config.toml], docker://[CONTAINER] or k8s://[NAMESPACE[/RELEASE]]; repeatable, each bounded by --timeout")
	f.StringVar(&h.Inventory, "inventory", "", "look at every host of an Ansible inventory (INI, YAML, or the JSON of ansible-inventory --list)")
	f.StringVar(&h.Limit, "limit", "", "only these hosts and groups of the inventory, as for Ansible")
}
