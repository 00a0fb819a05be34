package diagnose

import (
	"cmp"
	"slices"

	"rekey"
)

// arrange merges findings of one cause, nests those that another explains, and
// sorts: gravest first, then surest, then by the registry. It returns a non-nil
// list, and so are the lists of evidence.
func arrange(findings []rekey.Finding) []rekey.Finding {
	roots := overruled(nest(merge(findings)))
	slices.SortStableFunc(roots, func(a, b rekey.Finding) int {
		return cmp.Or(
			compare(a.Severity != b.Severity, a.Severity.AtLeast(b.Severity)),
			cmp.Compare(confidenceRank[a.Confidence], confidenceRank[b.Confidence]),
			cmp.Compare(rank(a.Cause), rank(b.Cause)),
		)
	})
	return roots
}

var confidenceRank = map[rekey.Confidence]int{rekey.Certain: 0, rekey.Likely: 1, rekey.Possible: 2}

func compare(differ, before bool) int {
	switch {
	case !differ:
		return 0
	case before:
		return -1
	}
	return 1
}

// rivals are the causes of a refusal that exclude each other.
var rivals = []rekey.Cause{rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.TokenExpired, rekey.WrongInstance, rekey.ServerRestored, rekey.RotationNotSaved}

// overruled leaves out what is merely possible beside a cause that has evidence of its own
// and explains what the refusal would otherwise mean.
func overruled(findings []rekey.Finding) []rekey.Finding {
	strong := slices.ContainsFunc(findings, func(f rekey.Finding) bool {
		return f.Confidence != rekey.Possible && f.Severity == rekey.Failing && slices.Contains(entryOf(f.Cause).Explains, rekey.RotatedElsewhere)
	})
	if !strong {
		return findings
	}
	return slices.DeleteFunc(findings, func(f rekey.Finding) bool {
		return f.Confidence == rekey.Possible && slices.Contains(rivals, f.Cause)
	})
}

// merge leaves one finding per cause: the graver one's words, of equal ones the
// surer one's, and everything seen.
func merge(findings []rekey.Finding) []rekey.Finding {
	merged := make([]rekey.Finding, 0, len(findings))
	for _, f := range findings {
		i := slices.IndexFunc(merged, func(m rekey.Finding) bool { return m.Cause == f.Cause })
		if i < 0 {
			merged = append(merged, f)
			continue
		}
		first, second := merged[i], f
		if !first.Severity.AtLeast(second.Severity) || first.Severity == second.Severity && confidenceRank[second.Confidence] < confidenceRank[first.Confidence] {
			first, second = second, first
		}
		first.Evidence = append(slices.Clone(first.Evidence), missingFrom(first.Evidence, second.Evidence)...)
		merged[i] = first
	}
	return merged
}

func missingFrom(have, more []rekey.Evidence) []rekey.Evidence {
	return slices.DeleteFunc(slices.Clone(more), func(e rekey.Evidence) bool { return slices.Contains(have, e) })
}

// nest moves a finding into the because of one that explains it. What is both
// certain and worth a warning stands for itself: it would remain after the other
// is repaired.
func nest(findings []rekey.Finding) []rekey.Finding {
	roots := make([]rekey.Finding, 0, len(findings))
	var explained []rekey.Finding
	for _, f := range findings {
		if explainer(findings, f) == "" {
			roots = append(roots, f)
		} else {
			explained = append(explained, f)
		}
	}
	for _, f := range explained {
		cause := explainer(findings, f)
		i := slices.IndexFunc(roots, func(r rekey.Finding) bool { return r.Cause == cause })
		roots[i].Because = append(roots[i].Because, f)
	}
	return roots
}

// explainer is the cause among findings that explains f, "" when none does. The
// registry's relation is one level deep; a test holds it to that.
func explainer(findings []rekey.Finding, f rekey.Finding) rekey.Cause {
	if f.Confidence == rekey.Certain && f.Severity.AtLeast(rekey.Warning) {
		return ""
	}
	for _, g := range findings {
		if g.Severity == rekey.Failing && slices.Contains(entryOf(g.Cause).Explains, f.Cause) && !rival(g, f) {
			return g.Cause
		}
	}
	return ""
}

// rival reports whether g, being merely possible, stands beside f and not above it.
func rival(g, f rekey.Finding) bool {
	return g.Confidence == rekey.Possible && slices.Contains(rivals, g.Cause) && slices.Contains(rivals, f.Cause)
}
