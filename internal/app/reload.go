package app

import (
	"context"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/gitlab"
)

// nameReload writes into a plan how each config comes into force on its host, and
// leaves out what is done for a canary where there is none.
func (f *Fix) nameReload(ctx context.Context, plan *rekey.Plan) {
	texts := map[string]string{}
	for i := range plan.Targets {
		t := &plan.Targets[i]
		var all []string
		for _, config := range placeConfigs(*t) {
			text, known := texts[config]
			if !known {
				text = f.host.ReloadText(ctx, config, f.host.by)
				texts[config] = text
			}
			if far, _ := f.host.far.of(config); far != nil && len(t.Also) > 0 {
				text = far.name + ": " + text
			}
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
		if len(f.in.Proof.Canaries) == 0 && canaryOnly(*t) {
			t.Steps = slices.DeleteFunc(t.Steps, func(s rekey.Step) bool { return s.Kind == rekey.StepSettle })
		}
		text := strings.Join(all, "; ")
		for j := range t.Steps {
			if t.Steps[j].Kind == rekey.StepReload {
				t.Steps[j].Text = text
			}
		}
	}
}

// canaryOnly reports whether settling is for the canary's tag alone: no record is made
// whose attributes follow.
func canaryOnly(t rekey.Target) bool {
	switch t.Remedy {
	case rekey.RemedyReset, rekey.RemedyGiven, rekey.RemedyRewrite, rekey.RemedyURL, rekey.RemedyAssign:
		return true
	}
	return false
}

// nameSources says of each section that is left because a tool writes its config
// where that tool has the token from.
func (f *Fix) nameSources(plan *rekey.Plan) {
	for i := range plan.Left {
		l := &plan.Left[i]
		file, err := f.host.Host.Read(l.Config)
		if err != nil || file.Generated == "" || !strings.Contains(l.Reason, "is written by "+file.Generated) {
			continue
		}
		l.Next = f.host.SourceOf(file) + ". Or pass the rendered file's own path, if it is yours"
	}
}

// restable fails unless it is certain that the gitlab-runner of a config, which
// holds data, runs no job: neither of a section that it has nor of one that it had
// before this run's edits. What cannot be read is unknown, not idle.
func (h repairedHost) restable(ctx context.Context, config string, data []byte) error {
	doc, err := configtoml.Parse(data)
	if err != nil {
		return err
	}
	sections := doc.Sections()
	former, err := h.former.besides(config, sections)
	if err != nil {
		return err
	}
	for _, s := range append(sections, former...) {
		if err := h.idleSection(ctx, s); err != nil {
			return err
		}
	}
	h.former.rested(config, former)
	return nil
}

func (n *network) idleSection(ctx context.Context, s configtoml.Section) error {
	unknown := func(why string) error {
		return rekey.Errorf(rekey.KindUnavailable, "whether section %q runs a job is unknown: %s", s.Name, why)
	}
	c := n.clientFor(s.URL)
	switch {
	case s.ID == 0:
		return unknown("it has no runner id")
	case c == nil:
		return unknown("no user token for its GitLab is at hand")
	}
	busy, known, err := c.Busy(ctx, s.ID)
	switch {
	case err != nil:
		return unknown(err.Error())
	case busy:
		return rekey.Errorf(rekey.KindConflict, "runner %d (section %q) runs a job", s.ID, s.Name)
	case known:
		return nil
	}
	return n.idleList(ctx, c, s, unknown)
}

// idleList looks at the list of running jobs, where GitLab does not say whether a
// record is busy (before 17.2). It shows everybody but an administrator only the
// jobs of projects that he may see.
func (n *network) idleList(ctx context.Context, c *gitlab.Client, s configtoml.Section, unknown func(string) error) error {
	jobs, known, err := c.RunnerJobs(ctx, s.ID)
	switch {
	case err != nil:
		return unknown(err.Error())
	case len(jobs) > 0:
		return rekey.Errorf(rekey.KindConflict, "runner %d (section %q) runs job %d", s.ID, s.Name, jobs[0].ID)
	case !known:
		return unknown("this user may not list its jobs")
	}
	if user, err := c.WhoAmI(ctx); err != nil || !user.Admin {
		return unknown("this user sees the jobs of his own projects only")
	}
	return nil
}
