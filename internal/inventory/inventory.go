// Package inventory reads Ansible inventories as far as they say how a host is
// reached: INI, YAML, and the JSON of `ansible-inventory --list`. It owns groups,
// ranges of names and which variable wins. It refuses to run anything, to open
// another file (group_vars, host_vars, a vault), and to evaluate a template.
package inventory

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"rekey"
)

// Most is the size above which a file is not taken for an inventory.
const Most = 16 << 20

// mostHosts bounds what ranges may make of few characters.
const mostHosts = 100_000

// Host is how one machine is reached.
type Host struct {
	Name       string // in the inventory
	Line       int    // where it was named first
	Address    string // ansible_host, else the name
	Port       int    // ansible_port; 0 leaves it to ssh
	User       string // ansible_user, "" leaves it to ssh
	Key        string // ansible_ssh_private_key_file
	Connection string // "ssh", "local", "docker"
	Become     bool   // ansible_become: what is done there is done as root, by sudo
	Problem    string // why it cannot be reached by what is read here, "" when it can
	Groups     []string
}

// Inventory is what a file says.
type Inventory struct {
	Hosts []Host   // each once, in the order in which they are named first
	Notes []string // what was not used, for people
}

// Parse reads an inventory; name is the file's, for errors and for its form.
// Errors are of kind invalid and begin with FILE:LINE. They quote no value: it may
// be a secret.
func Parse(name string, data []byte) (Inventory, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if reason, hint := foreign(data); reason != "" {
		return Inventory{}, rekey.Errorf(rekey.KindInvalid, "%s:1: %s", name, reason).WithHint("%s", hint)
	}
	b := &builder{file: name, hosts: map[string]*node{}, groups: map[string]*group{}}
	b.group("all")
	var err error
	if isYAML(name, data) {
		err = b.yaml(data)
	} else {
		err = b.ini(string(data))
	}
	if err != nil {
		return Inventory{}, err
	}
	return b.finish()
}

// List is how the user has Ansible itself answer what is not read here.
func List(name string) string {
	return fmt.Sprintf("ansible-inventory -i %s --list > inventory.json && rekey doctor --inventory inventory.json", name)
}

func foreign(data []byte) (reason, hint string) {
	switch {
	case len(data) > Most:
		return fmt.Sprintf("it is larger than %d MiB", Most>>20), "this is hardly an inventory: check the path"
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "it is UTF-16", "save it as UTF-8"
	case bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT;")):
		return "it is encrypted by ansible-vault", "give what Ansible makes of it: " + List("FILE")
	case bytes.HasPrefix(data, []byte("#!")):
		return "it is a program, which is not run here", "give what it prints: " + List("FILE")
	case bytes.IndexByte(data, 0) >= 0, !utf8.Valid(data):
		return "it is no text in UTF-8", "check the path, or save it as UTF-8"
	}
	return "", ""
}

func isYAML(name string, data []byte) bool {
	if slices.Contains([]string{".yml", ".yaml", ".json"}, strings.ToLower(path.Ext(name))) {
		return true
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, " \t\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		return line == "---" || line[0] == '{' || line == "all:" || strings.HasPrefix(line, "plugin:")
	}
	return false
}

// builder gathers hosts and groups while a file is read.
type builder struct {
	file   string
	order  []*node
	hosts  map[string]*node
	groups map[string]*group
}

type node struct {
	name string
	line int
	port int // behind the name
	vars map[string]string
}

type group struct {
	name     string
	line     int // 0 until it is defined, not only mentioned
	hosts    []string
	children []string
	vars     map[string]string
}

func (b *builder) errorf(line int, format string, args ...any) error {
	return rekey.Errorf(rekey.KindInvalid, "%s:%d: %s", b.file, line, fmt.Sprintf(format, args...))
}

func (b *builder) group(name string) *group {
	g := b.groups[name]
	if g == nil {
		g = &group{name: name, vars: map[string]string{}}
		b.groups[name] = g
	}
	return g
}

// add names the hosts of a pattern in a group and gives each the variables.
func (b *builder) add(g *group, pattern string, line int, vars map[string]string) error {
	names, port, err := expand(pattern)
	if err != nil {
		return b.errorf(line, "%v", err)
	}
	if len(b.order)+len(names) > mostHosts {
		return b.errorf(line, "more than %d hosts", mostHosts)
	}
	for _, name := range names {
		h := b.hosts[name]
		if h == nil {
			h = &node{name: name, line: line, vars: map[string]string{}}
			b.hosts[name] = h
			b.order = append(b.order, h)
		}
		if port != 0 {
			h.port = port
		}
		maps.Copy(h.vars, vars)
		g.hosts = append(g.hosts, name)
	}
	return nil
}

// finish resolves groups: a host's own variable wins over its group's, a group's
// over its parent's, and of groups equally far from all the later name.
func (b *builder) finish() (Inventory, error) {
	depth, err := b.depths()
	if err != nil {
		return Inventory{}, err
	}
	members := b.memberships()
	var inv Inventory
	for _, h := range b.order {
		groups := slices.SortedFunc(maps.Keys(members[h.name]), func(x, y string) int {
			if depth[x] != depth[y] {
				return depth[x] - depth[y]
			}
			return strings.Compare(x, y)
		})
		vars := maps.Clone(b.group("all").vars)
		for _, g := range groups {
			maps.Copy(vars, b.groups[g].vars)
		}
		maps.Copy(vars, h.vars)
		inv.Hosts = append(inv.Hosts, h.resolve(vars, groups))
		inv.note(vars)
	}
	return inv, nil
}

// depths is how far each group is from all, by the longest way; a circle is an
// error.
func (b *builder) depths() (map[string]int, error) {
	depth := map[string]int{}
	parents := b.parents()
	var walk func(name string, below []string) (int, error)
	walk = func(name string, below []string) (int, error) {
		if d, known := depth[name]; known {
			return d, nil
		}
		if slices.Contains(below, name) {
			return 0, b.errorf(max(1, b.groups[name].line), "the groups %s are children of each other", strings.Join(append(below, name), " ← "))
		}
		deepest := 0
		for _, parent := range parents[name] {
			d, err := walk(parent, append(slices.Clone(below), name))
			if err != nil {
				return 0, err
			}
			deepest = max(deepest, d)
		}
		if name != "all" {
			deepest++
		}
		depth[name] = deepest
		return deepest, nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		if _, err := walk(name, nil); err != nil {
			return nil, err
		}
	}
	return depth, nil
}

func (b *builder) parents() map[string][]string {
	parents := map[string][]string{}
	for name, g := range b.groups {
		for _, child := range g.children {
			parents[child] = append(parents[child], name)
		}
	}
	return parents
}

// memberships are the groups of each host, parents included.
func (b *builder) memberships() map[string]map[string]bool {
	parents := b.parents()
	ancestors := map[string]map[string]bool{}
	var above func(name string) map[string]bool
	above = func(name string) map[string]bool {
		if known, ok := ancestors[name]; ok {
			return known
		}
		all := map[string]bool{name: true}
		ancestors[name] = all
		for _, parent := range parents[name] {
			maps.Copy(all, above(parent))
		}
		return all
	}
	members := map[string]map[string]bool{}
	for name, g := range b.groups {
		for _, host := range g.hosts {
			if members[host] == nil {
				members[host] = map[string]bool{}
			}
			maps.Copy(members[host], above(name))
		}
	}
	return members
}

// first returns the value of the first variable that is set.
func first(vars map[string]string, names ...string) string {
	for _, name := range names {
		if v := vars[name]; v != "" {
			return v
		}
	}
	return ""
}

func (h *node) resolve(vars map[string]string, groups []string) Host {
	out := Host{Name: h.name, Line: h.line, Groups: groups, Port: h.port,
		Address: first(vars, "ansible_host", "ansible_ssh_host"), User: first(vars, "ansible_user", "ansible_ssh_user"),
		Key: first(vars, "ansible_ssh_private_key_file", "ansible_private_key_file")}
	if out.Address == "" {
		out.Address = h.name
	}
	port := first(vars, "ansible_port", "ansible_ssh_port")
	out.Become = becomesRoot(vars)
	for _, v := range []string{out.Address, out.User, out.Key, port, vars["ansible_connection"]} {
		if strings.Contains(v, "{{") || strings.Contains(v, "{%") {
			out.Problem = "how it is reached is written as a template, which is not evaluated here"
			return out
		}
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			out.Problem = "its ansible_port is no port"
			return out
		}
		out.Port = n
	}
	switch connection := vars["ansible_connection"]; connection[strings.LastIndex(connection, ".")+1:] {
	case "", "ssh", "smart", "paramiko", "paramiko_ssh", "libssh":
		out.Connection = "ssh"
	case "local":
		out.Connection = "local"
	case "docker", "docker_api":
		out.Connection = "docker"
	default:
		out.Problem = fmt.Sprintf("it is reached by the connection plugin %q, which is not known here", connection)
	}
	return out
}

// becomesRoot reports whether Ansible would act as root there by sudo.
func becomesRoot(vars map[string]string) bool {
	yes := slices.Contains([]string{"true", "yes", "on", "1", "y", "t"}, strings.ToLower(first(vars, "ansible_become", "ansible_sudo")))
	method, who := first(vars, "ansible_become_method"), first(vars, "ansible_become_user", "ansible_sudo_user")
	return yes && slices.Contains([]string{"", "sudo"}, method[strings.LastIndex(method, ".")+1:]) && (who == "" || who == "root")
}

// note tells once of variables that change how ssh connects and are not used.
func (inv *Inventory) note(vars map[string]string) {
	for _, n := range []struct{ note, name, old string }{
		{"ansible_ssh_common_args and ansible_ssh_extra_args are not used: a jump host belongs into ~/.ssh/config", "ansible_ssh_common_args", "ansible_ssh_extra_args"},
		{"ansible_password is not used: ssh asks its agent or reads its own keys", "ansible_password", "ansible_ssh_pass"},
	} {
		if first(vars, n.name, n.old) != "" && !slices.Contains(inv.Notes, n.note) {
			inv.Notes = append(inv.Notes, n.note)
		}
	}
}
