package kube

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"rekey"
	"rekey/internal/redact"
)

// connect prepares to ask the cluster that kubectl would, or inside a pod its own.
func connect(o Options, name string) (dynamic.Interface, error) {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(o.Getenv("KUBECONFIG")), WarnIfAllMissing: false}
	if len(rules.Precedence) == 0 && o.Home != "" {
		rules.Precedence = []string{filepath.Join(o.Home, ".kube", "config")}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name})
	raw, err := loader.RawConfig()
	var config *rest.Config
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, rekey.Errorf(rekey.KindDenied, "the kubeconfig may not be read by this user: %w", err).WithHint("KUBECONFIG names it; its owner is as a rule the user who set it up, not root")
	case err != nil:
		return nil, rekey.Errorf(rekey.KindInvalid, "the kubeconfig cannot be read: %w", err).WithHint("see `kubectl config view`")
	case len(raw.Clusters) > 0 || len(raw.Contexts) > 0:
		config, err = loader.ClientConfig()
	case o.Getenv("KUBERNETES_SERVICE_HOST") != "":
		config, err = rest.InClusterConfig()
	default:
		return nil, rekey.Errorf(rekey.KindNotFound, "there is no kubeconfig, and rekey does not run in a pod").WithHint("set KUBECONFIG to the file that kubectl uses (under sudo: sudo --preserve-env=KUBECONFIG)")
	}
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the cluster's credentials cannot be used: %w", err).WithHint("see `kubectl config get-contexts`, and whether `kubectl auth whoami` answers; ?context=NAME names another context")
	}
	config.UserAgent, config.QPS, config.Burst, config.WarningHandler = "rekey", 50, 100, rest.NoWarnings{}
	api, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the cluster's credentials cannot be used: %w", err).WithHint("see `kubectl config view --minify`")
	}
	return api, nil
}

// said is one line of bounded length.
func said(err error) string {
	const most = 300
	line := redact.Scrub(strings.Join(strings.Fields(err.Error()), " "))
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
