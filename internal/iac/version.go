package iac

import (
	"fmt"
	"strconv"

	"rekey/internal/lazyregexp"
)

// pinned is what a place says of a version: of the runner's image, of the chart, of
// the provider.
type pinned struct {
	what         string
	where        view
	major, minor int
}

var (
	runnerImage = lazyregexp.New(`gitlab/gitlab-runner:(?:alpine-|ubuntu-|ubi-fips-)?v?([0-9]{1,2})\.([0-9]{1,2})`)
	pin         = lazyregexp.New(`^[~^>=<! ]*v?([0-9]{1,2})\.([0-9]{1,3})|^[~^>=<! ]*v?([0-9]{1,2})$`)
	open        = lazyregexp.New(`^\s*>=?\s`)
)

// images notes the versions of the runner's image.
func (f *file) images(v view) {
	for _, m := range runnerImage.FindAllSubmatchIndex(v.orig, -1) {
		major, _ := strconv.Atoi(string(v.orig[m[2]:m[3]]))
		minor, _ := strconv.Atoi(string(v.orig[m[4]:m[5]]))
		f.pins = append(f.pins, pinned{"gitlab-runner", v.sub(m[0], m[1]), major, minor})
	}
}

// pin notes a version that is written as a constraint; one that is open upwards
// says nothing.
func (f *file) pin(what string, where view) {
	m := pin.FindStringSubmatch(where.String())
	if m == nil || open.MatchString(where.String()) {
		return
	}
	major, _ := strconv.Atoi(m[1] + m[3])
	minor, _ := strconv.Atoi(m[2])
	f.pins = append(f.pins, pinned{what, where, major, minor})
}

// runner is the gitlab-runner that a version of the chart brings: 0.53 was made for
// 16.0, 0.65 for 17.0, 0.77 for 18.0, and one more for each release between.
func (p pinned) runner() (major, minor int, known bool) {
	switch {
	case p.what != "chart":
		return p.major, p.minor, true
	case p.major != 0 || p.minor < 41:
		return 14, 0, p.major == 0
	case p.minor >= 77:
		return 18, p.minor - 77, p.minor < 89
	case p.minor >= 65:
		return 17, p.minor - 65, true
	case p.minor >= 53:
		return 16, p.minor - 53, true
	}
	return 15, p.minor - 41, true
}

// versions judges the versions that are named: of the runner and the chart against
// the GitLab they are for, where that is known; of the provider against what the
// code uses.
func (j *judge) versions() {
	for _, p := range j.f.pins {
		major, minor, known := p.runner()
		target := j.target.GitLab
		switch {
		case p.what == "provider" && p.major < 16 && newResource.Match(j.f.raw):
			j.version(p, fmt.Sprintf("provider %d.%d, which has no gitlab_user_runner (16.2 is the first that has)", p.major, p.minor))
		case p.what == "provider" || target.IsZero() || !known:
		case target.AtLeast(20, 0) && (major < 15 || major == 15 && minor < 11):
			j.version(p, fmt.Sprintf("gitlab-runner %d.%d, which cannot use the tokens of created runners, the only ones that GitLab %d.%d has", major, minor, target.Major, target.Minor))
		case target.Major-major > 1 || major > target.Major:
			j.version(p, fmt.Sprintf("gitlab-runner %d.%d beside GitLab %d.%d: the two are made to be of one version, and a major apart at most", major, minor, target.Major, target.Minor))
		}
	}
}

var newResource = lazyregexp.New(`"gitlab_user_runner"`)

func (j *judge) version(p pinned, evidence string) {
	j.raise(raised{slug: VersionOutside, where: p.where.span(), value: p.where.span(), evidence: evidence})
}
