// Package plugincontainer stands in for HashiCorp's package of this name, by a
// replace line in go.mod. Vault's sdk needs the original to start plugins in
// containers, which only Vault itself does; it brings a Docker client, for which
// every command of rekey would pay at its start. This one starts nothing.
package plugincontainer

import (
	"errors"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// Config has the fields of the original that the sdk sets.
type Config struct {
	Image, Tag, SHA256    string
	Entrypoint, Args, Env []string
	Labels                map[string]string
	GroupAdd              int
	Rootless, CapIPCLock  bool
	Runtime, CgroupParent string
	NanoCpus, Memory      int64
	DisableNetwork, Debug bool
}

// NewContainerRunner always fails.
func (*Config) NewContainerRunner(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
	return nil, errors.New("this program starts no plugins in containers")
}
