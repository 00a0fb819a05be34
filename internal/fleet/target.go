package fleet

import (
	"strconv"

	"rekey"
	"rekey/internal/lazyregexp"
)

// The versions that the table speaks of: GitLab's API for runners begins with the
// first, and what is announced ends with the last.
var (
	FirstTarget = v(15, 11)
	LastKnown   = v(20, 0)
)

// lastMinor is the last minor version of a major one: GitLab releases one a month,
// and a major one each May.
const lastMinor = 11

var targetPattern = lazyregexp.New(`^v?(\d{1,3})(?:\.(\d{1,3})(?:\.\d{1,4})?)?(?:-(?:ee|ce|pre|rc\d+)(?:\.\d+)?)?$`)

// ParseTarget reads the version of a GitLab to come: 18, 18.3, v18.3.1, 18.3.1-ee.
// The patch does not count. What is no version, a minor that GitLab does not
// release, and what lies before FirstTarget is KindInvalid.
func ParseTarget(text string) (rekey.Version, error) {
	m := targetPattern.FindStringSubmatch(text)
	if m == nil {
		return rekey.Version{}, rekey.Errorf(rekey.KindInvalid, "%q is not a version of GitLab", text).WithHint("write it as 18.0, v18.2.1 or 18")
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	target := v(major, minor)
	switch {
	case !target.AtLeast(FirstTarget.Major, FirstTarget.Minor):
		return rekey.Version{}, rekey.Errorf(rekey.KindInvalid, "GitLab %d.%d is too old to be judged: rekey knows GitLab from 15.11 on", major, minor).
			WithHint("upgrade to 15.11 first; GitLab's upgrade path leads over it")
	case minor > lastMinor:
		return rekey.Version{}, rekey.Errorf(rekey.KindInvalid, "there is no GitLab %d.%d: after %d.%d comes %d.0", major, minor, major, lastMinor, major+1).
			WithHint("write %d.0 for the next major version", major+1)
	case major > LastKnown.Major+1:
		return rekey.Version{}, rekey.Errorf(rekey.KindInvalid, "nothing is known of GitLab %d: rekey's table ends with %s", major, short(LastKnown)).
			WithHint("ask about %s, the last that GitLab has announced something for", short(LastKnown))
	}
	return target, nil
}

// ChangeOf returns the row of the version table with the given id. An id that is not in
// the table is a mistake in the program.
func ChangeOf(id string) Change {
	for _, row := range changes {
		if row.ID == id {
			return row
		}
	}
	panic("fleet: the version table has no row " + id)
}

// Crossed returns the server's rows that begin to hold on the way from one version
// to another, oldest first; none when either is unknown.
func Crossed(from, to rekey.Version) []Change {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	return crossed(from, to)
}
