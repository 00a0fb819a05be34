package inventory

import (
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// mostNodes and deepest bound a file whose aliases refer to each other.
const (
	mostNodes = 2_000_000
	deepest   = 100
)

var yamlLine = regexp.MustCompile(`(?:line |yaml:\s*\[?|at L)(\d+)`)

// yaml reads the YAML form, and the JSON of `ansible-inventory --list`, whose
// hosts and children are lists and whose variables stand in _meta.
func (b *builder) yaml(data []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line := 1
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		return b.errorf(line, "it is no YAML")
	}
	if len(doc.Content) == 0 {
		return nil
	}
	r := &yamlReader{builder: b}
	root, err := r.mapping(doc.Content[0], 0, "an inventory")
	if err != nil {
		return err
	}
	for _, p := range root {
		switch p.key {
		case "plugin":
			return b.errorf(p.line, "it configures an inventory plugin, which is not run here: %s", List(b.file))
		case "_meta":
			err = r.meta(p.value)
		default:
			err = r.group(p.key, p.line, p.value, 1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type yamlReader struct {
	*builder
	nodes int
}

// pair is one entry of a mapping.
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// mapping returns the entries of a mapping, none of a null.
func (r *yamlReader) mapping(n *yaml.Node, depth int, what string) ([]pair, error) {
	n, err := r.plain(n, depth)
	switch {
	case err != nil:
		return nil, err
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, nil
	case n.Kind != yaml.MappingNode:
		return nil, r.errorf(n.Line, "%s is a mapping", what)
	}
	var pairs []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Tag == "!!merge" || key.Value == "<<" {
			merged, err := r.mapping(n.Content[i+1], depth+1, "what << refers to")
			if err != nil {
				return nil, err
			}
			pairs = append(merged, pairs...) // what stands here wins
			continue
		}
		pairs = append(pairs, pair{key.Value, key.Line, n.Content[i+1]})
	}
	return pairs, nil
}

// plain follows aliases.
func (r *yamlReader) plain(n *yaml.Node, depth int) (*yaml.Node, error) {
	if r.nodes++; r.nodes > mostNodes || depth > deepest {
		return nil, r.errorf(n.Line, "its aliases make too much of it")
	}
	for range deepest {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			return n, nil
		}
		n = n.Alias
	}
	return nil, r.errorf(n.Line, "its aliases make too much of it")
}

func (r *yamlReader) group(name string, line int, n *yaml.Node, depth int) error {
	g := r.builder.group(name)
	g.line = line
	parts, err := r.mapping(n, depth, "a group")
	if err != nil {
		return err
	}
	for _, p := range parts {
		switch p.key {
		case "hosts":
			err = r.hosts(g, p.value, depth+1)
		case "children":
			err = r.children(g, p.value, depth+1)
		case "vars":
			err = r.vars(g.vars, p.value, depth+1)
		default:
			return r.errorf(p.line, "a group has hosts, children and vars, and nothing else")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *yamlReader) hosts(g *group, n *yaml.Node, depth int) error {
	if list, err := r.plain(n, depth); err == nil && list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			if err := r.add(g, item.Value, item.Line, nil); err != nil {
				return err
			}
		}
		return nil
	}
	hosts, err := r.mapping(n, depth, "hosts")
	if err != nil {
		return err
	}
	for _, p := range hosts {
		vars := map[string]string{}
		if err := r.vars(vars, p.value, depth+1); err != nil {
			return err
		}
		if err := r.add(g, p.key, p.line, vars); err != nil {
			return err
		}
	}
	return nil
}

func (r *yamlReader) children(g *group, n *yaml.Node, depth int) error {
	if list, err := r.plain(n, depth); err == nil && list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			r.builder.group(item.Value)
			g.children = append(g.children, item.Value)
		}
		return nil
	}
	children, err := r.mapping(n, depth, "children")
	if err != nil {
		return err
	}
	for _, p := range children {
		g.children = append(g.children, p.key)
		if err := r.group(p.key, p.line, p.value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// vars takes the scalars; what is a list or a mapping says nothing of how a host
// is reached.
func (r *yamlReader) vars(into map[string]string, n *yaml.Node, depth int) error {
	vars, err := r.mapping(n, depth, "what stands below a host, or vars,")
	if err != nil {
		return err
	}
	for _, p := range vars {
		if value, err := r.plain(p.value, depth+1); err == nil && value.Kind == yaml.ScalarNode && value.Tag != "!!null" {
			into[p.key] = value.Value
		}
	}
	return nil
}

// meta takes the variables of hosts, which groups name elsewhere in the file.
func (r *yamlReader) meta(n *yaml.Node) error {
	parts, err := r.mapping(n, 1, "_meta")
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.key != "hostvars" {
			continue
		}
		if err := r.hosts(r.builder.group("all"), p.value, 2); err != nil {
			return err
		}
	}
	return nil
}
