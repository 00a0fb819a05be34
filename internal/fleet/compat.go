package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"rekey"
)

// Fit is how a manager's version goes with a server's.
type Fit string

// The fits.
const (
	FitEqual   Fit = "equal"    // same major.minor, as GitLab wants it
	FitMinor   Fit = "works"    // same major: kept compatible
	FitMayWork Fit = "may work" // another major, or newer than the server
	FitUnknown Fit = "unknown"
)

// FitOf grades a pair by GitLab's policy; the server never refuses a version.
func FitOf(runner, server rekey.Version) Fit {
	switch {
	case runner.IsZero() || server.IsZero():
		return FitUnknown
	case runner.Major == server.Major && runner.Minor == server.Minor:
		return FitEqual
	case runner.Major == server.Major && runner.Minor < server.Minor:
		return FitMinor
	}
	return FitMayWork
}

// CompatLine is one version of gitlab-runner found in the fleet.
type CompatLine struct {
	Version  rekey.Version
	Text     string // as GitLab shows it; "" for unknown
	Managers int
	Online   int
	Runners  []rekey.RunnerID
	Now      Fit
	Then     Fit      // with the target; "" without one
	Changes  []Change // rows that hold with the target, else with the server
	New      []Change // those of them that do not hold with the server
}

// CompatPart is a part whose version GitLab does not tell.
type CompatPart struct {
	Component Component `json:"component"`
	Version   string    `json:"version"` // as given; "" when unknown
	Fit       Fit       `json:"fit"`
	Why       string    `json:"why"`
	Changes   []Change  `json:"changes"`
}

// Compat is the matrix of a fleet.
type Compat struct {
	Server, Target rekey.Version // Target is zero without one
	Lines          []CompatLine  // newest first, unknown last
	StaleManagers  int           // left out: nobody heard of them for long
	Untold         int           // records whose managers could not be read
	Parts          []CompatPart
	Crossed        []Change // of the server, between Server and Target
	Path           []string // what to do, in this order
}

// CompatInput is what is known of a fleet.
type CompatInput struct {
	Server, Target  rekey.Version
	Chart, Provider string // as the operator says; "" unknown
	Records         []Record
	Unread          int // records that could not be read
}

// Matrix compares a fleet with its server, and with the server that is to come.
// A target older than the server is KindInvalid.
func Matrix(in CompatInput) (Compat, error) {
	if !in.Target.IsZero() && !in.Target.AtLeast(in.Server.Major, in.Server.Minor) {
		return Compat{}, rekey.Errorf(rekey.KindInvalid, "the GitLab is %s already, and does not go back to %s", in.Server, in.Target)
	}
	c := Compat{Server: in.Server, Target: in.Target, Untold: in.Unread}
	found := map[string]*CompatLine{}
	for _, r := range in.Records {
		c.count(found, r)
	}
	for _, line := range found {
		c.grade(line)
		c.Lines = append(c.Lines, *line)
	}
	slices.SortFunc(c.Lines, func(a, b CompatLine) int {
		return cmp.Or(compare(b.Version, a.Version), cmp.Compare(a.Text, b.Text))
	})
	c.Crossed = crossed(in.Server, in.Target)
	c.Parts = []CompatPart{part(ComponentChart, in.Chart, c.last()), part(ComponentProvider, in.Provider, c.last())}
	c.Path = c.path()
	return c, nil
}

func compare(a, b rekey.Version) int {
	return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Patch, b.Patch))
}

// last is the server that counts: the one to come, else the present one.
func (c *Compat) last() rekey.Version {
	if c.Target.IsZero() {
		return c.Server
	}
	return c.Target
}

// count adds a record's managers. Where GitLab lists none (before 17.1) the
// record's own version is that of the manager contacted last.
func (c *Compat) count(found map[string]*CompatLine, r Record) {
	if r.NeverContacted() && len(r.Managers) == 0 {
		return
	}
	managers := r.Managers
	if !r.ManagersKnown {
		status := "offline"
		switch {
		case r.Stale():
			status = "stale"
		case r.Online():
			status = "online"
		}
		managers = []rekey.Manager{{Version: r.Runner.Version, Status: status}}
	}
	for _, m := range managers {
		if m.Status == "stale" {
			c.StaleManagers++
			continue
		}
		line := found[m.Version]
		if line == nil {
			line = &CompatLine{Text: m.Version}
			line.Version, _ = rekey.ParseVersion(m.Version)
			found[m.Version] = line
		}
		line.Managers++
		if m.Status == "online" {
			line.Online++
		}
		if !slices.Contains(line.Runners, r.Runner.ID) {
			line.Runners = append(line.Runners, r.Runner.ID)
		}
	}
}

func (c *Compat) grade(line *CompatLine) {
	line.Now = FitOf(line.Version, c.Server)
	slices.Sort(line.Runners)
	if !c.Target.IsZero() {
		line.Then = FitOf(line.Version, c.Target)
	}
	if line.Version.IsZero() {
		return
	}
	for _, row := range changes {
		if !row.AppliesTo(line.Version, c.last()) {
			continue
		}
		line.Changes = append(line.Changes, row)
		if !row.AppliesTo(line.Version, c.Server) {
			line.New = append(line.New, row)
		}
	}
}

// crossed are the server's own rows that begin to hold on the way to target.
func crossed(server, target rekey.Version) []Change {
	var list []Change
	for _, row := range changes {
		from := row.ServerFrom
		if row.Component == ComponentServer && !target.IsZero() && target.AtLeast(from.Major, from.Minor) && !server.AtLeast(from.Major, from.Minor) {
			list = append(list, row)
		}
	}
	return list
}

var partHow = map[Component]string{
	ComponentChart:    "which chart goes with which gitlab-runner is not in the table: `helm search repo -l gitlab/gitlab-runner` lists it, and the managers above show what the pods really run",
	ComponentProvider: "which provider goes with which GitLab is not in the table: see the provider's own changelog",
}

func part(c Component, version string, server rekey.Version) CompatPart {
	p := CompatPart{Component: c, Version: version, Fit: FitUnknown, Why: partHow[c], Changes: []Change{}}
	if version == "" {
		p.Why = fmt.Sprintf("GitLab knows no %ss: give its version with --%[1]s; %s", c, p.Why)
	}
	for _, row := range changes {
		if row.Component == c && (row.Level == LevelPlanned || server.AtLeast(row.ServerFrom.Major, row.ServerFrom.Minor)) {
			p.Changes = append(p.Changes, row)
		}
	}
	return p
}
