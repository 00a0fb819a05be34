package diagnose

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// judgeValid looks at a section whose token GitLab accepts for what may still
// keep it from working as meant. Nothing here speaks against the token.
func (c *court) judgeValid(s *section) {
	if past, _ := s.expired(); past {
		s.found(rekey.TokenExpired, rekey.Warning, rekey.Certain, s.datePast(), s.stillAccepted()).Remedy =
			"Correct `token_expires_at` in the section (`rekey fix` writes token and dates together): gitlab-runner's own timer acts on the stale date and would rotate the token."
	}
	s.judgeSuffix()
	s.judgeDelay()
	s.judgeScope(c.Expect)
	s.judgeOwner()
	s.judgeIdle()
	s.judgeVersions()
	s.judgeRotation()
	s.judgeSharers()
	s.doubtRecord()
	c.judgeHolders(s)
	if s.record() == nil {
		s.tellValidRight()
	}
}

// doubtRecord lessens what was said by the record of the file's id where it may be
// another runner's: the probe of 18.7 and later tells no id, and whoever pastes the
// token of a new runner by hand leaves the old id.
func (s *section) doubtRecord() {
	if s.record() == nil || s.Answer.RunnerID != 0 || s.hasOwnManager() {
		return
	}
	foreign, doubtful := s.foreignRecord()
	if !doubtful {
		return
	}
	for i := range s.findings {
		f := &s.findings[i]
		if !slices.ContainsFunc(f.Evidence, func(e rekey.Evidence) bool { return e.Where == foreign.Where }) {
			continue
		}
		f.Confidence = rekey.Possible
		if f.Severity == rekey.Failing {
			f.Severity = rekey.Warning
		}
		f.Evidence = append(f.Evidence, foreign,
			missing("whether runner %d is this token's would decide: its page in GitLab shows the first characters of its token; the section's `id` may be an older runner's", s.RunnerID))
	}
}

func (s *section) stillAccepted() rekey.Evidence {
	if at := s.Answer.ExpiresAt; !at.IsZero() {
		return s.inAnswer("GitLab accepts the token and says that it expires %s", day(at))
	}
	return s.inAnswer("GitLab accepts the token")
}

// judgeMaintenance tells of maintenance mode where the answer about the token does
// not show it: a request that reads is let through, a runner's for a job is not.
func (s *section) judgeMaintenance() {
	if s.server == nil || !s.server.Maintenance || hasCause(s.findings, rekey.ServerReadOnly) {
		return
	}
	s.found(rekey.ServerReadOnly, rekey.Warning, rekey.Certain,
		s.evidence("GET "+s.server.URL+"/api/v4/application/settings", s.server.ReadAt, "the setting maintenance_mode is on: no runner gets a job meanwhile")).Remedy =
		"Wait until GitLab takes writes again: the runners resume by themselves. The token is not the matter."
}

// judgeDelay tells of a fresh token that GitLab refused first and accepted when it
// was asked again: nothing is left to do.
func (s *section) judgeDelay() {
	if first := s.Earlier; first.Kind == rekey.AnswerRefused {
		s.found(rekey.NotPropagated, rekey.Info, rekey.Certain,
			s.inAnswer("GitLab refused this token at first and accepted it %s later, as it was new (obtained %s)", s.Answer.At.Sub(first.At).Round(100*time.Millisecond), day(s.ObtainedAt)),
			s.inFile("`token_obtained_at` is %s", day(s.ObtainedAt)))
	}
}

// judgeSuffix tells of the "/ci" of GitLab's first years, which gitlab-runner
// still cuts off.
func (s *section) judgeSuffix() {
	u, err := url.Parse(s.URL)
	if err != nil || !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/ci") {
		return
	}
	s.found(rekey.WrongInstance, rekey.Warning, rekey.Certain,
		s.inFile("`url` is %s; gitlab-runner cuts the `/ci` off, so it works", shownURL(s.URL))).Remedy =
		"Remove `/ci` from the end of `url`, then run `rekey doctor` again."
}

// judgeScope compares the runner with what the operator says it is meant for.
func (s *section) judgeScope(e Expectation) {
	scope, seen := s.scope()
	if e.Scope != "" {
		switch {
		case scope == "":
			s.tellRight("whether the runner is of scope " + string(e.Scope))
		case scope != e.Scope:
			s.found(rekey.WrongScope, rekey.Failing, rekey.Certain, seen, missing("what is meant is scope %s", e.Scope))
		}
	}
	if e.Project != "" && scope != rekey.ScopeInstance {
		s.judgeProject(e.Project)
	}
}

// scope is the runner's scope by its record, else by the token's text.
func (s *section) scope() (rekey.Scope, rekey.Evidence) {
	if r := s.record(); r != nil && r.Runner.Scope != "" {
		return r.Runner.Scope, s.inRecord("runner %d is of scope %s", r.Runner.ID, r.Runner.Scope)
	}
	hint := s.token.Lexical().Scope
	return hint, s.inFile("the text of %s says that its runner is of scope %s", s.token, hint)
}

// judgeProject judges whether the runner serves a project: one it is assigned to,
// or any below its group. GitLab lists only what the user token's owner may see.
func (s *section) judgeProject(project string) {
	r := s.record()
	if r == nil {
		s.tellRight("whether the runner serves project " + project)
		return
	}
	serves, known := serving(r.Runner, project)
	switch {
	case serves:
	case !known:
		s.cannotTell("Whether the runner serves project %s was not told: GitLab showed neither its projects nor the paths of its groups; give the project's path, and a user token whose owner may see them.", project)
	default:
		s.found(rekey.WrongScope, rekey.Failing, rekey.Likely,
			s.inRecord("runner %d serves %s, as far as the user token may see", r.Runner.ID, served(r.Runner)),
			missing("what is meant is project %s; that project's list of runners (Settings > CI/CD > Runners) would make it certain, as a user token shows only what its owner may see", project))
	}
}

// serving reports whether the runner serves project, a path or an id, and whether
// the record tells.
func serving(r rekey.Runner, project string) (serves, known bool) {
	project = strings.Trim(project, "/")
	id, errID := strconv.ParseInt(project, 10, 64)
	switch r.Scope {
	case rekey.ScopeInstance:
		return true, true
	case rekey.ScopeGroup:
		for _, g := range r.Groups {
			if g.Path != "" && errID != nil {
				known = true
				if strings.HasPrefix(strings.ToLower(project), strings.ToLower(g.Path)+"/") {
					return true, true
				}
			}
		}
		return false, known
	}
	for _, p := range r.Projects {
		if errID == nil && p.ID == id || strings.EqualFold(p.Path, project) {
			return true, true
		}
	}
	return false, len(r.Projects) > 0
}

func served(r rekey.Runner) string {
	refs, what := r.Projects, "project"
	if r.Scope == rekey.ScopeGroup {
		refs, what = r.Groups, "group"
	}
	var names []string
	for _, ref := range refs[:min(len(refs), 5)] {
		name := ref.Path
		if name == "" {
			name = strconv.FormatInt(ref.ID, 10)
		}
		names = append(names, what+" "+name)
	}
	if more := len(refs) - len(names); more > 0 {
		names = append(names, strconv.Itoa(more)+" more")
	}
	return strings.Join(names, ", ")
}

// judgeOwner tells of an accepted token whose record lost its group or project:
// the probe of 18.7 and later does not look at the owner, and requests for jobs are
// refused all the same (422 or 403 in 17.x to 18.x).
func (s *section) judgeOwner() {
	r := s.record()
	if r == nil || s.server == nil || s.server.Version.Major < 17 || s.server.Version.Major > 18 {
		return
	}
	what := "group"
	switch {
	case r.Runner.Scope == rekey.ScopeGroup && len(r.Runner.Groups) == 0:
	case r.Runner.Scope == rekey.ScopeProject && len(r.Runner.Projects) == 0:
		what = "project"
	default:
		return
	}
	s.found(rekey.RunnerOrphaned, rekey.Failing, rekey.Likely,
		s.inRecord("runner %d is a %s runner and GitLab shows no %s that it belongs to", r.Runner.ID, what, what),
		missing("`Runner is orphaned` as answer to its request for jobs, in gitlab-runner's log, would make it certain"))
}

// judgeIdle tells what in the record keeps jobs from a runner that is well.
func (s *section) judgeIdle() {
	record := s.record()
	if record == nil {
		return
	}
	r := record.Runner
	if r.Paused || r.Status == "paused" {
		s.found(rekey.OnlineButIdle, rekey.Warning, rekey.Certain, s.inRecord("runner %d is paused: it gets no job; its token is good", r.ID))
	}
	var seen []rekey.Evidence
	if r.Locked && r.Scope == rekey.ScopeProject {
		seen = append(seen, s.inRecord("runner %d is locked to the projects it is assigned to", r.ID))
	}
	if r.AccessLevel == "ref_protected" {
		seen = append(seen, s.inRecord("runner %d takes jobs of protected branches and tags only", r.ID))
	}
	if !r.RunUntagged {
		seen = append(seen, s.inRecord("runner %d takes no job without tags; its tags are: %s", r.ID, strings.Join(r.Tags, ", ")))
	}
	if len(seen) > 0 {
		seen = append(seen, missing("the job that waits would decide: `rekey doctor --job URL` compares its tags and its ref with these settings"))
		s.found(rekey.OnlineButIdle, rekey.Info, rekey.Possible, seen...)
	}
}
