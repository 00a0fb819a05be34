package iac

import (
	"cmp"
	"slices"

	"rekey"
)

// settle drops what stands in comments and in texts for people, what only leads up
// to another finding, and what was found twice.
func (j *judge) settle() []raised {
	strong := map[Slug]bool{}
	kept := j.found[:0]
	for _, r := range j.found {
		if !r.text && (within(j.f.comment, r.where.Start) || within(j.f.quiet, r.where.Start)) {
			continue
		}
		strong[r.slug] = strong[r.slug] || !r.weak
		kept = append(kept, r)
	}
	slices.SortStableFunc(kept, func(a, b raised) int {
		return cmp.Or(a.where.Start-b.where.Start, rank(a.slug)-rank(b.slug), boolOrder(a.weak, b.weak), boolOrder(a.info, b.info))
	})
	type place struct {
		slug Slug
		line int
	}
	seen := map[place]bool{}
	var final []raised
	for _, r := range kept {
		r.info = r.info || j.f.format == FormatDocument && r.slug != Hardcoded && r.slug != BrokenToken
		if r.weak {
			if strong[r.slug] {
				continue
			}
			r.info = true
		}
		p := place{r.slug, j.f.line(r.where.Start)}
		if r.slug == Placeholder && (seen[place{Hardcoded, p.line}]) {
			continue
		}
		if r.slug == Legacy && seen[place{RunnerInLegacy, p.line}] {
			continue
		}
		// several tokens on one line are several findings
		if seen[p] && (r.token.IsZero() || slices.ContainsFunc(final, func(o raised) bool {
			return o.slug == r.slug && o.token == r.token && j.f.line(o.where.Start) == p.line
		})) {
			continue
		}
		seen[p] = true
		final = append(final, r)
	}
	return final
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// severity is what a finding means for the server at hand.
func (t Target) severity(r raised) rekey.Severity {
	entry := entryOf(r.slug)
	if r.info {
		return rekey.Info
	}
	switch r.slug {
	case Legacy, RunnerInLegacy, ServerLegacy:
		switch {
		case t.RegistrationRefused && r.slug != RunnerInLegacy, t.GitLab.AtLeast(20, 0):
			return rekey.Failing
		case !t.GitLab.IsZero() && !t.GitLab.AtLeast(16, 0):
			return rekey.Info // the new flow is not there by default yet
		}
	}
	return entry.Severity
}
