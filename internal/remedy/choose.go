package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// choice is the remedy for one section, or why it is left alone.
type choice struct {
	remedy   rekey.Remedy
	newURL   string
	assignTo string
	scope    rekey.Scope // of the record to create, where it differs from the old one's
	notes    []string
	why      string // left alone
	next     string
}

func leave(next, format string, args ...any) choice {
	return choice{why: fmt.Sprintf(format, args...), next: next}
}

// choose finds the remedy for the gravest finding that has one. ok is false when
// nothing about the section calls for a repair.
func (p *Planner) choose(ctx context.Context, s diagnose.Section, r diagnose.SectionReport) (choice, bool) {
	if len(r.Findings) == 0 {
		return choice{}, false
	}
	if p.Flags.TokenGiven && r.Verdict != rekey.Valid && s.Token.Kind() != rekey.TokenReference {
		return choice{remedy: rekey.RemedyGiven}, true
	}
	var last choice
	any := false
	for _, f := range byGravity(r.Findings) {
		c, ok := p.chooseFor(ctx, f, s, r)
		if !ok {
			continue
		}
		if c.why == "" {
			return c, true
		}
		if !any {
			last, any = c, true
		}
	}
	return last, any
}

func byGravity(findings []rekey.Finding) []rekey.Finding {
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b rekey.Finding) int {
		switch {
		case a.Severity == b.Severity:
			return 0
		case a.Severity.AtLeast(b.Severity):
			return -1
		}
		return 1
	})
	return sorted
}

func (p *Planner) chooseFor(ctx context.Context, f rekey.Finding, s diagnose.Section, r diagnose.SectionReport) (choice, bool) {
	switch f.Cause {
	case rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.RotationNotSaved, rekey.TokenExpired, rekey.RegistrationTokenInConfig, rekey.RunnerOrphaned, rekey.MalformedToken:
		if c, ok := p.doubted(f, s, r); !ok {
			return c, true
		}
		if f.Cause == rekey.MalformedToken {
			return p.malformed(ctx, f, s), true
		}
		return p.reissue(f, s), true
	case rekey.WrongInstance:
		return p.url(f, s), r.Verdict != rekey.Valid
	case rekey.WrongScope:
		return p.scope(s), true
	case rekey.DuplicateToken:
		return p.duplicate(s, r)
	case rekey.ServerRestored:
		if p.Remembered != nil && r.Verdict == rekey.Invalid { // the operator has seen the comparison and asks for it
			return p.reissue(f, s), true
		}
	case rekey.LegacyRegistrationDisabled:
		return choice{}, false // told beside registration-token-in-config, which is repaired
	}
	if f.Severity == rekey.Info {
		return choice{}, false
	}
	return leave(f.Remedy, "%s: %s", f.Cause, leftBecause[f.Cause]), true
}

// doubted leaves a section alone whose token is not known to be refused: no new
// token follows from that. An orphan's answer is none about the token, so its
// replacement is the operator's to say.
func (p *Planner) doubted(f rekey.Finding, s diagnose.Section, r diagnose.SectionReport) (left choice, ok bool) {
	switch {
	case s.Token.Kind() == rekey.TokenReference:
		return leave(f.Remedy, "%s", leftBecause[rekey.EnvironmentReference]), false
	case r.Verdict == rekey.Valid:
		return leave(f.Remedy, "GitLab accepts the token"), false
	case f.Cause == rekey.RunnerOrphaned && p.Flags.SeparateRecord:
		return choice{}, true
	case f.Cause == rekey.RunnerOrphaned:
		return leave("`rekey fix --separate-record` with the flags for the new record makes one in its place",
			"GitLab says that the runner's group or project is gone, and speaks of no token"), false
	case r.Verdict == rekey.Unknown:
		return leave("run `rekey fix` again when GitLab answers", "whether the token is good is unknown, and no change follows from unknown"), false
	}
	return choice{}, true
}

var leftBecause = map[rekey.Cause]string{
	rekey.Unreachable:          "whether the token is good is unknown, and no change follows from unknown",
	rekey.RateLimited:          "whether the token is good is unknown, and no change follows from unknown",
	rekey.ServerReadOnly:       "GitLab takes no writes at the moment; the token is not the matter",
	rekey.UnexpectedAnswer:     "whether the token is good is unknown, and no change follows from unknown",
	rekey.EnvironmentReference: "the value comes from the environment of gitlab-runner: its source must be updated, not this file",
	rekey.OnlineButIdle:        "the token is fine; the record's own attributes keep jobs away",
	rekey.VersionSkew:          "the token is fine; gitlab-runner and GitLab are too far apart",
	rekey.RotationNotScheduled: "the token is good until it expires; no good token is reset",
	rekey.ServerRestored:       "the server may be mended first; what is reset before that may be lost again",
	rekey.ClonedSystemID:       "a system id is not a token",
	rekey.UnhealthyWindow:      "the token is good; gitlab-runner has to try again",
	rekey.OtherConfigInForce:   "a token in a file that is not in force changes nothing",
	rekey.ReloadMissed:         "the token is good; gitlab-runner has to load the file",
	rekey.SharedToken:          "the token is good; which host is to get a record of its own is for people to say",
}

// reissue is for tokens that GitLab refuses: a record that exists is reset by id,
// a missing one is created again.
func (p *Planner) reissue(f rekey.Finding, s diagnose.Section) choice {
	switch {
	case p.Flags.SeparateRecord, f.Cause == rekey.RunnerOrphaned, p.memory(s).Foreign:
		return choice{remedy: rekey.RemedyCreate}
	case s.Record.Lookup == diagnose.LookupFound:
		return p.resettable(s)
	case s.Record.Lookup == diagnose.LookupGone, f.Cause == rekey.RegistrationTokenInConfig:
		return choice{remedy: rekey.RemedyCreate}
	case s.Record.Lookup == diagnose.LookupDenied, s.Record.Lookup == diagnose.LookupFailed:
		return leave("use a user token that may see it, or give a glrt- token that a colleague made with --token-file",
			"what became of runner %d cannot be told: %s", s.RunnerID, s.Record.Reason)
	case s.RunnerID == 0 && p.userTokenFor(s):
		return leave("if this section should have a new record, run `rekey fix --separate-record` with the flags for it; or give its current token with --token-file",
			"the section has no runner id, so a deleted record and a rotated token cannot be told apart")
	}
	return leave("set GITLAB_TOKEN and GITLAB_HOST for a user who may see the runner, or give a glrt- token that a colleague made with --token-file",
		"without a user token, what became of the record cannot be told")
}

// recordSlack is how much later than the section's own date a record may have
// been created and still be taken for the section's: the two clocks differ.
const recordSlack = 24 * time.Hour

// resettable chooses a reset only for a record that is the section's own: after a
// server was rebuilt or migrated the same id may be somebody else's runner, and a
// reset would lock that one out.
func (p *Planner) resettable(s diagnose.Section) choice {
	if c, ok := kept(s.Record.Runner); ok {
		return c
	}
	const next = "if the record is this section's after all, reset it in GitLab and give the new token with --token-file; else `rekey fix --separate-record` makes a record of its own"
	r := s.Record.Runner
	if why := p.sharedRecord(s); why != "" {
		return leave(fmt.Sprintf("`rekey fix --section %d --separate-record` makes a record of its own for it; or give the record's token with --token-file", s.Index), "%s", why)
	}
	if p.memory(s).Same { // no guess is needed whose record it is
		return choice{remedy: rekey.RemedyReset}
	}
	if hint := s.Token.Lexical().Scope; hint != "" && r.Scope != "" && hint != r.Scope {
		return leave(next, "runner %d is of scope %s, and the section's token of scope %s: it is not this record's token", r.ID, r.Scope, hint)
	}
	if !s.ObtainedAt.IsZero() && r.CreatedAt.After(s.ObtainedAt.Add(recordSlack)) {
		return leave(next, "runner %d was created on %s, after this section got its token (%s): it may be another runner under the same id",
			r.ID, r.CreatedAt.UTC().Format(time.DateOnly), s.ObtainedAt.UTC().Format(time.DateOnly))
	}
	own := slices.ContainsFunc(s.Record.Managers, func(m rekey.Manager) bool { return m.SystemID == s.SystemID })
	if len(s.Record.Managers) > 0 && s.SystemID != "" && !own {
		return leave(next, "runner %d is used by %s and was never used by this host (%s)", r.ID, managerNames(s.Record.Managers), s.SystemID)
	}
	return p.unclaimed(s, next)
}

// unclaimed resets a record of which nothing says that it is the section's but its
// id: where GitLab went back in time, ids are given away again. (Before 18.0
// GET /runners/:id does not say when a record was made.)
func (p *Planner) unclaimed(s diagnose.Section, next string) choice {
	r := s.Record.Runner
	if !r.CreatedAt.IsZero() || !r.ContactedAt.IsZero() || len(s.Record.Managers) > 0 || r.Description == s.Name {
		return choice{remedy: rekey.RemedyReset}
	}
	if p.wentBack(s.URL) {
		return leave(next, "runner %d (%q) was never used by anybody, and this GitLab seems to have been restored: it may be a new runner under an old id", r.ID, r.Description)
	}
	return choice{remedy: rekey.RemedyReset, notes: []string{fmt.Sprintf(
		"runner %d is called %q and was never used by anybody; that it is this section's is known by its id alone", r.ID, r.Description)}}
}

// wentBack reports whether a section of the GitLab at url shows that it was restored.
func (p *Planner) wentBack(url string) bool {
	return slices.ContainsFunc(p.Report.Sections, func(r diagnose.SectionReport) bool {
		return p.SameGitLab(r.URL, url) && slices.ContainsFunc(r.Findings, func(f rekey.Finding) bool {
			return f.Cause == rekey.ServerRestored && f.Confidence != rekey.Possible // which every refusal leaves open
		})
	})
}

func managerNames(managers []rekey.Manager) string {
	var names []string
	for _, m := range managers {
		names = append(names, fmt.Sprintf("%s (%s)", m.SystemID, m.Status))
	}
	return strings.Join(names, ", ")
}

// malformed takes the file's own token when it is good once freed of white space
// and quotes.
func (p *Planner) malformed(ctx context.Context, f rekey.Finding, s diagnose.Section) choice {
	cleaned, ok := s.Token.Cleaned()
	if ok {
		a := p.Probe(ctx, Question{Config: s.Config, TLS: s.TLS, URL: s.URL, Token: cleaned, SystemID: s.SystemID})
		if a.Verdict() == rekey.Valid {
			return choice{remedy: rekey.RemedyRewrite, notes: []string{"GitLab accepts the token once it is freed of what surrounds it"}}
		}
		if a.Kind == rekey.AnswerNotAsked {
			return leave("give a glrt- token with --token-file, or let GitLab be asked: without --no-touch, and with a .runner_system_id beside the config",
				"whether the token would be good without what surrounds it was not asked: %s", a.Message)
		}
		if a.Verdict() == rekey.Unknown {
			return leave("run `rekey fix` again when that GitLab answers", "whether the token would be good without what surrounds it is unknown: %s", a.Message)
		}
	}
	if s.RunnerID == 0 {
		return choice{remedy: rekey.RemedyCreate}
	}
	return p.reissue(f, s)
}

// url mends an address that has a group's or a project's path behind a GitLab
// that is known otherwise.
func (p *Planner) url(f rekey.Finding, s diagnose.Section) choice {
	for _, server := range p.Facts.Servers {
		base := strings.TrimRight(server.URL, "/")
		if strings.HasPrefix(s.URL, base+"/") && (server.UserToken == diagnose.UserTokenAccepted || p.answered(base)) {
			return choice{remedy: rekey.RemedyURL, newURL: base}
		}
	}
	return leave("correct the url in the file: "+f.Remedy, "which GitLab is meant cannot be told from the url alone")
}

// answered reports whether the GitLab at base spoke about another section's
// token: then that is its address.
func (p *Planner) answered(base string) bool {
	for _, c := range p.Facts.Configs {
		for _, other := range c.Sections {
			if p.SameGitLab(other.URL, base) && other.Answer.Verdict() != rekey.Unknown {
				return true
			}
		}
	}
	return false
}

// scope assigns a project runner, or makes a record in the right place. The old
// record stays: others may use it.
func (p *Planner) scope(s diagnose.Section) choice {
	expect := p.Facts.Expect
	r := s.Record.Runner
	fits := expect.Scope == "" || expect.Scope == rekey.ScopeProject
	if expect.Project != "" && fits && s.Record.Lookup == diagnose.LookupFound && r.Scope == rekey.ScopeProject {
		if c, ok := kept(r); ok {
			return c
		}
		if r.Locked {
			return leave("unlock the runner in GitLab, or run `rekey fix --separate-record`", "runner %d is locked to its projects", r.ID)
		}
		return choice{remedy: rekey.RemedyAssign, assignTo: expect.Project}
	}
	scope := expect.Scope
	if scope == "" {
		scope = rekey.ScopeProject
	}
	return choice{remedy: rekey.RemedyCreate, scope: scope,
		notes: []string{fmt.Sprintf("runner %d stays as it is: delete it once nobody uses it", s.RunnerID)}}
}

// duplicate leaves the token to the first section that has it and gives each
// other one a record of its own.
func (p *Planner) duplicate(s diagnose.Section, r diagnose.SectionReport) (choice, bool) {
	if r.Verdict != rekey.Valid {
		return choice{}, false
	}
	if p.keeper[s.Token] == (place{s.Config, s.Index}) {
		return choice{}, false
	}
	return choice{remedy: rekey.RemedyCreate, notes: []string{"the other section with this token keeps it"}}, true
}
