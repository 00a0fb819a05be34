package remedy

import (
	"context"
	"fmt"

	"rekey"
	"rekey/internal/diagnose"
)

// tagLimit is how many tags GitLab takes of a new record (POST /user/runners,
// PUT /runners/:id); an older record may have more and keeps them.
const tagLimit = 50

// attributes are those of the old record where it can be read, else the flags'.
// A record's tags are never guessed: a new record without them would take
// production jobs, or none.
func (p *Planner) attributes(ctx context.Context, s diagnose.Section, c choice) (*rekey.Attributes, error) {
	if a := p.rememberedAttributes(s); a != nil && (c.scope == "" || c.scope == a.Scope) {
		return a, nil
	}
	gl := p.GitLab(p.server(s).URL)
	if s.Record.Lookup == diagnose.LookupFound {
		a, err := p.copied(ctx, gl, s, c)
		if err == nil && c.remedy == rekey.RemedyCreate && len(a.Tags) > tagLimit {
			err = rekey.Errorf(rekey.KindInvalid, "runner %d has %d tags, and GitLab takes %d of a new record", s.RunnerID, len(a.Tags), tagLimit).
				WithHint("take tags that no job needs off that record in GitLab, then run `rekey fix` again; or give a glrt- token that a colleague made with --token-file")
		}
		return a, err
	}
	scope, err := p.scopeFor(s, c)
	if err != nil {
		return nil, err
	}
	owner, err := p.owner(ctx, gl, scope)
	if err != nil {
		return nil, err
	}
	return p.Flags.attributes(s.Name, scope, owner)
}

// AttributesFrom makes the attributes of a first record from flags alone.
func AttributesFrom(ctx context.Context, gl GitLab, f Flags, name string) (*rekey.Attributes, error) {
	p := &Planner{Flags: f}
	scope, err := p.scopeFor(diagnose.Section{}, choice{})
	if err != nil {
		return nil, err
	}
	owner, err := p.owner(ctx, gl, scope)
	if err != nil {
		return nil, err
	}
	return f.attributes(name, scope, owner)
}

func (p *Planner) copied(ctx context.Context, gl GitLab, s diagnose.Section, c choice) (*rekey.Attributes, error) {
	r := s.Record.Runner
	a := &rekey.Attributes{Scope: r.Scope, Description: r.Description, Tags: r.Tags, RunUntagged: r.RunUntagged,
		Locked: r.Locked, Paused: r.Paused, AccessLevel: r.AccessLevel, MaximumTimeout: r.MaximumTimeout,
		MaintenanceNote: r.MaintenanceNote, Source: fmt.Sprintf("runner %d", r.ID)}
	if c.remedy == rekey.RemedyCreate {
		unkept(a, s.Name)
	}
	if c.scope != "" && c.scope != r.Scope {
		a.Scope = c.scope
		owner, err := p.owner(ctx, gl, c.scope)
		a.Owner = owner
		return a, err
	}
	switch {
	case r.Scope == rekey.ScopeGroup && len(r.Groups) > 0:
		a.Owner = r.Groups[0]
	case r.Scope == rekey.ScopeProject && len(r.Projects) > 0:
		a.Owner, a.Projects = r.Projects[0], r.Projects
	case r.Scope != rekey.ScopeInstance:
		owner, err := p.owner(ctx, gl, r.Scope)
		a.Owner = owner
		return a, err
	}
	return a, nil
}

// scopeFor prefers what the old token reveals: flags speak for several sections
// at once, of different scopes.
func (p *Planner) scopeFor(s diagnose.Section, c choice) (rekey.Scope, error) {
	hint := s.Token.Lexical().Scope
	switch {
	case c.scope != "":
		return c.scope, nil
	case hint != "":
		return hint, nil
	case p.Flags.Scope != "":
		return p.Flags.Scope, nil
	case p.Flags.Project != "" && p.Flags.Group == "":
		return rekey.ScopeProject, nil
	case p.Flags.Group != "" && p.Flags.Project == "":
		return rekey.ScopeGroup, nil
	}
	return "", rekey.Errorf(rekey.KindInvalid, "where the new record belongs must be said").
		WithHint("add --scope instance, --group PATH or --project PATH, and --tag-list TAGS or --run-untagged")
}

func (p *Planner) owner(ctx context.Context, gl GitLab, scope rekey.Scope) (rekey.Ref, error) {
	switch scope {
	case rekey.ScopeGroup:
		if p.Flags.Group == "" {
			return rekey.Ref{}, rekey.Errorf(rekey.KindInvalid, "which group the new record is for must be said").WithHint("add --group PATH")
		}
		return gl.Group(ctx, p.Flags.Group)
	case rekey.ScopeProject:
		name := p.Flags.Project
		if name == "" {
			name = p.Facts.Expect.Project
		}
		if name == "" {
			return rekey.Ref{}, rekey.Errorf(rekey.KindInvalid, "which project the new record is for must be said").WithHint("add --project PATH")
		}
		project, err := gl.Project(ctx, name)
		return rekey.Ref{ID: project.ID, Path: project.Path}, err
	}
	return rekey.Ref{}, nil
}

func (f Flags) attributes(name string, scope rekey.Scope, owner rekey.Ref) (*rekey.Attributes, error) {
	if len(f.Tags) == 0 && f.RunUntagged == nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "which jobs the new record takes must be said").
			WithHint("add --tag-list TAGS, or --run-untagged for a runner that takes jobs without tags")
	}
	a := &rekey.Attributes{Scope: scope, Owner: owner, Description: name, Tags: f.Tags, AccessLevel: f.AccessLevel, Source: "the flags given"}
	if f.Description != "" {
		a.Description = f.Description
	}
	if f.RunUntagged != nil {
		a.RunUntagged = *f.RunUntagged
	}
	if f.Locked != nil {
		a.Locked = *f.Locked
	}
	if !a.RunUntagged && len(a.Tags) == 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "a runner without tags must take untagged jobs").WithHint("add --tag-list TAGS or --run-untagged")
	}
	return a, nil
}
