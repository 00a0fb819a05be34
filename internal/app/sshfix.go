package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/host/ssh"
	"rekey/internal/remedy"
)

// atOnceFar is how many hosts are connected to at a time.
const atOnceFar = 16

// reachFar connects to the hosts that ssh reaches and puts their configs among the
// configs. The others stay among the hosts. A host that cannot be reached ends it
// where all is needed, as for a token that several share; else it is left alone.
func (f *Fix) reachFar(ctx context.Context, all bool) error {
	targets, rest, err := f.app.farTargets(f.in.Hosts, f.in.Become)
	if err != nil || len(targets) == 0 {
		return err
	}
	f.in.Hosts = Hosts{Addresses: rest}
	found, errs := make([][]farConfig, len(targets)), make([]error, len(targets))
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnceFar)
	for i, t := range targets {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] == nil {
				found[i], errs[i] = f.host.far.configs(t)
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", err)
	}
	reached := 0
	var seen []string
	for i, t := range targets {
		switch {
		case errs[i] == nil:
			reached++
			for _, c := range found[i] {
				if c.identity != "" && slices.Contains(seen, c.identity) {
					continue // the same file by another name
				}
				seen = append(seen, c.identity)
				f.in.Configs = append(f.in.Configs, c.name)
			}
		case all:
			return rekey.Errorf(rekey.KindOf(errs[i]), "%w; nothing was changed anywhere", errs[i]).WithHint("%s", strings.Join(nonEmpty(rekey.HintOf(errs[i]), "or leave that host out: managers of it that are online then stop the rotation"), "; "))
		case len(targets) == 1:
			return errs[i]
		default:
			f.unreached = append(f.unreached, rekey.Left{Config: t.Name(), Name: t.Name(), Causes: []rekey.Cause{}, Severity: rekey.Failing, Reason: errs[i].Error(), Next: rekey.HintOf(errs[i])})
		}
	}
	if reached == 0 {
		return rekey.Errorf(rekey.KindUnavailable, "none of %d hosts could be reached: %w", len(targets), errs[0]).WithHint("%s", rekey.HintOf(errs[0]))
	}
	return nil
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// farConfig is one config of another host.
type farConfig struct{ name, identity string }

// configs connects to a host and returns its configs.
func (f *farHosts) configs(t ssh.Target) (named []farConfig, err error) {
	h := f.add(t)
	err = h.again(func(c *ssh.Host) error {
		paths := []string{t.Path}
		if t.Path == "" {
			paths = c.Configs()
		}
		if len(paths) == 0 {
			return fmt.Errorf("%s: %w", h.name, c.NoConfig())
		}
		named = nil
		for _, path := range paths {
			if _, err := c.Read(path); err != nil {
				return rekey.Errorf(rekey.KindOf(err), "%s%s: %w", h.name, path, err).WithHint("%s", rekey.HintOf(err))
			}
			named = append(named, farConfig{h.name + path, c.Fact(path).Identity})
		}
		return nil
	})
	return named, err
}

// farTargets picks the hosts that ssh reaches out of what was named; rest are the
// other addresses.
func (a *App) farTargets(in Hosts, become bool) (targets []ssh.Target, rest []string, err error) {
	if in.Limit != "" && in.Inventory == "" {
		return nil, nil, rekey.Errorf(rekey.KindInvalid, "--limit picks hosts of an inventory").WithHint("name the inventory with --inventory FILE")
	}
	if in.Inventory != "" {
		if targets, rest, err = a.inventoryTargets(in); err != nil {
			return nil, nil, err
		}
	}
	for _, address := range in.Addresses {
		if !strings.HasPrefix(address, "ssh://") {
			rest = append(rest, address)
			continue
		}
		t, err := ssh.Parse(address)
		if err != nil {
			return nil, nil, err
		}
		targets = append(targets, t)
	}
	var distinct []ssh.Target
	for _, t := range targets {
		t.Become = t.Become || become
		if !slices.Contains(distinct, t) {
			distinct = append(distinct, t)
		}
	}
	return distinct, rest, nil
}

// inventoryTargets are the hosts of an inventory. What it does not say how to reach
// ends the command: a token is not to be changed while part of a fleet is not seen.
func (a *App) inventoryTargets(in Hosts) (targets []ssh.Target, rest []string, err error) {
	inv, _, err := readInventory(in.Inventory)
	if err != nil {
		return nil, nil, err
	}
	hosts, err := inv.Limit(in.Limit)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range hosts {
		switch {
		case h.Problem != "":
			return nil, nil, rekey.Errorf(rekey.KindInvalid, "%s:%d: %s: %s", in.Inventory, h.Line, h.Name, h.Problem).WithHint("name the others with --limit")
		case h.Connection == "docker":
			rest = append(rest, "docker://"+h.Address)
		case h.Connection == "local":
			return nil, nil, rekey.Errorf(rekey.KindInvalid, "%s:%d: %s is this machine", in.Inventory, h.Line, h.Name).WithHint("leave it out with --limit, and name its config with --config")
		default:
			t := ssh.Target{Host: h.Address, Port: h.Port, User: h.User, Key: home(h.Key, a.env("HOME")), Become: h.Become, Alias: h.Name}
			if err := t.Check(); err != nil {
				return nil, nil, err
			}
			targets = append(targets, t)
		}
	}
	if len(hosts) == 0 {
		return nil, nil, rekey.Errorf(rekey.KindInvalid, "%s:1: it names no host", in.Inventory).WithHint("see what Ansible finds in it: ansible-inventory -i %s --graph", in.Inventory)
	}
	return targets, rest, nil
}

// sources are the places of the configs: this machine, and each other host.
func (f *Fix) sources() ([]controller.Source, error) {
	var here []string
	far := map[*farHost][]string{}
	var order []*farHost
	for _, config := range f.in.Configs {
		h, path := f.host.far.of(config)
		if h == nil {
			here = append(here, config)
			continue
		}
		if far[h] == nil {
			order = append(order, h)
		}
		far[h] = append(far[h], path)
	}
	var list []controller.Source
	if len(here) > 0 || len(order) == 0 {
		in := f.in.DoctorInput
		in.Configs = here
		local, err := f.app.thisMachine(in)
		if err != nil {
			return nil, err
		}
		list = append(list, local)
	}
	for _, h := range order {
		s := controller.Source{Name: h.name, Paths: far[h]}
		s.Open = func(context.Context) ([]controller.Source, error) {
			var opened controller.Source
			err := h.again(func(c *ssh.Host) error {
				opened = controller.Source{Name: h.name, Paths: far[h], Host: sshHost{c}, ReadFile: c.ReadFile}
				return nil
			})
			return []controller.Source{opened}, err
		}
		list = append(list, s)
	}
	return list, nil
}

// nameVia writes into a plan how hosts are reached whose names do not tell.
func (f *Fix) nameVia(plan *rekey.Plan) {
	for i := range plan.Targets {
		plan.Targets[i].Via = f.host.far.via(plan.Targets[i])
	}
	plan.Left = append(plan.Left, f.unreached...)
}

// neighbours are what other gitlab-runners of the hosts of these configs run on.
func (f *farHosts) neighbours(configs []string) []remedy.Neighbour {
	paths := map[*farHost][]string{}
	for _, config := range configs {
		if h, path := f.of(config); h != nil {
			paths[h] = append(paths[h], path)
		}
	}
	own := map[string]bool{} // one machine may go by several names
	for h, named := range paths {
		_ = h.again(func(c *ssh.Host) error {
			for _, path := range named {
				own[c.Fact(path).Identity] = true
			}
			return nil
		})
	}
	var found []remedy.Neighbour
	for h, named := range paths {
		_ = h.again(func(c *ssh.Host) error {
			for _, n := range c.Neighbours(named) {
				if n.Identity == "" || !own[n.Identity] {
					found = append(found, remedy.Neighbour{Name: h.name + n.Name, Data: n.Data})
				}
			}
			return nil
		})
	}
	slices.SortFunc(found, func(a, b remedy.Neighbour) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// generated says which tool writes a config of another host.
func (h *farHost) generated(path string) (tool string) {
	_ = h.again(func(c *ssh.Host) error {
		if _, err := c.Read(path); err == nil {
			tool = c.Fact(path).Generated
		}
		return nil
	})
	return tool
}
