package inventory

import (
	"path"
	"slices"
	"strings"

	"rekey"
)

// Limit returns the hosts that a pattern names as Ansible's --limit does: names,
// groups and globs of both, parted by commas or colons; !PART takes away, &PART
// keeps only what is in it too. Naming nothing is an error.
func (inv Inventory) Limit(pattern string) ([]Host, error) {
	if pattern == "" {
		return inv.Hosts, nil
	}
	if strings.ContainsAny(pattern, "~@[") {
		return nil, rekey.Errorf(rekey.KindInvalid, "--limit knows names, groups, globs, ! and &").WithHint("for example --limit 'runners:!stage'")
	}
	var named, without, within []string
	for _, part := range strings.FieldsFunc(pattern, func(r rune) bool { return r == ',' || r == ':' }) {
		switch part = strings.TrimSpace(part); {
		case strings.HasPrefix(part, "!"):
			without = append(without, part[1:])
		case strings.HasPrefix(part, "&"):
			within = append(within, part[1:])
		case part != "":
			named = append(named, part)
		}
	}
	var kept []Host
	for _, h := range inv.Hosts {
		if len(named) > 0 && !slices.ContainsFunc(named, h.is) || slices.ContainsFunc(without, h.is) || slices.ContainsFunc(within, func(p string) bool { return !h.is(p) }) {
			continue
		}
		kept = append(kept, h)
	}
	if len(kept) == 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "--limit %q names no host of the inventory", pattern).WithHint("`ansible-inventory --graph` shows groups and hosts")
	}
	return kept, nil
}

// is reports whether a part of a pattern is the host, a group of it, or a glob of
// either.
func (h Host) is(part string) bool {
	match := func(name string) bool { ok, err := path.Match(part, name); return ok && err == nil }
	return part == "all" || match(h.Name) || slices.ContainsFunc(h.Groups, match)
}
