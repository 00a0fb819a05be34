package upgrade

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/fleet"
)

// Judge returns what target does to what f holds; today is diagnose.Judge of the
// same facts. It is a pure function.
func Judge(f diagnose.Facts, today diagnose.Report, target rekey.Version) *Report {
	c := &council{Facts: f, target: target, servers: map[string]*diagnose.Server{}}
	for i := range f.Servers {
		c.servers[f.Servers[i].URL] = &f.Servers[i]
	}
	r := &Report{Version: version(target), GitLab: []Server{}, Sections: []Section{}, Notes: []string{}}
	for _, s := range f.Servers {
		server := c.judgeServer(s)
		r.GitLab = append(r.GitLab, server)
		r.Summary.Effect = worse(r.Summary.Effect, server.Effect)
	}
	next := 0
	for _, conf := range f.Configs {
		for _, s := range conf.Sections {
			section := c.judgeSection(s, today.Sections[next])
			next++
			r.Sections = append(r.Sections, section)
			r.Summary.count(section.Effect)
		}
	}
	r.Notes = append(r.Notes, c.notes()...)
	return r
}

// council is what the judgement of one section may look at beyond it.
type council struct {
	diagnose.Facts
	target  rekey.Version
	servers map[string]*diagnose.Server
	unread  int // sections of which gitlab-runner's version is not known
}

func (c *council) judgeSection(s diagnose.Section, today diagnose.SectionReport) Section {
	out := Section{Config: s.Config, Index: s.Index, Effect: Fine, Reasons: []Reason{}}
	server := c.serverOf(s)
	add := func(list ...Reason) { out.Reasons = append(out.Reasons, list...) }
	add(c.judgeToken(s, server)...)
	add(c.judgeRunner(s, server)...)
	add(c.judgeText(s)...)
	add(c.judgeRecord(s, server)...)
	for _, r := range out.Reasons {
		out.Effect = worse(out.Effect, r.Effect)
	}
	if today.Verdict != rekey.Valid {
		add(notValid(today))
		if out.Effect == Fine {
			out.Effect = Unknown
		}
	}
	slices.SortStableFunc(out.Reasons, func(a, b Reason) int { return weight[b.Effect] - weight[a.Effect] })
	return out
}

// notValid says of a section that does not work today that no upgrade mends it.
func notValid(today diagnose.SectionReport) Reason {
	cause := "no cause was found"
	if len(today.Findings) > 0 {
		cause = string(today.Findings[0].Cause)
	}
	word := "does not work today"
	if today.Verdict == rekey.Unknown {
		word = "could not be checked today"
	}
	return Reason{Slug: "not-valid-today", Effect: Unknown, Text: fmt.Sprintf("its token %s (%s): see to that first, the upgrade does not mend it", word, cause), Source: "this diagnosis"}
}

// serverOf finds the GitLab of a section by its URL, as the collector did.
func (c *council) serverOf(s diagnose.Section) *diagnose.Server {
	address := s.URL
	if s.Expanded != nil {
		address = s.ExpandedURL
	}
	best := ""
	for base := range c.servers {
		if under(address, base) && len(base) > len(best) {
			best = base
		}
	}
	return c.servers[best]
}

// under reports whether an address is of the GitLab at base.
func under(address, base string) bool {
	a, errA := url.Parse(address)
	b, errB := url.Parse(base)
	if errA != nil || errB != nil || !strings.EqualFold(a.Hostname(), b.Hostname()) || !strings.EqualFold(a.Scheme, b.Scheme) || port(a) != port(b) {
		return false
	}
	path := strings.TrimRight(b.Path, "/")
	return path == "" || a.Path == path || strings.HasPrefix(a.Path, path+"/")
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
}

// judgeText looks at what config.toml says beside the token.
func (c *council) judgeText(s diagnose.Section) []Reason {
	var list []Reason
	if row := fleet.ChangeOf("url-ci-suffix"); c.holds(row) && strings.HasSuffix(strings.TrimRight(s.URL, "/"), "/ci") {
		list = append(list, because(row, Deprecated, "`url` ends in /ci: %s; write it without", row.Says))
	}
	row := fleet.ChangeOf("variables-expanded")
	if c.holds(row) && len(rekey.References(s.Token.Reveal()))+len(rekey.References(s.URL)) > 0 {
		effect, runner := Fine, runnerVersion(s)
		if !runner.IsZero() && !runner.AtLeast(row.ServerFrom.Major, row.ServerFrom.Minor) {
			effect = Deprecated // what it sends changes when gitlab-runner follows
		}
		list = append(list, because(row, effect, "`token` or `url` refers to the environment: %s", row.Says))
	}
	return list
}

// holds reports whether a row holds at the target.
func (c *council) holds(row fleet.Change) bool {
	return c.target.AtLeast(row.ServerFrom.Major, row.ServerFrom.Minor)
}

// begins reports whether a row holds at the target and does not hold yet.
func (c *council) begins(row fleet.Change, server *diagnose.Server) bool {
	return c.holds(row) && server != nil && !server.Version.IsZero() && !server.Version.AtLeast(row.ServerFrom.Major, row.ServerFrom.Minor)
}

// notes say what the judgement could not look at.
func (c *council) notes() []string {
	var notes []string
	for _, s := range c.Servers {
		switch {
		case s.Version.IsZero():
			notes = append(notes, fmt.Sprintf("the version of %s is not known, so what lies on the way to %s is not listed; a user token (scope read_api) tells it", s.URL, version(c.target)))
		case s.Version.AtLeast(c.target.Major, c.target.Minor) && version(s.Version) != version(c.target):
			notes = append(notes, fmt.Sprintf("%s is GitLab %s already, and a GitLab does not go back: its sections are judged as %s would judge them", s.URL, s.Version, version(c.target)))
		}
	}
	if c.unread > 0 {
		notes = append(notes, fmt.Sprintf("which gitlab-runner uses a section was not read for %d of them: GitLab tells it to a user token (scope read_api or manage_runner) once the host was in contact, and `gitlab-runner --version` does on the host; GitLab refuses no version", c.unread))
	}
	if c.target.AtLeast(fleet.LastKnown.Major, fleet.LastKnown.Minor) {
		notes = append(notes, fmt.Sprintf("what is said of GitLab %d.0 and later is what GitLab has announced; it has moved these dates before (16.0, 17.0, 18.0)", fleet.LastKnown.Major))
	}
	return notes
}
