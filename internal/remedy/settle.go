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
	if !op.overlaps() || op.resumed || op.attempts(rekey.StepCreate) > 1 { // else the one creation was answered
		if err := e.removeOrphans(ctx, gl, op, op.issued.ID); err != nil && !isStop(err) {
			return nil, "", err
		}
	}
	return e.dress(ctx, op, gl, a)
}

func (op *operation) created() bool {
	return op.done(rekey.StepCreate)
}

// attempts returns how often a step was begun.
func (op *operation) attempts(step rekey.StepKind) int {
	n := 0
	for _, r := range op.journal.Records() {
		if r.Step == step && r.Phase == rekey.PhaseIntent {
			n++
		}
	}
	return n
}

func (e *Engine) restoreTags(ctx context.Context, op *operation, gl GitLab) (any, string, error) {
	id := op.runnerID() // of a token that was given: not the section's old one
	now, err := gl.Runner(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(now.Tags, op.id.Marker()) { // it never came to wear it, or somebody took it off
		return nil, "", nil
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
	refused := e.assignAll(ctx, op, gl)
	edit := rekey.RunnerEdit{Description: &a.Description, Tags: &a.Tags, RunUntagged: &a.RunUntagged, Locked: &a.Locked, Paused: &a.Paused}
	if a.AccessLevel != "" {
		edit.AccessLevel = &a.AccessLevel
	}
	got, err := gl.UpdateRunner(ctx, op.issued.ID, edit)
	if err == nil && !op.overlaps() { // the answer is read back from the record too
		got, err = gl.Runner(ctx, op.issued.ID)
	}
	if err != nil {
		return nil, "", err
	}
	op.settled = settled{Missed: differences(got, a)}
	for _, p := range unassigned(got, a) {
		op.settled.Unassigned = append(op.settled.Unassigned, "it is not assigned to "+named(p)+refused[p.ID])
	}
	return op.settled, op.settledText(), nil
}

// settled is what the settle step says in the journal: how the record differs
// from what it was to be.
type settled struct {
	Missed     []string `json:"missed,omitempty"`
	Unassigned []string `json:"unassigned,omitempty"`
}

// missed is what the new record still lacks: retire has made up for assignments.
func (op *operation) missed() []string {
	if op.done(rekey.StepRetire) {
		return op.settled.Missed
	}
	return slices.Concat(op.settled.Missed, op.settled.Unassigned)
}

func (op *operation) settledText() string {
	text := fmt.Sprintf("runner %d has its tags and attributes", op.issued.ID)
	if missed := op.missed(); len(missed) > 0 {
		text += ", but for: " + strings.Join(missed, "; ")
	}
	return text
}

// assignAll makes the assignments and returns why some could not be made, by the
// project's id. One that is there already is refused too: what counts is what is
// read back.
func (e *Engine) assignAll(ctx context.Context, op *operation, gl GitLab) map[int64]string {
	refused := map[int64]string{}
	for _, p := range op.target.Attributes.Projects {
		if p.ID == op.target.Attributes.Owner.ID {
			continue
		}
		if err := gl.AssignProject(ctx, fmt.Sprint(p.ID), op.issued.ID); err != nil {
			refused[p.ID] = fmt.Sprintf(" (%v)", err)
		}
	}
	return refused
}

// unassigned returns the projects that the record was to serve and does not.
func unassigned(got rekey.Runner, want *rekey.Attributes) []rekey.Ref {
	var missing []rekey.Ref
	for _, p := range want.Projects {
		if !assigned(got, fmt.Sprint(p.ID)) {
			missing = append(missing, p)
		}
	}
	return missing
}

func named(p rekey.Ref) string {
	if p.Path == "" {
		return fmt.Sprintf("project %d", p.ID)
	}
	return p.Path
}

// differences compares what was read back with what was asked for.
func differences(got rekey.Runner, want *rekey.Attributes) []string {
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
	if want.AccessLevel != "" && got.AccessLevel != want.AccessLevel {
		d = append(d, fmt.Sprintf("access_level is %s, not %s", got.AccessLevel, want.AccessLevel))
	}
	if got.MaximumTimeout != want.MaximumTimeout {
		d = append(d, fmt.Sprintf("maximum_timeout is %s, not %s", got.MaximumTimeout, want.MaximumTimeout))
	}
	if got.MaintenanceNote != want.MaintenanceNote {
		d = append(d, "the maintenance note is another")
	}
	if got.Description != want.Description {
		d = append(d, fmt.Sprintf("the description is %q, not %q", got.Description, want.Description))
	}
	return d
}
