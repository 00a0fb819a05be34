package remedy

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"rekey"
	"rekey/internal/diagnose"
)

// Flags are what the operator says about the records to be made, where the old
// ones cannot be read, and which sections to repair.
type Flags struct {
	Scope          rekey.Scope
	Group, Project string // path or id
	Description    string
	Tags           []string
	RunUntagged    *bool
	Locked         *bool
	AccessLevel    string
	Sections       []string // names or indexes; empty: all
	SeparateRecord bool     // make a new record where a reset would lock others out
	TokenGiven     bool     // a token was given by --token-file
}

// Planner makes a plan from a judgement. It asks GitLab only to resolve the names
// of groups and projects, and asks the host only whether configs can be written.
type Planner struct {
	Facts  diagnose.Facts
	Report diagnose.Report
	Flags  Flags
	Host   Host
	Probe  Probe
	GitLab func(base string) GitLab
	// SameGitLab reports whether two URLs name one GitLab.
	SameGitLab func(a, b string) bool
	// Generated says which tool writes a config, "" when none is recognised.
	Generated func(path string) string
	// Rights says which scopes the user token for a GitLab has; known is false
	// where GitLab does not tell.
	Rights func(base string) (scopes []string, known bool)
	// Admin reports whether the user token for a GitLab is known to be an
	// administrator's; nil: of none.
	Admin func(base string) bool
	// Open are the targets that earlier runs left open (Engine.Unfinished):
	// nothing new is planned for their sections.
	Open []rekey.Target
	// Remembered, when not nil, limits the plan to the sections that it knows, and
	// tells what is known of their records from before GitLab went back in time.
	Remembered func(config string, index int) (Memory, bool)

	// Release is where the configs stand, if that is a cluster; nil for this machine.
	Release *Release

	keeper map[rekey.Token]place // the first section of each token
}

// place is where a section stands.
type place struct {
	config string
	index  int
}

// Plan returns what to do about every section with a finding that calls for it.
func (p *Planner) Plan(ctx context.Context) (rekey.Plan, error) {
	plan := rekey.Plan{Targets: []rekey.Target{}, Left: []rekey.Left{}}
	p.keeper = keepers(p.Facts)
	writable := map[string]error{}
	for i, r := range p.Report.Sections {
		s, ok := p.facts(r)
		if !ok || !p.selected(s) || !p.remembers(s) {
			continue
		}
		if _, seen := writable[s.Config]; !seen {
			writable[s.Config] = p.writable(s.Config)
		}
		p.add(ctx, &plan, s, p.Report.Sections[i], writable[s.Config])
	}
	if p.Flags.TokenGiven && len(plan.Targets) > 1 {
		return plan, rekey.Errorf(rekey.KindInvalid, "one token was given, but %d sections need one", len(plan.Targets)).
			WithHint("choose one with --section NAME")
	}
	return plan, nil
}

func keepers(f diagnose.Facts) map[rekey.Token]place {
	first := map[rekey.Token]place{}
	for _, c := range f.Configs {
		for _, s := range c.Sections {
			if _, seen := first[s.Token]; !seen {
				first[s.Token] = place{s.Config, s.Index}
			}
		}
	}
	return first
}

func (p *Planner) facts(r diagnose.SectionReport) (diagnose.Section, bool) {
	for _, c := range p.Facts.Configs {
		if c.Path == r.Config && r.Index < len(c.Sections) {
			return c.Sections[r.Index], true
		}
	}
	return diagnose.Section{}, false
}

// repairing reports whether an earlier repair of the section is open.
func (p *Planner) repairing(s diagnose.Section) bool {
	t := rekey.Target{Config: s.Config, Index: s.Index, Name: s.Name, Before: s.Token.Fingerprint()}
	return slices.ContainsFunc(p.Open, func(open rekey.Target) bool { return sameSection(open, t) })
}

func (p *Planner) selected(s diagnose.Section) bool {
	return len(p.Flags.Sections) == 0 || slices.Contains(p.Flags.Sections, s.Name) ||
		slices.Contains(p.Flags.Sections, strconv.Itoa(s.Index))
}

func (p *Planner) writable(path string) error {
	if tool := p.Generated(path); tool != "" {
		return rekey.Errorf(rekey.KindConflict, "%s is written by %s, which would undo an edit", path, tool).
			WithHint("change the token at its source (%s), or pass the rendered file's own path if it is yours", tool)
	}
	return p.Host.CheckWritable(path)
}

// add puts one section on the plan, as a target or among what is left alone.
func (p *Planner) add(ctx context.Context, plan *rekey.Plan, s diagnose.Section, r diagnose.SectionReport, writable error) {
	c, ok := p.choose(ctx, s, r)
	if !ok {
		return
	}
	left := rekey.Left{Config: s.Config, Index: s.Index, Name: s.Name, Causes: causes(r), Severity: byGravity(r.Findings)[0].Severity}
	if p.repairing(s) {
		c = leave("`rekey fix` finishes it first; `rekey fix --undo` gives it up", "an earlier repair of this section is not finished, and nothing new is begun before it is")
	}
	if c.why != "" {
		left.Reason, left.Next = c.why, c.next
		plan.Left = append(plan.Left, left)
		return
	}
	t, err := p.target(ctx, s, r, c)
	if err == nil && writable != nil && c.remedy != rekey.RemedyAssign {
		err = writable
	}
	if err != nil {
		left.Reason, left.Next = err.Error(), rekey.HintOf(err)
		plan.Left = append(plan.Left, left)
		return
	}
	plan.Targets = append(plan.Targets, t)
}

func causes(r diagnose.SectionReport) []rekey.Cause {
	list := []rekey.Cause{}
	for _, f := range r.Findings {
		list = append(list, f.Cause)
	}
	return list
}

// target works a choice out into steps.
func (p *Planner) target(ctx context.Context, s diagnose.Section, r diagnose.SectionReport, c choice) (rekey.Target, error) {
	t := rekey.Target{Config: s.Config, Index: s.Index, Name: s.Name, URL: s.URL, RunnerID: s.RunnerID,
		Before: s.Token.Fingerprint(), Causes: causes(r), Remedy: c.remedy, NewURL: c.newURL, AssignTo: c.assignTo}
	if p.userTokenFor(s) {
		t.GitLab = p.server(s).URL
	}
	if c.newURL != "" && p.GitLab(c.newURL) != nil {
		t.GitLab = c.newURL
	}
	if err := p.inCluster(&t); err != nil {
		return t, err
	}
	if err := p.checkRights(t); err != nil {
		return t, err
	}
	if c.remedy == rekey.RemedyCreate || c.remedy == rekey.RemedyReset {
		a, err := p.attributes(ctx, s, c)
		if err != nil {
			return t, err
		}
		t.Attributes = a
	}
	t.Steps, t.Notes = describe(t), p.notes(t, s, c)
	if p.Release != nil {
		t.Notes = append(t.Notes, fmt.Sprintf("the pods are made anew; a job that still runs in one has %s to end", p.Release.Grace))
		t.Notes = append(t.Notes, p.Release.Notes...)
	}
	return t, nil
}

// need is what a remedy asks of a user token.
var need = map[rekey.Remedy][][]string{
	rekey.RemedyCreate: {{"api", "create_runner"}, {"api", "manage_runner"}},
	rekey.RemedyReset:  {{"api", "manage_runner"}},
	rekey.RemedyAssign: {{"api"}},
	rekey.RemedyAppend: {{"api", "create_runner"}, {"api", "manage_runner"}},
}

func (p *Planner) checkRights(t rekey.Target) error {
	alternatives := need[t.Remedy]
	if len(alternatives) == 0 {
		return nil
	}
	if t.GitLab == "" {
		return rekey.Errorf(rekey.KindDenied, "this repair needs a user token for %s", t.URL).
			WithHint("set GITLAB_TOKEN and GITLAB_HOST, or give a glrt- token that a colleague made: `rekey fix --section %q --token-file FILE`", t.Name)
	}
	scopes, known := p.Rights(t.GitLab)
	for _, any := range alternatives {
		if known && !slices.ContainsFunc(any, func(s string) bool { return slices.Contains(scopes, s) }) {
			return rekey.Errorf(rekey.KindDenied, "the user token lacks the scope %s", any[len(any)-1]).
				WithHint("make a token with the scope %s (or api); it has %v", any[len(any)-1], scopes)
		}
	}
	return nil
}

func (p *Planner) server(s diagnose.Section) diagnose.Server {
	url := s.URL
	if s.ExpandedURL != "" {
		url = s.ExpandedURL
	}
	for _, server := range p.Facts.Servers {
		if p.SameGitLab(server.URL, url) {
			return server
		}
	}
	return diagnose.Server{}
}

func (p *Planner) userTokenFor(s diagnose.Section) bool {
	state := p.server(s).UserToken
	return state == diagnose.UserTokenAccepted || state == diagnose.UserTokenLimited
}

// describe writes a target's steps for people.
func describe(t rekey.Target) []rekey.Step {
	text := map[rekey.StepKind]string{
		rekey.StepCensus:  fmt.Sprintf("check that no other online manager uses runner %d", t.RunnerID),
		rekey.StepCreate:  "create a record" + at(t),
		rekey.StepReset:   fmt.Sprintf("reset the token of runner %d", t.RunnerID),
		rekey.StepSeal:    "seal the token",
		rekey.StepDeliver: "edit " + fields(t),
		rekey.StepReload:  "reload gitlab-runner (SIGHUP, or the newer mtime)",
		rekey.StepAssign:  fmt.Sprintf("assign runner %d to %s", t.RunnerID, t.AssignTo),
		rekey.StepProve:   "prove it",
		rekey.StepSettle:  settling(t),
	}
	if t.Remedy == rekey.RemedyOverlap {
		text = overlapText(t)
	}
	if t.Host != "" {
		text = rolloutText(t)
	}
	if t.Store != nil {
		text[rekey.StepTry] = "write " + t.Store.Ref + " once more as it is"
		text[rekey.StepStore] = "put it into " + t.Store.Ref
	}
	var steps []rekey.Step
	for _, k := range t.Order() {
		steps = append(steps, rekey.Step{Kind: k, Text: text[k]})
	}
	return steps
}

func overlapText(t rekey.Target) map[rekey.StepKind]string {
	sections := "its section"
	if n := len(t.Also); n > 0 {
		sections = fmt.Sprintf("its section in %d configs", n+1)
	}
	return map[rekey.StepKind]string{
		rekey.StepCreate:   "create a second record" + at(t),
		rekey.StepDeliver:  "add " + sections,
		rekey.StepReload:   "reload gitlab-runner (SIGHUP, or the newer mtime)",
		rekey.StepProve:    "prove it",
		rekey.StepSettle:   "give it the tags and attributes",
		rekey.StepHandover: fmt.Sprintf("see every online manager of runner %d on it", t.RunnerID),
		rekey.StepPause:    fmt.Sprintf("pause runner %d", t.RunnerID),
		rekey.StepDrain:    "wait for its jobs",
		rekey.StepSwap:     "let the new section take the old one's place",
		rekey.StepRetire:   fmt.Sprintf("delete runner %d", t.RunnerID),
	}
}

func settling(t rekey.Target) string {
	if t.Remedy == rekey.RemedyCreate || t.Remedy == rekey.RemedyAppend {
		return "give the record its real tags and attributes"
	}
	return "take the canary's tag off again"
}

func at(t rekey.Target) string {
	if t.Attributes == nil || t.Attributes.Owner.ID == 0 {
		return " for the instance"
	}
	return fmt.Sprintf(" for the %s %s", t.Attributes.Scope, t.Attributes.Owner.Path)
}

func fields(t rekey.Target) string {
	switch t.Remedy {
	case rekey.RemedyURL:
		return "url to " + t.NewURL
	case rekey.RemedyRewrite:
		return "token, freed of what surrounds it"
	}
	return "id, token and both dates"
}
