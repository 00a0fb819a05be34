package app

import (
	"context"
	"errors"
	"strconv"

	"rekey"
	fleets "rekey/internal/fleet" // package app has a type fleet
	"rekey/internal/gitlab"
)

// PrunePlan lists what a prune would delete, and deletes nothing. unread counts
// records that GitLab gave no details of, with the first reason; they stay.
func (f *Fleet) PrunePlan(ctx context.Context, rule fleets.PruneRule) (plan fleets.PrunePlan, unread Overview, err error) {
	if err := rule.Check(); err != nil {
		return plan, unread, err
	}
	if err := f.scope(ctx, &rule); err != nil {
		return plan, unread, err
	}
	records, o, err := f.quiet(ctx, func(r fleets.Record) bool {
		spared := r.NeverContacted() && !rule.IncludeNeverContacted && rule.Scope == "" // a list does not tell whose a record is
		return r.OpenByList(f.now, rule.OlderThan) && !spared
	})
	if err != nil {
		return plan, o, err
	}
	return fleets.Prune(f.client.URL(), rule, records, f.now, f.ledger), o, nil
}

// scope names the group or project by the id that records have: paths move.
func (f *Fleet) scope(ctx context.Context, rule *fleets.PruneRule) error {
	switch {
	case f.in.Group != "":
		g, err := f.client.Group(ctx, f.in.Group)
		rule.Scope, rule.Owner = rekey.ScopeGroup, rekey.Ref{ID: g.ID, Path: g.Path}
		return err
	case f.in.Project != "":
		p, err := f.client.Project(ctx, f.in.Project)
		rule.Scope, rule.Owner = rekey.ScopeProject, rekey.Ref{ID: p.ID, Path: p.Path}
		return err
	}
	return nil
}

// PruneOutcome is what became of one candidate.
type PruneOutcome string

// The outcomes.
const (
	PruneDeleted PruneOutcome = "deleted"
	PruneGone    PruneOutcome = "gone"    // somebody else deleted it
	PruneSpared  PruneOutcome = "spared"  // the world moved
	PruneFailed  PruneOutcome = "failed"  // it stays
	PruneUnknown PruneOutcome = "unknown" // GitLab's answer was lost, and looking again told nothing
	PruneUntried PruneOutcome = "untried" // the prune ended before
)

// PruneResult is what became of one candidate, and why.
type PruneResult struct {
	Candidate fleets.Candidate
	Outcome   PruneOutcome
	Why       string
	Err       error
}

// Prune deletes what plan lists and nothing else, one by one. Each record is read
// again right before: seen since, changed, or not to be read at all, it stays.
// The end of ctx, an unreachable GitLab or a refused token end the prune; what was
// not tried is in the results too. report may be nil.
func (f *Fleet) Prune(ctx context.Context, plan fleets.PrunePlan, report func(done, total int)) []PruneResult {
	results := make([]PruneResult, len(plan.Delete))
	stopped := ""
	for i, c := range plan.Delete {
		if stopped == "" && ctx.Err() != nil {
			stopped = "interrupted"
		}
		if stopped != "" {
			results[i] = PruneResult{Candidate: c, Outcome: PruneUntried, Why: stopped}
			continue
		}
		results[i] = f.pruneOne(ctx, plan.Rule, c)
		if err := results[i].Err; err != nil && fatal(err) {
			stopped = "the prune ended at runner " + strconv.FormatInt(int64(c.Record.Runner.ID), 10)
		}
		if report != nil {
			report(i+1, len(plan.Delete))
		}
	}
	return results
}

// fatal reports whether the next record would fare no better.
func fatal(err error) bool {
	return rekey.KindOf(err) == rekey.KindUnavailable || errors.Is(err, gitlab.ErrTokenRefused) || errors.Is(err, gitlab.ErrScope)
}

func (f *Fleet) pruneOne(ctx context.Context, rule fleets.PruneRule, c fleets.Candidate) PruneResult {
	id := c.Record.Runner.ID
	now := f.client.Detail(ctx, id)
	switch {
	case gone(now.Err):
		return PruneResult{c, PruneGone, "somebody else deleted it", nil}
	case now.Err != nil:
		return PruneResult{c, PruneFailed, "it could not be looked at again", now.Err}
	}
	if why := rule.Recheck(c, recordOf(now), f.ledger); why != "" {
		return PruneResult{c, PruneSpared, why, nil}
	}
	err := f.client.DeleteRunnerUnchanged(ctx, id, now.ReadAt)
	switch {
	case err == nil:
		return PruneResult{c, PruneDeleted, c.Why, nil}
	case gone(err):
		return PruneResult{c, PruneGone, "somebody else deleted it", nil}
	case rekey.KindOf(err) == rekey.KindConflict:
		return PruneResult{c, PruneSpared, "the record was changed at this moment", nil}
	case gitlab.OutcomeUnknown(err):
		return f.observed(ctx, c, err)
	}
	return PruneResult{c, PruneFailed, "GitLab did not delete it", err}
}

// observed looks what became of a deletion whose answer was lost; it is not
// asked for again.
func (f *Fleet) observed(ctx context.Context, c fleets.Candidate, lost error) PruneResult {
	now := f.client.Detail(context.WithoutCancel(ctx), c.Record.Runner.ID)
	if gone(now.Err) {
		return PruneResult{c, PruneDeleted, c.Why + "; GitLab's answer was lost, and the record is gone", nil}
	}
	if now.Err == nil {
		return PruneResult{c, PruneUnknown, "GitLab's answer was lost; a moment later the record was still there", lost}
	}
	return PruneResult{c, PruneUnknown, "GitLab's answer was lost", lost}
}
