package vaultplugin

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

const rolePrefix = "role/"

// role is what a runner is created with; times in seconds.
type role struct {
	Scope           rekey.Scope `json:"scope"`
	Owner           rekey.Ref   `json:"owner,omitzero"`
	Instance        string      `json:"instance,omitempty"` // whose group or project Owner is; "": of the GitLab that is configured
	Description     string      `json:"description"`
	Tags            []string    `json:"tags,omitempty"`
	RunUntagged     bool        `json:"run_untagged"`
	Locked          bool        `json:"locked"`
	Paused          bool        `json:"paused"`
	AccessLevel     string      `json:"access_level,omitempty"`
	MaximumTimeout  int64       `json:"maximum_timeout,omitempty"`
	MaintenanceNote string      `json:"maintenance_note,omitempty"`
	TTL             int64       `json:"ttl,omitempty"`
	MaxTTL          int64       `json:"max_ttl,omitempty"`
	MaxRecords      int         `json:"max_records,omitempty"`
}

const roleHelp = `A role says what runner creds/NAME creates. In the description {{role}},
{{display_name}}, {{entity_id}} and {{mount}} are replaced. Every record carries one more tag,
rekey-vault-…, by which it is found again; so a role has at most 49.`

func (b *backend) rolePaths() []*framework.Path {
	return []*framework.Path{{
		Pattern: "roles/?$",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{Callback: b.listRoles, Summary: "List the roles."},
		},
		HelpSynopsis:    "The names of all roles.",
		HelpDescription: "Lists the roles; read roles/NAME for one.",
	}, {
		Pattern:        "roles/" + framework.GenericNameRegex("name"),
		Fields:         roleFields(),
		ExistenceCheck: b.roleExists,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readRole, Summary: "Read a role."},
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeRole, Summary: "Create a role."},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeRole, Summary: "Change a role; what is not given stays. Runners that exist stay as they are."},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteRole, Summary: "Delete a role. Its leases go on until they end."},
		},
		HelpSynopsis:    "What runner is created: its scope, tags, limits and how long it lives.",
		HelpDescription: roleHelp,
	}}
}

func roleFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"name":             {Type: framework.TypeString, Description: "Name of the role."},
		"scope":            {Type: framework.TypeString, Description: "instance, group or project."},
		"owner":            {Type: framework.TypeString, Description: "The group or project, by full path or id; none for scope instance."},
		"description":      {Type: framework.TypeString, Default: defaultDescription, Description: "Description of the runner; {{role}}, {{display_name}}, {{entity_id}} and {{mount}} are replaced."},
		"tags":             {Type: framework.TypeCommaStringSlice, Description: "Tags, at most 49."},
		"run_untagged":     {Type: framework.TypeBool, Description: "Take jobs without tags."},
		"locked":           {Type: framework.TypeBool, Description: "Lock a project runner to its project."},
		"paused":           {Type: framework.TypeBool, Description: "Create the runner paused."},
		"access_level":     {Type: framework.TypeString, Description: "not_protected or ref_protected."},
		"maximum_timeout":  {Type: framework.TypeDurationSecond, Description: "Longest a job may run, at least 10m; 0 is GitLab's."},
		"maintenance_note": {Type: framework.TypeString, Description: "Note for administrators."},
		"ttl":              {Type: framework.TypeDurationSecond, Description: "How long a runner lives without a renewal; 0 is the mount's."},
		"max_ttl":          {Type: framework.TypeDurationSecond, Description: "How long it lives at most; 0 is the mount's."},
		"max_records":      {Type: framework.TypeInt, Description: "How many runners of this role may exist at once; 0 is no limit."},
	}
}

func loadRole(ctx context.Context, s logical.Storage, name string) (*role, error) {
	entry, err := s.Get(ctx, rolePrefix+name)
	if err != nil || entry == nil {
		return nil, err
	}
	r := new(role)
	return r, entry.DecodeJSON(r)
}

func (r *role) put(ctx context.Context, s logical.Storage, name string) error {
	entry, err := logical.StorageEntryJSON(rolePrefix+name, r)
	if err != nil {
		return err
	}
	return s.Put(ctx, entry)
}

// strange reports whether the owner is of another GitLab than instance.
func (r *role) strange(instance string) bool {
	return r.Owner.ID != 0 && r.Instance != "" && r.Instance != instance
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, rolePrefix)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *backend) roleExists(ctx context.Context, req *logical.Request, d *framework.FieldData) (bool, error) {
	r, err := loadRole(ctx, req.Storage, d.Get("name").(string))
	return r != nil, err
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	r, err := loadRole(ctx, req.Storage, d.Get("name").(string))
	if err != nil || r == nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"scope": string(r.Scope), "owner_id": r.Owner.ID, "owner": r.Owner.Path, "description": r.Description, "tags": r.Tags,
		"run_untagged": r.RunUntagged, "locked": r.Locked, "paused": r.Paused, "access_level": r.AccessLevel,
		"maximum_timeout": r.MaximumTimeout, "maintenance_note": r.MaintenanceNote, "ttl": r.TTL, "max_ttl": r.MaxTTL, "max_records": r.MaxRecords,
	}}, nil
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return nil, req.Storage.Delete(ctx, rolePrefix+d.Get("name").(string))
}

func (b *backend) writeRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get("name").(string)
	r, err := loadRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &role{Description: defaultDescription}
	}
	before := r.Scope
	r.fill(d)
	if err := r.check(); err != nil {
		return refusal(err)
	}
	if r.Scope != before { // an id of the other kind would be another's
		r.Owner = rekey.Ref{}
	}
	if err := b.resolveOwner(ctx, req.Storage, r, d.Get("owner").(string)); err != nil {
		return refusal(err)
	}
	if err := r.put(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	return b.warnTTL(r), nil
}

func (r *role) fill(d *framework.FieldData) {
	var scope string
	if take(d, "scope", &scope); scope != "" {
		r.Scope = rekey.Scope(scope)
	}
	take(d, "description", &r.Description)
	take(d, "tags", &r.Tags)
	take(d, "run_untagged", &r.RunUntagged)
	take(d, "locked", &r.Locked)
	take(d, "paused", &r.Paused)
	take(d, "access_level", &r.AccessLevel)
	take(d, "maintenance_note", &r.MaintenanceNote)
	take(d, "max_records", &r.MaxRecords)
	for field, to := range map[string]*int64{"maximum_timeout": &r.MaximumTimeout, "ttl": &r.TTL, "max_ttl": &r.MaxTTL} {
		if v, given := d.GetOk(field); given {
			*to = int64(v.(int))
		}
	}
}

// resolveOwner finds the id that GitLab wants in place of a path, and notes which GitLab
// it is of.
func (b *backend) resolveOwner(ctx context.Context, s logical.Storage, r *role, given string) error {
	given = strings.Trim(strings.TrimSpace(given), "/")
	switch {
	case r.Scope == rekey.ScopeInstance && given != "":
		return invalid("an instance runner has no owner").WithHint("leave owner away, or use scope group or project")
	case r.Scope == rekey.ScopeInstance:
		r.Owner, r.Instance = rekey.Ref{}, ""
		return nil
	case given == "" && r.Owner.ID == 0:
		return invalid("owner is missing").WithHint("a %s runner needs owner=PATH or owner=ID of its %[1]s", r.Scope)
	case given == "":
		return nil
	}
	if id := number(given); id > 0 {
		c, err := loadConfig(ctx, s)
		if err != nil {
			return err
		}
		r.Owner, r.Instance = rekey.Ref{ID: id}, ""
		if c != nil {
			r.Instance = c.Instance
		}
		return nil
	}
	gl, err := b.gitlab(ctx, s, "")
	if err != nil {
		return err
	}
	r.Owner, err = gl.Owner(ctx, r.Scope, given)
	if err != nil {
		return rekey.Errorf(rekey.KindOf(err), "the %s %s cannot be looked up: %w", r.Scope, given, err).
			WithHint("give its id as owner: that needs no look-up; or: %s", rekey.HintOf(err))
	}
	r.Instance = gl.config.Instance
	return nil
}

func (b *backend) warnTTL(r *role) *logical.Response {
	limit := b.System().MaxLeaseTTL()
	if longest := time.Duration(max(r.TTL, r.MaxTTL)) * time.Second; longest > limit {
		resp := &logical.Response{}
		resp.AddWarning("the mount's own limit of " + limit.String() + " holds where the role's is longer (" + longest.String() + ")")
		return resp
	}
	return nil
}
