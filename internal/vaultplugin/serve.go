package vaultplugin

import (
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/plugin"
)

// StartedByVault reports whether Vault or OpenBao started this process as a plugin.
func StartedByVault(getenv func(string) (string, bool)) bool {
	cookie, _ := getenv(plugin.HandshakeConfig.MagicCookieKey)
	return cookie == plugin.HandshakeConfig.MagicCookieValue
}

// Serve speaks the plugin protocol, one process for all mounts, until Vault ends it.
// Standard output belongs to the handshake. logs is where Vault reads log lines,
// standard error; the caller scrubs it.
func Serve(o Options, logs io.Writer) error {
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: Factory(o),
		Logger:             hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: logs, JSONFormat: true}),
	})
}
