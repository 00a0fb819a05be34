package app

import (
	"context"
	"slices"
	"strconv"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/gitlab"
	"rekey/internal/remedy"
)

// Plan observes, judges and plans. Whether the configs can be written is looked
// at first: where none can, GitLab is asked nothing.
func (f *Fix) Plan(ctx context.Context) (rekey.Plan, error) {
	plan, err := f.plan(ctx)
	if err == nil {
		err = f.stores.deposit(ctx, &plan, noOwner)
	}
	return plan, err
}

func (f *Fix) plan(ctx context.Context) (rekey.Plan, error) {
	if !f.in.Hosts.none() {
		return f.planHosts(ctx)
	}
	if _, err := f.configs(); err != nil {
		return rekey.Plan{}, err
	}
	sources, err := f.sources()
	if err != nil {
		return rekey.Plan{}, err
	}
	facts, err := f.app.observe(ctx, f.net, f.in.DoctorInput, sources)
	if err != nil {
		return rekey.Plan{}, err
	}
	if err := firstUnreadable(facts); err != nil {
		return rekey.Plan{}, err
	}
	if err := f.sectionsExist(facts); err != nil {
		return rekey.Plan{}, err
	}
	p, err := f.planner(ctx, facts)
	if err != nil {
		return rekey.Plan{}, err
	}
	moved := f.remember(p)
	plan, err := p.Plan(ctx)
	plan.Left = append(plan.Left, moved...)
	f.nameReload(ctx, &plan)
	f.nameSources(&plan)
	f.nameVia(&plan)
	return plan, err
}

// planner is the planner for these facts of this machine.
func (f *Fix) planner(ctx context.Context, facts diagnose.Facts) (*remedy.Planner, error) {
	open, err := f.Unfinished()
	if err != nil {
		return nil, err
	}
	in, user := f.in.Record, f.user(ctx)
	return &remedy.Planner{
		Facts: facts, Report: diagnose.Judge(facts), Host: f.host, Probe: f.probe(), GitLab: f.net.records,
		SameGitLab: gitlab.SameGitLab, Generated: f.generated, Open: open,
		Rights: func(base string) ([]string, bool) { u := user(base); return u.Scopes, u.Scopes != nil },
		Admin:  func(base string) bool { return user(base).Admin },
		Flags: remedy.Flags{Scope: in.Scope, Group: in.Group, Project: in.Project, Description: in.Description, Tags: in.Tags,
			RunUntagged: in.RunUntagged, Locked: in.Locked, AccessLevel: in.AccessLevel, Sections: f.in.Sections,
			SeparateRecord: f.in.SeparateRecord, TokenGiven: !f.given.IsZero()},
	}, nil
}

// configs returns the files to repair: each can be read, and one at least be
// written.
func (f *Fix) configs() ([]string, error) {
	if f.in.afar || len(f.in.Configs) == 0 && !f.in.Hosts.none() {
		return nil, nil // nothing of this machine is meant
	}
	paths, err := f.app.configs(f.in.Configs)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if err := f.host.readable(path); err != nil {
			return nil, unloadable(err.Error(), rekey.HintOf(err))
		}
	}
	return paths, f.someWritable(paths)
}

// unloadable is no mistake of the command line, whatever is wrong with the file.
func unloadable(text, hint string) error {
	return rekey.Errorf(rekey.KindUnavailable, "%s", text).WithHint("%s", hint)
}

// someWritable fails when no config could be changed.
func (f *Fix) someWritable(paths []string) error {
	var first error
	for _, path := range paths {
		err := f.host.CheckWritable(path)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// firstUnreadable stops a fix on a broken file: nothing is repaired beside a
// config that nobody can load.
func firstUnreadable(facts diagnose.Facts) error {
	for _, c := range facts.Configs {
		if c.Err != "" {
			return unloadable(c.Err, "mend the file first, or name the others with --config FILE; nothing was changed")
		}
	}
	return nil
}

// sectionsExist refuses a mistyped --section, which would look like nothing to
// repair.
func (f *Fix) sectionsExist(facts diagnose.Facts) error {
	var names []string
	for _, c := range facts.Configs {
		for _, s := range c.Sections {
			names = append(names, s.Name, strconv.Itoa(s.Index))
		}
	}
	for _, wanted := range f.in.Sections {
		if !slices.Contains(names, wanted) {
			return rekey.Errorf(rekey.KindInvalid, "no section is named %q", wanted).
				WithHint("`rekey doctor` lists the sections by name; the first of a file is 0")
		}
	}
	return nil
}

func (f *Fix) generated(path string) string {
	if far, there := f.host.far.of(path); far != nil {
		return far.generated(there)
	}
	file, err := f.host.Host.Read(path)
	if err != nil {
		return ""
	}
	return file.Generated
}

// user asks GitLab once who the user token stands for; what it does not tell
// stays zero, and so does another GitLab's.
func (f *Fix) user(ctx context.Context) func(base string) gitlab.User {
	var user gitlab.User
	if f.net.client != nil {
		if u, err := f.net.client.WhoAmI(ctx); err == nil {
			user = u
		}
	}
	return func(base string) gitlab.User {
		if f.net.clientFor(base) == nil {
			return gitlab.User{}
		}
		return user
	}
}
