package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/host/ssh"
	"rekey/internal/inventory"
)

// inventoried returns the hosts of an inventory as sources, each once. One that
// cannot be reached by what the file says is a source with an error.
func (a *App) inventoried(in DoctorInput) ([]controller.Source, error) {
	inv, notes, err := readInventory(in.Hosts.Inventory)
	if err != nil {
		return nil, err
	}
	hosts, err := inv.Limit(in.Hosts.Limit)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s:1: it names no host", in.Hosts.Inventory).WithHint("see what Ansible finds in it: ansible-inventory -i %s --graph", in.Hosts.Inventory)
	}
	var list []controller.Source
	reached := map[ssh.Target]string{}
	local := false
	for _, h := range hosts {
		s := controller.Source{Name: "ssh://" + h.Name}
		switch {
		case h.Problem != "":
			s.Err = rekey.Errorf(rekey.KindInvalid, "%s:%d: %s", in.Hosts.Inventory, h.Line, h.Problem).WithHint("%s", inventory.List(in.Hosts.Inventory))
		case h.Connection == "local":
			if local {
				continue
			}
			local = true
			if s, err = a.thisMachineToo(in); err != nil {
				return nil, err
			}
		case h.Connection == "docker":
			if s, err = a.hostSource(in, "docker://"+h.Address); err != nil {
				return nil, err
			}
		default:
			target := ssh.Target{Host: h.Address, Port: h.Port, User: h.User, Key: home(h.Key, a.env("HOME"))}
			if first, again := reached[target]; again {
				notes = append(notes, fmt.Sprintf("%s:%d: %s is the same host as %s: it is looked at once", in.Hosts.Inventory, h.Line, h.Name, first))
				continue
			}
			reached[target] = h.Name
			target.Alias = h.Name
			s = a.sshSource(in, target)
			if err := target.Check(); err != nil {
				s = controller.Source{Name: s.Name, Err: err}
			}
		}
		list = append(list, s)
	}
	list[0].Notes = append(list[0].Notes, notes...)
	return list, nil
}

// thisMachineToo is this machine among others: that it has no config is an entry
// of the report and not the end of it.
func (a *App) thisMachineToo(in DoctorInput) (controller.Source, error) {
	s, err := a.thisMachine(in)
	if rekey.KindOf(err) == rekey.KindNotFound {
		return controller.Source{Name: "this machine", Err: err}, nil
	}
	return s, err
}

// home is the key's file as ssh itself would find it.
func home(file, dir string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok && dir != "" {
		return filepath.Join(dir, rest)
	}
	return file
}

// readInventory reads one file and says which others Ansible would read beside it.
func readInventory(name string) (inv inventory.Inventory, notes []string, err error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return inv, nil, rekey.Errorf(rekey.KindNotFound, "the inventory cannot be read: %w", err).WithHint("name a file with --inventory")
	case info.IsDir():
		return inv, nil, rekey.Errorf(rekey.KindInvalid, "%s is a directory", name).WithHint("name a file in it, or have Ansible put it together: %s", inventory.List(name))
	case !info.Mode().IsRegular():
		return inv, nil, rekey.Errorf(rekey.KindInvalid, "%s is not a regular file", name).WithHint("name a file with --inventory")
	}
	f, err := os.Open(name)
	if err != nil {
		return inv, nil, rekey.Errorf(rekey.KindDenied, "the inventory cannot be read: %w", err).WithHint("run rekey as a user who may read it")
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, inventory.Most+1))
	if err != nil {
		return inv, nil, rekey.Errorf(rekey.KindUnavailable, "the inventory cannot be read: %w", err)
	}
	if inv, err = inventory.Parse(name, data); err != nil {
		return inv, nil, err
	}
	notes = inv.Notes
	for _, beside := range []string{"group_vars", "host_vars"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), beside)); err == nil {
			notes = append(notes, fmt.Sprintf("%s beside %s is not read: if it says how hosts are reached, give what Ansible makes of it: %s", beside, name, inventory.List(name)))
		}
	}
	return inv, notes, nil
}
