package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// settle gives the record its real attributes and reads them back. A record that
// was created is unlocked until its assignments are made: a locked one takes none.
func (e *Engine) settle(ctx context.Context, op *operation) (any, string, error) {
	a := op.target.Attributes
	if op.tagged == nil && (a == nil || !op.created()) {
		return nil, "", nil
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepSettle, rekey.PhaseIntent, nil, nil); err != nil {
		return nil, "", err
	}
	if !op.created() {
		return e.restoreTags(ctx, op, gl)
	}
	if err := e.removeOrphans(ctx, gl, op, op.issued.ID); err != nil && !isStop(err) {
		return nil, "", err
	}
	return e.dress(ctx, op, gl, a)
}

func (op *operation) created() bool {
	return op.done(rekey.StepCreate)
}

func (e *Engine) restoreTags(ctx context.Context, op *operation, gl GitLab) (any, string, error) {
	id := op.runnerID() // of a token that was given: not the section's old one
	now, err := gl.Runner(ctx, id)
	if err != nil {
		return nil, "", err
	}
	// Only the marker goes: tags that somebody changed meanwhile stay as they are.
	tags := slices.DeleteFunc(slices.Clone(now.Tags), func(t string) bool { return t == op.id.Marker() })
	if _, err := gl.UpdateRunner(ctx, id, rekey.RunnerEdit{Tags: &tags}); err != nil {
		return nil, "", err
	}
	return nil, fmt.Sprintf("runner %d has its own tags again", id), nil
}

// dress makes the assignments, then sets every attribute in one edit.
func (e *Engine) dress(ctx context.Context, op *operation, gl GitLab, a *rekey.Attributes) (any, string, error) {
	var missed []string
	for _, p := range a.Projects {
		if p.ID == a.Owner.ID {
			continue
		}
		if err := gl.AssignProject(ctx, fmt.Sprint(p.ID), op.issued.ID); err != nil && !e.isAssigned(ctx, gl, op.issued.ID, p) {
			missed = append(missed, fmt.Sprintf("%s (%v)", p.Path, err))
		}
	}
	edit := rekey.RunnerEdit{Description: &a.Description, Tags: &a.Tags, RunUntagged: &a.RunUntagged, Locked: &a.Locked, Paused: &a.Paused}
	if a.AccessLevel != "" {
		edit.AccessLevel = &a.AccessLevel
	}
	if _, err := gl.UpdateRunner(ctx, op.issued.ID, edit); err != nil {
		return nil, "", err
	}
	got, err := gl.Runner(ctx, op.issued.ID)
	if err != nil {
		return nil, "", err
	}
	if d := differences(got, a); d != "" {
		missed = append(missed, d)
	}
	return nil, settledText(op, missed), nil
}

func settledText(op *operation, missed []string) string {
	text := fmt.Sprintf("runner %d has its tags and attributes", op.issued.ID)
	if len(missed) > 0 {
		text += ", but for: " + strings.Join(missed, "; ")
		op.target.Notes = append(op.target.Notes, text)
	}
	return text
}

func (e *Engine) isAssigned(ctx context.Context, gl GitLab, id rekey.RunnerID, p rekey.Ref) bool {
	r, err := gl.Runner(ctx, id)
	return err == nil && assigned(r, fmt.Sprint(p.ID))
}

// differences compares what was read back with what was asked for.
func differences(got rekey.Runner, want *rekey.Attributes) string {
	var d []string
	if g, w := slices.Sorted(slices.Values(got.Tags)), slices.Sorted(slices.Values(want.Tags)); !slices.Equal(g, w) {
		d = append(d, fmt.Sprintf("tags are %v, not %v", g, w))
	}
	if got.RunUntagged != want.RunUntagged {
		d = append(d, fmt.Sprintf("run_untagged is %v", got.RunUntagged))
	}
	if got.Locked != want.Locked {
		d = append(d, fmt.Sprintf("locked is %v", got.Locked))
	}
	if got.Paused != want.Paused {
		d = append(d, fmt.Sprintf("paused is %v", got.Paused))
	}
	return strings.Join(d, ", ")
}
