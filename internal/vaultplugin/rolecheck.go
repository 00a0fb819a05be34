package vaultplugin

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
)

const (
	defaultDescription = "Vault {{mount}}creds/{{role}} for {{display_name}}"
	tagLimit           = 49   // GitLab's 50 without the marker
	textLimit          = 1024 // of description and maintenance note
	shortestTimeout    = 600  // seconds
)

// check refuses what GitLab would refuse when a runner is wanted.
func (r *role) check() error {
	if r.Scope == "" {
		return invalid("scope is missing").WithHint("use scope=instance, group or project")
	}
	scope, err := rekey.ParseScope(string(r.Scope))
	if err != nil {
		return err
	}
	r.Scope = scope
	if err := r.checkTags(); err != nil {
		return err
	}
	switch {
	case r.AccessLevel != "" && r.AccessLevel != "not_protected" && r.AccessLevel != "ref_protected":
		return invalid("access_level %q is not known", r.AccessLevel).WithHint("use not_protected or ref_protected")
	case r.MaximumTimeout != 0 && r.MaximumTimeout < shortestTimeout:
		return invalid("maximum_timeout is %ds; GitLab wants at least 10 minutes", r.MaximumTimeout).WithHint("use maximum_timeout=10m or more, or 0 for GitLab's own")
	case len(r.MaintenanceNote) > textLimit:
		return invalid("maintenance_note has %d bytes; GitLab takes %d", len(r.MaintenanceNote), textLimit)
	case r.MaxRecords < 0:
		return invalid("max_records cannot be negative").WithHint("0 is no limit")
	case r.TTL < 0 || r.MaxTTL < 0:
		return invalid("ttl and max_ttl cannot be negative")
	case r.MaxTTL > 0 && r.TTL > r.MaxTTL:
		return invalid("ttl (%s) is longer than max_ttl (%s)", seconds(r.TTL), seconds(r.MaxTTL)).WithHint("make ttl shorter or max_ttl longer")
	}
	return r.checkDescription()
}

func (r *role) checkTags() error {
	for i, tag := range r.Tags {
		r.Tags[i] = strings.TrimSpace(tag)
	}
	r.Tags = slices.DeleteFunc(r.Tags, func(tag string) bool { return tag == "" })
	switch {
	case len(r.Tags) == 0 && !r.RunUntagged:
		return invalid("the runner would take no job: it has no tags and run_untagged is false").WithHint("give tags=… or run_untagged=true")
	case len(r.Tags) > tagLimit:
		return invalid("the role has %d tags; GitLab takes 50, one of which is the marker", len(r.Tags))
	}
	if i := slices.IndexFunc(r.Tags, func(tag string) bool { return strings.HasPrefix(tag, "rekey-") }); i >= 0 {
		return invalid("the tag %s could be taken for a marker", r.Tags[i]).WithHint("use a tag that does not begin with rekey-")
	}
	return nil
}

func (r *role) checkDescription() error {
	left := described(r.Description, map[string]string{"role": "", "display_name": "", "entity_id": "", "mount": ""})
	if _, after, unknown := strings.Cut(left, "{{"); unknown {
		name, _, _ := strings.Cut(after, "}}")
		return invalid("the description names {{%s}}, which is not known", name).WithHint("use {{role}}, {{display_name}}, {{entity_id}} or {{mount}}")
	}
	return nil
}

// described replaces {{name}} in one pass, so that a value is never read again.
func described(template string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		pairs = append(pairs, "{{"+name+"}}", value)
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// number reads an id, 0 for a path.
func number(text string) int64 {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return id
}
