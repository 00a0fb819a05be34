package rekey

import (
	"fmt"
	"regexp"
	"strconv"
)

// Version is a GitLab or gitlab-runner version, told apart by major, minor and
// patch; "-ee", "-pre" and "~beta" suffixes do not count. The zero Version is
// unknown.
type Version struct{ Major, Minor, Patch int }

var versionPattern = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?(?:\D|$)`)

// ParseVersion reads the leading MAJOR.MINOR[.PATCH] of text.
func ParseVersion(text string) (Version, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return Version{}, Errorf(KindInvalid, "%q is not a version", text).WithHint("write it as 17.11 or 17.11.3")
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	patch, _ := strconv.Atoi(m[3])
	return Version{major, minor, patch}, nil
}

// IsZero reports whether the version is unknown.
func (v Version) IsZero() bool { return v == Version{} }

// AtLeast reports whether v is MAJOR.MINOR or later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// String returns MAJOR.MINOR.PATCH, "unknown" for the zero Version.
func (v Version) String() string {
	if v.IsZero() {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}
