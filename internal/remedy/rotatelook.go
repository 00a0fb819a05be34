package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// found is what GitLab says of the record of a token that is to be rotated.
type found struct {
	record    rekey.Runner
	expired   bool
	elsewhere []string // online managers that are reached through a store alone
}

// look asks whose token it is and who uses it. It fails closed: a record that is
// not shown to be this token's is not touched.
func (p *RotationPlanner) look(ctx context.Context, gl GitLab, h held, t *rekey.Target) (found, choice) {
	expires := h.first().ExpiresAt
	f := found{expired: !expires.IsZero() && expires.Before(p.Now())}
	if c := p.verified(ctx, h, t, f.expired); c.why != "" {
		return f, c
	}
	var err error
	f.record, err = gl.Runner(ctx, t.RunnerID)
	if c := unreadable(t.RunnerID, err); c.why != "" {
		return f, c
	}
	if tool := recordKeeper(f.record); tool != "" {
		return f, leave(fmt.Sprintf("rotate it there (terraform apply -replace=… does for Terraform), then bring the new token here with `rekey fix --token-file`; --strategy does not change that: %s's state would be stale either way", tool),
			"runner %d says that %s keeps it", t.RunnerID, tool)
	}
	managers, known, err := gl.Managers(ctx, t.RunnerID)
	if err != nil {
		return f, leave("run `rekey rotate` again when GitLab answers", "who uses runner %d cannot be told: %v", t.RunnerID, err)
	}
	if p.Release != nil && known {
		if c := p.aloneInCluster(t.RunnerID, managers); c.why != "" {
			return f, c
		}
		return f, p.inTime(f.record)
	}
	own := p.own(h)
	if p.Flags.Stored && known {
		f.elsewhere = onlineBeside(managers, own)
		return f, choice{}
	}
	return f, p.alone(t.RunnerID, f.record, managers, known, own, h)
}

func unreadable(id rekey.RunnerID, err error) choice {
	switch {
	case err == nil:
		return choice{}
	case rekey.KindOf(err) == rekey.KindNotFound:
		return leave("`rekey fix` repairs the section", "GitLab has no runner %d: there is no token to rotate", id)
	}
	return leave(rekey.HintOf(err), "runner %d cannot be read: %v", id, err)
}

func (p *RotationPlanner) own(h held) []rekey.SystemID {
	var own []rekey.SystemID
	for _, s := range h.sections {
		if id := p.Host.SystemID(s.Config); id != "" && !slices.Contains(own, id) {
			own = append(own, id)
		}
	}
	return own
}

// alone refuses while a manager uses the record whose config was not given.
func (p *RotationPlanner) alone(id rekey.RunnerID, r rekey.Runner, managers []rekey.Manager, known bool, own []rekey.SystemID, h held) choice {
	if !known && (r.Online == nil || !*r.Online) {
		return choice{}
	}
	if !known {
		return leave(fmt.Sprintf("stop gitlab-runner and try again after %s", r.ContactedAt.Add(onlineFor).UTC().Format("15:04 UTC")),
			"whether others use runner %d cannot be told: GitLab before 17.1 does not name managers", id)
	}
	others := onlineBeside(managers, own)
	if len(others) == 0 {
		return choice{}
	}
	next := "give the configs of all its hosts together, one --config for each of this machine and one --host ssh:// for each other host: the new token then goes to all of them"
	if len(own) < len(h.sections) {
		next = "a host without a readable .runner_system_id cannot be told from others; put it beside the config, or give all configs"
	}
	return leave(next+". A manager that is gone counts as online for two hours after its last contact",
		"runner %d is used by %s too, which would be locked out", id, strings.Join(others, ", "))
}

// onlineBeside names the online managers besides own.
func onlineBeside(managers []rekey.Manager, own []rekey.SystemID) (others []string) {
	for _, m := range managers {
		if m.Status == "online" && !slices.Contains(own, m.SystemID) {
			others = append(others, fmt.Sprintf("%s (last contact %s)", m.SystemID, m.ContactedAt.UTC().Format(time.RFC3339)))
		}
	}
	return others
}

// verified asks GitLab whose token it is.
func (p *RotationPlanner) verified(ctx context.Context, h held, t *rekey.Target, expired bool) choice {
	s := h.first()
	a := p.Probe(ctx, Question{Config: s.Config, TLS: tlsOf(s.Section), URL: s.URL, Token: h.token, SystemID: p.Host.SystemID(s.Config), Verify: true})
	switch {
	case a.Verdict() == rekey.Invalid && expired && t.RunnerID != 0:
		return choice{}
	case a.Verdict() == rekey.Invalid:
		return leave("`rekey fix` repairs the section", "GitLab refuses this token: there is nothing to rotate")
	case a.Verdict() != rekey.Valid:
		return leave("run `rekey rotate` again when GitLab answers", "whether the token is good is unknown: %s", a.Message)
	case a.RunnerID == 0 && p.Host.SystemID(s.Config) == "":
		return leave("start gitlab-runner once, or run rekey as a user who may read that file", "whose token this is cannot be asked: no .runner_system_id beside %s can be read", s.Config)
	case a.RunnerID == 0:
		return leave("a GitLab that can be asked for its id by POST /runners/verify is needed", "whose token this is GitLab does not tell")
	case t.RunnerID != 0 && a.RunnerID != t.RunnerID:
		return leave("correct the id in the file; `rekey doctor` says more", "the section says id %d, and its token is of runner %d", t.RunnerID, a.RunnerID)
	}
	t.RunnerID = a.RunnerID
	return choice{}
}

// scaled are the executors whose machines are kept by the token of their section
// (to 19.1) or its url and id: two sections prune each other's machines.
var scaled = map[string]string{
	"docker-autoscaler": "a second scaler on one group of machines prunes the first one's",
	"instance":          "a second scaler on one group of machines prunes the first one's",
	"docker+machine":    "machine names carry the token: idle machines of the old one would be orphaned, and cost money",
}

// strategy chooses the way.
func (p *RotationPlanner) strategy(h held, f found, t rekey.Target) (rekey.Remedy, choice) {
	for _, s := range h.sections {
		why, kept := scaled[s.Executor]
		switch {
		case kept && p.Flags.Strategy != rekey.RemedyReset:
			return "", leave("pause the runner, wait until it is idle, then `rekey rotate --strategy in-place`", "no overlap with the executor %s: %s", s.Executor, why)
		case kept && (f.record.Busy == nil || *f.record.Busy):
			return "", leave("pause the runner and wait until it is idle", "a token of the executor %s is not changed while jobs run, or may run", s.Executor)
		case kept && !f.record.Paused && !f.expired:
			return "", leave(fmt.Sprintf("pause runner %d, wait until it is idle, rotate it and let it go on", t.RunnerID),
				"runner %d is not paused: a job could begin at any moment, and a token of the executor %s is not changed while jobs run", t.RunnerID, s.Executor)
		}
	}
	switch {
	case p.Release != nil && (p.Flags.Strategy == rekey.RemedyReset || len(h.sections) > 1):
		return "", leave("leave --strategy away", "in a cluster a reset would have every pod refused until the rollout is over")
	case p.Release != nil:
		return rekey.RemedyRollout, choice{}
	case p.Flags.Strategy != "":
		return p.Flags.Strategy, choice{}
	case f.expired:
		return rekey.RemedyReset, choice{} // nobody can use it: its record keeps its id
	}
	return rekey.RemedyOverlap, choice{}
}

// allowed checks rights and room, and fills the attributes in.
func (p *RotationPlanner) allowed(ctx context.Context, h held, f found, t *rekey.Target) choice {
	a, c := copyOf(f.record)
	if c.why != "" {
		return c
	}
	t.Attributes, t.AllJobs = a, p.Admin(t.GitLab)
	if c := p.scopes(*t); c.why != "" || !retiring(t.Remedy) {
		return c
	}
	inPlace := "`rekey rotate --strategy in-place` resets the token instead"
	switch {
	case a.Scope == rekey.ScopeInstance && !p.Admin(t.GitLab):
		return leave("use the token of an administrator, with read_user, read_api or api, so that this can be seen; or, with manage_runner of an administrator: "+inPlace,
			"runner %d is an instance runner: only an administrator can make another, and that this user is one is not known", t.RunnerID)
	case len(a.Tags) > tagLimit:
		return leave(inPlace, "runner %d has %d tags, and GitLab takes %d of a new record", t.RunnerID, len(a.Tags), tagLimit)
	case f.record.Busy == nil && !t.AllJobs:
		return leave("use the token of an administrator, who sees every job, or: "+inPlace,
			"when the jobs of runner %d have ended could not be told: this GitLab says so only to an administrator", t.RunnerID)
	}
	for _, s := range h.sections {
		if p.Release != nil {
			break // nothing is added to a file
		}
		if _, err := s.doc.Duplicate(map[int]configtoml.Change{s.Place.Index: {Name: &s.Place.Name}}); err != nil {
			return leave(rekey.HintOf(err)+"; or: "+inPlace, "%s cannot have a second section: %v", s.Config, err)
		}
	}
	if why := p.noRoom(ctx, t); why != "" {
		return leave("delete runners that are not used (`rekey runner prune`), or: "+inPlace, "%s", why)
	}
	return choice{}
}

// copyOf returns the attributes of a record for its successor.
func copyOf(r rekey.Runner) (*rekey.Attributes, choice) {
	a := &rekey.Attributes{Scope: r.Scope, Description: r.Description, Tags: r.Tags, RunUntagged: r.RunUntagged,
		Locked: r.Locked, Paused: r.Paused, AccessLevel: r.AccessLevel, MaximumTimeout: r.MaximumTimeout,
		MaintenanceNote: r.MaintenanceNote, Source: fmt.Sprintf("runner %d", r.ID)}
	switch {
	case r.Scope == rekey.ScopeGroup && len(r.Groups) > 0:
		a.Owner = r.Groups[0]
	case r.Scope == rekey.ScopeProject && len(r.Projects) > 0:
		a.Owner, a.Projects = r.Projects[0], r.Projects
	case r.Scope != rekey.ScopeInstance:
		return nil, leave("use a user token that may see it", "this user does not see the %s of runner %d", r.Scope, r.ID)
	}
	return a, choice{}
}

// scopes checks what the user token is known to lack.
func (p *RotationPlanner) scopes(t rekey.Target) choice {
	scopes, known := p.Rights(t.GitLab)
	if !known || slices.Contains(scopes, "api") {
		return choice{}
	}
	needed := []string{"manage_runner"}
	if retiring(t.Remedy) {
		needed = append(needed, "create_runner")
		if len(t.Attributes.Projects) > 1 {
			needed = []string{"api"} // POST /projects/:id/runners
		}
	}
	for _, scope := range needed {
		if !slices.Contains(scopes, scope) {
			return leave(fmt.Sprintf("make a token with %s (or api); it has %v", strings.Join(needed, " and "), scopes), "the user token lacks the scope %s", scope)
		}
	}
	return choice{}
}

// noRoom says which group or project has no room for one more runner. Each target
// of the plan takes one.
func (p *RotationPlanner) noRoom(ctx context.Context, t *rekey.Target) string {
	a := t.Attributes
	owners := a.Projects
	if a.Scope == rekey.ScopeGroup {
		owners = []rekey.Ref{a.Owner}
	}
	if p.Headroom == nil || a.Scope == rekey.ScopeInstance {
		return ""
	}
	for _, owner := range owners {
		free, known := p.Headroom(ctx, t.GitLab, a.Scope, owner)
		p.mu.Lock()
		p.taken[owner]++
		over := known && p.taken[owner] > free
		p.mu.Unlock()
		if over {
			return fmt.Sprintf("the %s %s has no room for a second record of runner %d: its plan limits registered runners", a.Scope, named(owner), t.RunnerID)
		}
	}
	return ""
}

// notes say what the rotation costs.
func (p *RotationPlanner) notes(h held, f found, t rekey.Target) []string {
	notes := []string{"a new token means cold caches; old docker volumes stay behind: gitlab-runner keys cache paths and volume names by the token"}
	if retiring(t.Remedy) {
		if p.Release != nil {
			notes = append(notes, p.rolloutNotes(t)...)
		} else {
			notes = append(notes, fmt.Sprintf("for a while two sections each take up to their `limit` of jobs, together no more than concurrent = %d", h.first().doc.Concurrent()))
		}
		if scopes, known := p.Rights(t.GitLab); known && !hasAny(scopes, "api", "read_api") {
			notes = append(notes, "the user token may not list runners: should GitLab's answer be lost, the record can only be found by hand, by its tag rekey-…")
		}
	} else {
		notes = append(notes, "polls are refused from the reset until gitlab-runner has loaded the config, a few seconds; running jobs go on")
		scopes, known := p.Rights(t.GitLab)
		notes = append(notes, lostResetNote(t, known && !hasAny(scopes, "api", "create_runner")))
	}
	if f.record.Scope == rekey.ScopeProject && !p.Admin(t.GitLab) {
		notes = append(notes, fmt.Sprintf("runner %d is assigned to the projects that this user may see (%d); only an administrator sees them all, and an assignment that is not seen is not carried over", f.record.ID, len(f.record.Projects)))
	}
	if t.Agents {
		notes = append(notes, agentsNote(f, t))
	}
	if n := len(t.Also); n > 0 {
		notes = append(notes, fmt.Sprintf("the new token goes to %d configs, each proved", n+1))
	}
	if at := ownRotation(h.obtained()); !at.IsZero() && !f.expired && !h.first().FeatureFlags[rotationSwitch] {
		notes = append(notes, fmt.Sprintf("gitlab-runner would rotate this token by itself at %s: this comes before", at.UTC().Format(time.RFC3339)))
	}
	return notes
}
