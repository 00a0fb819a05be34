package iac

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"rekey/internal/lazyregexp"
)

// What the role riemers.gitlab-runner calls its tokens: with the type below it
// passes the token of each runner as --token, and no server-side arguments.
const (
	roleToken   = "gitlab_runner_registration_token"
	roleType    = "gitlab_runner_registration_token_type"
	roleRunners = "gitlab_runner_runners"
	roleNewType = "authentication-token"
	vaultToken  = `"{{ vault_gitlab_runner_token }}"`
)

// roleKeys are what an item of the role's runners says about the record.
var roleKeys = map[string]string{"tags": "tag_list", "locked": "locked", "run_untagged": "run_untagged", "protected": "access_level"}

// roleVariable moves the token of the role to the one runner that has none of its
// own: several would have to share a record, which somebody has to decide. The
// names are the role's only where both stand side by side.
func (w *rewriter) roleVariable(f Finding, s site) {
	r, vars := w.mappingOf(s)
	c := change{where: f.Where.Start}
	if vars == nil || !w.newType(s, &c) {
		w.decideLegacy(f)
		return
	}
	items := valueOf(vars, roleRunners)
	if items == nil || items.Kind != yaml.SequenceNode || items.Style&yaml.FlowStyle != 0 || len(items.Content) == 0 {
		w.decideLegacy(f)
		return
	}
	var without []*yaml.Node
	for _, item := range items.Content {
		if item.Kind != yaml.MappingNode || item.Style&yaml.FlowStyle != 0 || valueOf(item, "<<") != nil {
			w.decideLegacy(f)
			return
		}
		if token := valueOf(item, "token"); token == nil || token.Value == "" {
			without = append(without, item)
		} else if strings.Contains(token.Value, roleToken) {
			w.decideLegacy(f)
			return
		}
	}
	if len(without) > 1 || len(without) == 1 && !w.itemToken(r, without[0], f, s, &c) {
		w.decideLegacy(f)
		return
	}
	if secret := w.secretAt(f.Value); !secret.IsZero() {
		c.token, c.keep = secret, f.Slug == RunnerInLegacy
	}
	c.comment = w.once([]string{"the role passes each runner's own token from here on (a release of it that knows " + roleType + "): a glrt- token of a runner made beforehand"})
	if len(without) > 0 && !c.token.IsZero() {
		c.comment = append(c.comment, w.keep(c.token, "vault_gitlab_runner_token", !c.keep, false)...)
	}
	w.add(c)
	for _, item := range items.Content {
		w.roleItem(r, item)
	}
}

// newType says that the role is given tokens of runners, where it was given a
// registration token.
func (w *rewriter) newType(s site, c *change) bool {
	line, own := w.ownLine(s)
	if !own || s.value.len() == 0 || s.value.at[0] == s.value.at[len(s.value.at)-1] || bytes.Count(w.f.raw, []byte(roleToken)) != 1+bytes.Count(w.f.raw, []byte(roleType)) {
		return false // what else reads it would find nothing
	}
	if beside, there := w.sibling(s, roleType); there {
		c.edits = append(c.edits, line)
		if beside.value.String() != roleNewType {
			c.edits = append(c.edits, edited(w.f.raw, beside.value.span(), roleNewType))
		}
		return beside.value.len() > 0
	}
	c.edits = append(c.edits, edited(w.f.raw, Span{s.name.span().Start, w.quotedSpan(s.value.span()).End}, roleType+": "+roleNewType))
	return true
}

// quotedSpan is a value with the quotes around it.
func (w *rewriter) quotedSpan(at Span) Span {
	if w.quoted(at) {
		return Span{at.Start - 1, at.End + 1}
	}
	return at
}

// itemToken gives a runner of the role the token that all had.
func (w *rewriter) itemToken(r *yamlReader, item *yaml.Node, f Finding, s site, c *change) bool {
	value := w.bytes(w.quotedSpan(s.value.span()))
	if !w.secretAt(f.Value).IsZero() {
		value = vaultToken
	}
	if token := valueOf(item, "token"); token != nil {
		at := w.quotedSpan(r.scalar(token).span())
		c.edits = append(c.edits, edited(w.f.raw, at, value))
		return at.End > at.Start
	}
	first := item.Content[0]
	at := r.scalar(first).span()
	n := w.f.line(at.Start)
	end := w.f.lines[n-1] + len(w.f.lineText(n)) + 1
	if item.Content[1].Kind != yaml.ScalarNode || w.lastLine(n, at.Start-w.f.lines[n-1]) != n || end > len(w.f.raw) {
		return false
	}
	ending := "\n"
	if bytes.HasSuffix(w.f.lineText(n), []byte("\r")) {
		ending = "\r\n"
	}
	c.edits = append(c.edits, inserted(end, strings.Repeat(" ", w.quotedSpan(at).Start-w.f.lines[n-1])+"token: "+value+ending))
	return true
}

// roleItem turns what one runner of the role says about its record into comments.
func (w *rewriter) roleItem(r *yamlReader, item *yaml.Node) {
	first := r.scalar(item.Content[0]).span()
	c := change{where: first.Start}
	var attributes []string
	for i := 0; i+1 < len(item.Content); i += 2 {
		name, server := roleKeys[item.Content[i].Value]
		if !server {
			continue
		}
		if e, ok := w.commentedOut(r.scalar(item.Content[i]).span().Start); ok {
			c.edits = append(c.edits, e)
			attributes = append(attributes, fmt.Sprintf("-f %s=%s", name, roleValue(name, item.Content[i+1])))
		}
	}
	if len(c.edits) == 0 {
		return
	}
	c.comment = w.once(recordLines("its glrt- token is the token of this item", attributes))
	w.add(c)
}

// roleValue is what an item says, as the API of GitLab takes it.
func roleValue(name string, n *yaml.Node) string {
	value := n.Value
	if n.Kind == yaml.SequenceNode {
		var tags []string
		for _, t := range n.Content {
			tags = append(tags, t.Value)
		}
		value = strings.Join(tags, ",")
	}
	switch {
	case name == "access_level" && protected.MatchString(value):
		return "ref_protected"
	case name == "access_level":
		return map[bool]string{true: "LEVEL", false: "not_protected"}[jinja.MatchString(value)]
	case value == "":
		return `""`
	}
	return redacted(quotedIf(strings.Join(strings.Fields(value), " ")), nil)
}

// mappingOf is the mapping of a YAML file that a field stands in.
func (w *rewriter) mappingOf(s site) (*yamlReader, *yaml.Node) {
	if w.f.format != FormatYAML {
		return nil, nil
	}
	v := unlined(unterraformed(untemplated(whole(w.f.raw))))
	start := 0
	for _, m := range append(documentMark.FindAllIndex(v.text, -1), []int{v.len(), v.len()}) {
		doc := v.sub(start, m[0])
		start = m[1]
		if at := doc.span(); s.name.span().Start < at.Start || s.name.span().Start >= at.End {
			continue
		}
		var root yaml.Node
		if yaml.NewDecoder(bytes.NewReader(doc.text)).Decode(&root) != nil {
			return nil, nil
		}
		r := newYAMLReader(doc)
		return r, r.holder(&root, s.name.span(), 0)
	}
	return nil, nil
}

// holder finds the mapping that has a key at a place.
func (r *yamlReader) holder(n *yaml.Node, at Span, depth int) *yaml.Node {
	if depth > 100 {
		return nil
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.ScalarNode && r.scalar(c).span() == at {
			return n
		}
		if found := r.holder(c, at, depth+1); found != nil {
			return found
		}
	}
	return nil
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

var protected = lazyregexp.New(`(?i)^(?:true|yes|on|1)$`)

var number = lazyregexp.New(`^\d+$`)

// ofModule reports an argument of community.general.gitlab_runner, which makes
// runners by POST /user/runners when it is given no registration token.
func (w *rewriter) ofModule(s site) bool {
	if len(s.path) == 0 {
		return false
	}
	module := s.path[len(s.path)-1]
	return s.name.String() == "registration_token" && (module == "community.general.gitlab_runner" || module == "gitlab_runner" && w.has(s, "api_url"))
}

func (w *rewriter) has(s site, name string) bool {
	_, there := w.sibling(s, name)
	return there
}

// moduleArgument drops the registration token of the module where it is told whose
// the runner is, by the id that POST /user/runners takes.
func (w *rewriter) moduleArgument(f Finding, s site) {
	line, own := w.ownLine(s)
	owner := false
	for _, key := range []string{"group", "project"} {
		o, there := w.sibling(s, key)
		owner = owner || there && number.MatchString(o.value.String())
	}
	state, there := w.sibling(s, "state")
	absent := there && state.value.String() == "absent"
	if w.f.format != FormatYAML || !own || !owner && !absent {
		w.decide(f.Where.Start, "without registration_token the module makes the runner itself (community.general 8.1, python-gitlab 4, an api_token with create_runner): name its group or project by the numeric ID, or neither for one of the instance, and drop this")
		return
	}
	c := change{where: f.Where.Start, edits: []edit{line}, token: w.secretAt(f.Value)}
	if !absent {
		c.comment = w.once([]string{"without registration_token the module makes the runner by itself: it takes community.general 8.1, python-gitlab 4 and an api_token with create_runner; runner.token of its result is the glrt- token"})
	}
	w.add(c)
}
