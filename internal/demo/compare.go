package demo

import (
	"context"
	"slices"
	"strings"
)

// lexical are the causes that the text of the file alone proves.
var lexical = []string{"registration-token-in-config", "malformed-token"}

// compare holds what doctor says of every section against what was planted.
// Findings of severity info are hints, not causes.
func (d *demo) compare(ctx context.Context, when string, truth []planted) error {
	got, err := d.doctorJSON(ctx)
	if err != nil {
		return err
	}
	if len(got.Sections) != len(truth) {
		d.fail("%s: %d sections, not %d", when, len(got.Sections), len(truth))
	}
	for _, want := range truth {
		found := false
		for _, s := range got.Sections {
			if s.Config != want.Config || s.Index != want.Index {
				continue
			}
			found = true
			var causes []string
			for _, f := range s.Findings {
				if f.Severity != "info" {
					causes = append(causes, f.Cause)
				}
			}
			if s.Verdict != want.Verdict || !sameSet(causes, want.Causes) {
				d.fail("%s: %s is %s with %v, but %s with %v was planted", when, want.Name, s.Verdict, causes, want.Verdict, want.Causes)
			}
		}
		if !found {
			d.fail("%s: %s is missing", when, want.Name)
		}
	}
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// noneRefused holds doctor to its first promise: a server that takes no writes
// says nothing about a token.
func (d *demo) noneRefused(ctx context.Context) error {
	got, err := d.doctorJSON(ctx)
	if err != nil {
		return err
	}
	for _, s := range got.Sections {
		if s.Verdict != "invalid" {
			continue
		}
		proved := slices.ContainsFunc(s.Findings, func(f struct{ Cause, Severity string }) bool { return slices.Contains(lexical, f.Cause) })
		if !proved {
			d.fail("in maintenance mode %s is called invalid (%v)", s.Name, s.Findings)
		}
	}
	return nil
}

// jobsRan asks the lab, not rekey, whether a job ran on each repaired runner.
func (d *demo) jobsRan(ctx context.Context) error {
	got, err := d.doctorJSON(ctx)
	if err != nil {
		return err
	}
	for _, want := range d.truth {
		if want.Left || len(want.Causes) == 0 {
			continue
		}
		for _, s := range got.Sections {
			if s.Config != want.Config || s.Index != want.Index {
				continue
			}
			ran, err := d.api.successes(ctx, s.RunnerID)
			if err != nil {
				return err
			}
			if ran == 0 && !d.keptDuplicate(want) {
				d.fail("no job ran on runner %d of %s (%s)", s.RunnerID, want.Name, strings.Join(want.Causes, ", "))
			}
		}
	}
	return nil
}

// keptDuplicate reports whether a section keeps the token that its twin gave up:
// nothing was repaired there.
func (d *demo) keptDuplicate(t planted) bool {
	if !slices.Contains(t.Causes, "duplicate-token") {
		return false
	}
	for _, other := range d.truth {
		if other.Config == t.Config && other.RunnerID == t.RunnerID && other.Index != t.Index {
			return t.Index < other.Index
		}
	}
	return false
}
