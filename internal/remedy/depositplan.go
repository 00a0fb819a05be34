package remedy

import (
	"context"
	"fmt"

	"rekey"
)

// Deposit gives each target that makes a token the secret that the token goes into.
// A target whose secret cannot be read or written, or is another's, is left alone: no
// token is asked of GitLab for it. Two targets with one secret are refused together.
func Deposit(ctx context.Context, plan *rekey.Plan, stored func(context.Context, rekey.Target) (Stored, error)) error {
	secrets, errs := make([]Stored, len(plan.Targets)), make([]error, len(plan.Targets))
	forEach(plan.Targets, func(i int, t rekey.Target) {
		if issues(t.Remedy) {
			secrets[i], errs[i] = stored(ctx, t)
		}
	})
	var targets []rekey.Target
	owner := map[string]string{}
	for i, t := range plan.Targets {
		s := secrets[i]
		if err := errs[i]; err != nil {
			plan.Left = append(plan.Left, rekey.Left{Config: t.Config, Index: t.Index, Name: t.Name, Causes: t.Causes, Severity: rekey.Failing, Reason: err.Error(), Next: rekey.HintOf(err)})
			continue
		}
		if s.Ref == "" {
			targets = append(targets, t)
			continue
		}
		if other, taken := owner[s.Ref]; taken {
			return rekey.Errorf(rekey.KindInvalid, "the sections %q and %q would both put their token into %s", other, t.Name, s.Ref).
				WithHint("write {name} into the reference, or {host} too, so that each section has a secret of its own; or choose one section")
		}
		owner[s.Ref] = t.Name
		t.Store = &s.Deposit
		t.Steps, t.Notes = withStore(t), append(t.Notes, s.note(t)...)
		targets = append(targets, t)
	}
	plan.Targets = append([]rekey.Target{}, targets...)
	return ctx.Err()
}

// withStore are the target's steps with those of its secret between them: what was
// already said of a step, or that there is none, stays.
func withStore(t rekey.Target) []rekey.Step {
	said := map[rekey.StepKind]rekey.Step{}
	for _, step := range t.Steps {
		said[step.Kind] = step
	}
	var steps []rekey.Step
	for _, step := range describe(t) {
		before, known := said[step.Kind]
		switch {
		case known:
			steps = append(steps, before)
		case step.Kind == rekey.StepTry, step.Kind == rekey.StepStore, len(said) == 0:
			steps = append(steps, step)
		}
	}
	return steps
}

// issues reports whether a remedy brings a token into a section.
func issues(r rekey.Remedy) bool {
	switch r {
	case rekey.RemedyURL, rekey.RemedyAssign:
		return false
	}
	return true
}

func (s Stored) note(t rekey.Target) []string {
	notes := s.Notes
	switch {
	case s.Held.Token.IsZero():
		notes = append(notes, s.Ref+" holds nothing yet: the secret is made")
	case s.Holds != t.Before:
		notes = append(notes, fmt.Sprintf("%s holds another token (%s) than the section; it is sealed in the journal before it is written over", s.Ref, s.Held.Token))
	}
	return notes
}
