package fleet

import (
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// path is what to do, in order. A newer runner works at an older
// server, which ignores fields that it does not know; an older runner at a newer
// server loses features. So what is a major behind comes first, then the server,
// then everybody to its version.
func (c *Compat) path() []string {
	var steps []string
	say := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if text := c.lines(func(l CompatLine) bool { return l.Version.IsZero() }); text != "" {
		say("Find out what the managers of unknown version run (%s): `gitlab-runner --version` on their hosts.", text)
	}
	behind := func(l CompatLine) bool { return !l.Version.IsZero() && l.Version.Major < c.Server.Major }
	if text := c.lines(behind); text != "" {
		say("Raise gitlab-runner to %s where it is a major version behind its server: %s.", short(c.Server), text)
	}
	if c.Target.IsZero() || short(c.Target) == short(c.Server) {
		return append(steps, c.finish(c.Server, behind)...)
	}
	for _, row := range c.Crossed {
		if row.Level == LevelBreaks || row.Level == LevelPlanned {
			say("Before GitLab %s: %s (%s).", short(row.ServerFrom), row.Says, row.Level)
		}
	}
	say("Raise GitLab from %s to %s, by the stops that GitLab's upgrade path tool names: they are not in rekey's table.", short(c.Server), short(c.Target))
	return append(steps, c.finish(c.Target, func(CompatLine) bool { return false })...)
}

// finish brings everybody who is not there yet, nor named before, to server's
// version.
func (c *Compat) finish(server rekey.Version, named func(CompatLine) bool) []string {
	var steps []string
	older := func(l CompatLine) bool {
		return !l.Version.IsZero() && !l.Version.AtLeast(server.Major, server.Minor) && !named(l)
	}
	newer := func(l CompatLine) bool {
		return l.Version.AtLeast(server.Major, server.Minor) && FitOf(l.Version, server) != FitEqual
	}
	if text := c.lines(older); text != "" {
		steps = append(steps, fmt.Sprintf("Raise gitlab-runner to %s: %s.", short(server), text))
	}
	if text := c.lines(newer); text != "" {
		steps = append(steps, fmt.Sprintf("Newer than GitLab %s, which may work: %s. Raise GitLab, or leave them.", short(server), text))
	}
	return steps
}

// lines names versions with the numbers of their managers.
func (c *Compat) lines(which func(CompatLine) bool) string {
	var list []string
	for _, l := range c.Lines {
		if which(l) {
			name := l.Text
			if l.Version.IsZero() {
				name = "unknown"
			}
			list = append(list, fmt.Sprintf("%s (%d)", name, l.Managers))
		}
	}
	slices.Reverse(list)
	return strings.Join(list, ", ")
}

func short(v rekey.Version) string {
	if v.IsZero() {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}
