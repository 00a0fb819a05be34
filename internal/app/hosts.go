package app

import (
	"slices"
	"strings"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/host/ssh"
)

// Hosts says where else than on this machine doctor looks. The zero value is
// nowhere else.
type Hosts struct {
	Addresses []string // ssh://…, docker://…, k8s://…
	Inventory string   // a file, "" for none
	Limit     string   // which of its hosts, as for Ansible; "" for all
}

func (h Hosts) none() bool { return len(h.Addresses) == 0 && h.Inventory == "" }

// sources returns the places to look at: this machine where nothing else is named
// or a config of it is, and each host that is named, once.
func (a *App) sources(in DoctorInput) ([]controller.Source, error) {
	if in.Hosts.Limit != "" && in.Hosts.Inventory == "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "--limit picks hosts of an inventory").WithHint("name the inventory with --inventory FILE")
	}
	var list []controller.Source
	if len(in.Configs) > 0 || in.Hosts.none() {
		local, err := a.thisMachine(in)
		if err != nil {
			return nil, err
		}
		local.Logs = journals(a.machine())
		list = append(list, local)
	}
	if in.Hosts.Inventory != "" {
		hosts, err := a.inventoried(in)
		if err != nil {
			return nil, err
		}
		list = append(list, hosts...)
	}
	for _, address := range in.Hosts.Addresses {
		s, err := a.hostSource(in, address)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(other controller.Source) bool { return other.Name == s.Name && slices.Equal(other.Paths, s.Paths) }) {
			list = append(list, s)
		}
	}
	return list, nil
}

// thisMachine is the source without a name.
func (a *App) thisMachine(in DoctorInput) (controller.Source, error) {
	paths, err := a.configs(in.Configs)
	return controller.Source{Host: newObservedHost(a.machine()), Getenv: a.getenv, Paths: paths}, err
}

// hostSource returns the source that an address names, unopened.
func (a *App) hostSource(in DoctorInput, address string) (controller.Source, error) {
	scheme, _, ok := strings.Cut(address, "://")
	if !ok {
		return controller.Source{}, rekey.Errorf(rekey.KindInvalid, "%q is no host", address).WithHint("write it as ssh://[user@]host[:port][/path/to/config.toml], docker://[CONTAINER] or k8s://[NAMESPACE[/RELEASE]]")
	}
	switch scheme {
	case "ssh":
		target, err := ssh.Parse(address)
		return a.sshSource(in, target), err
	case "docker":
		return a.dockerSource(address)
	case "k8s":
		return a.kubeSource(address)
	}
	return controller.Source{}, rekey.Errorf(rekey.KindInvalid, "%q begins with no kind of host that is known", address).WithHint("write it as ssh://[user@]host[:port][/path/to/config.toml], docker://[CONTAINER] or k8s://[NAMESPACE[/RELEASE]]")
}
