package upgrade

import (
	"fmt"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/fleet"
)

// runnerVersion is the gitlab-runner of this host's manager, else of the manager
// that contacted GitLab last; zero when GitLab told neither.
func runnerVersion(s diagnose.Section) rekey.Version {
	if s.Record.Lookup != diagnose.LookupFound {
		return rekey.Version{}
	}
	for _, m := range s.Record.Managers {
		if s.SystemID != "" && m.SystemID == s.SystemID {
			v, _ := rekey.ParseVersion(m.Version)
			return v
		}
	}
	v, _ := rekey.ParseVersion(s.Record.Runner.Version)
	return v
}

// judgeRunner compares gitlab-runner with the GitLab to come, and says what an
// older one loses there that it does not lose today.
func (c *council) judgeRunner(s diagnose.Section, server *diagnose.Server) []Reason {
	runner := runnerVersion(s)
	if runner.IsZero() {
		c.unread++
		return nil
	}
	list := []Reason{c.fit(runner)}
	if server == nil || server.Version.IsZero() {
		return list
	}
	for _, row := range fleet.Changes() {
		if row.AppliesTo(runner, c.target) && !row.AppliesTo(runner, server.Version) {
			list = append(list, because(row, Deprecated, "gitlab-runner %s: %s", runner, row.Says))
		}
	}
	return list
}

// fit grades the pair by GitLab's policy. GitLab refuses no version, so nothing
// breaks by the distance alone; beyond a major version nobody promises anything.
func (c *council) fit(runner rekey.Version) Reason {
	r := Reason{Slug: string(rekey.VersionSkew), Effect: Fine, Source: fleet.Policy}
	pair := fmt.Sprintf("gitlab-runner %s at GitLab %s", runner, version(c.target))
	switch behind := c.target.Major - runner.Major; {
	case behind == 1:
		r.Effect = Deprecated
		r.Text = pair + " is a major version behind: GitLab says that it may work, and refuses no version; raise gitlab-runner along with it"
	case behind > 1:
		r.Effect = Unknown
		r.Text = fmt.Sprintf("%s is %d major versions behind: it may work, and GitLab promises nothing; raise gitlab-runner first, a newer one works at an older GitLab", pair, behind)
	case behind < 0:
		r.Text = pair + " is newer: GitLab ignores what it does not know"
	case runner.Minor == c.target.Minor:
		r.Text = pair + " is the pair that GitLab wants"
	default:
		r.Text = pair + ": minor versions of one major go together"
	}
	return r
}

// pollsAMinute is how often a manager asks for jobs at gitlab-runner's default
// check_interval of 3 seconds.
const pollsAMinute = 20

// limitAMinute is GitLab's default of runner_jobs_request_api_limit.
const limitAMinute = 2000

// judgeRecord looks at what GitLab shows of the runner's record.
func (c *council) judgeRecord(s diagnose.Section, server *diagnose.Server) []Reason {
	if s.Record.Lookup != diagnose.LookupFound {
		return nil
	}
	var list []Reason
	r := s.Record.Runner
	if row := fleet.ChangeOf("orphans-refused"); c.begins(row, server) &&
		(r.Scope == rekey.ScopeProject && len(r.Projects) == 0 || r.Scope == rekey.ScopeGroup && len(r.Groups) == 0) {
		list = append(list, because(row, Unknown, "GitLab shows no %s of runner %d: either the user token may not see it, or it is gone, and then %s", r.Scope, r.ID, row.Says))
	}
	online := 0
	for _, m := range s.Record.Managers {
		if m.Status == "online" {
			online++
		}
	}
	if row := fleet.ChangeOf("runner-api-limits"); c.begins(row, server) && online*pollsAMinute > limitAMinute {
		list = append(list, because(row, Unknown, "%d managers are online with this token, and ask about %d times a minute at the default check_interval: %s (%d a minute by default)", online, online*pollsAMinute, row.Says, limitAMinute))
	}
	return list
}
