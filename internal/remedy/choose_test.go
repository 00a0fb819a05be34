package remedy_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/remedy"
)

const gitlabURL = "https://gitlab.example.com"

// judged is one section as doctor left it, of runner 7, which exists.
type judged struct {
	token   string
	verdict rekey.Verdict
	cause   rekey.Cause
	scope   rekey.Scope // of the record
}

// planned returns the plan for one config with these sections.
func planned(t *testing.T, flags remedy.Flags, sections ...judged) rekey.Plan {
	t.Helper()
	return plannedBy(t, func(p *remedy.Planner) { p.Flags = flags }, sections...)
}

// plannedBy lets set change what the Planner is told.
func plannedBy(t *testing.T, set func(*remedy.Planner), sections ...judged) rekey.Plan {
	t.Helper()
	c := diagnose.Config{Path: "config.toml"}
	report := diagnose.Report{}
	for i, j := range sections {
		s := diagnose.Section{Config: c.Path, Index: i, Name: fmt.Sprint("s", i), URL: gitlabURL, RunnerID: 7, Token: rekey.NewToken(j.token),
			Record: diagnose.Record{Lookup: diagnose.LookupFound, Runner: rekey.Runner{ID: 7, Scope: j.scope}}}
		c.Sections = append(c.Sections, s)
		r := diagnose.SectionReport{Config: c.Path, Index: i, Name: s.Name, RunnerID: 7, Verdict: j.verdict}
		if j.cause != "" {
			r.Findings = []rekey.Finding{{Cause: j.cause, Severity: rekey.Failing}}
		}
		report.Sections = append(report.Sections, r)
	}
	p := remedy.Planner{
		Facts:  diagnose.Facts{Configs: []diagnose.Config{c}, Servers: []diagnose.Server{{URL: gitlabURL, UserToken: diagnose.UserTokenAccepted}}},
		Report: report, Host: host{}, GitLab: func(string) remedy.GitLab { return nil },
		Probe:      func(context.Context, remedy.Question) rekey.Answer { return rekey.Answer{Kind: rekey.AnswerRefused} },
		SameGitLab: func(a, b string) bool { return a == b }, Generated: func(string) string { return "" },
		Rights: func(string) ([]string, bool) { return []string{"api"}, true },
	}
	set(&p)
	plan, err := p.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestOneRecordIsResetForOneSectionOnly(t *testing.T) {
	t.Parallel()
	refused := func(token string) judged {
		return judged{token, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeInstance}
	}
	const other = "glrt-CANARYotherotherot00"
	for name, c := range map[string]struct {
		sections []judged
		want     []int // sections that are reset
	}{
		"alone":                          {[]judged{refused(dead)}, []int{0}},
		"twice the same token":           {[]judged{refused(dead), refused(dead)}, []int{0}},
		"twice, other tokens":            {[]judged{refused(dead), refused(other)}, []int{0}},
		"beside the token in force":      {[]judged{refused(dead), {token: other, verdict: rekey.Valid}}, nil},
		"beside one that is not known":   {[]judged{{token: other, verdict: rekey.Unknown}, refused(dead)}, nil},
		"beside one that can be cleaned": {[]judged{refused(dead), {token: " " + other, verdict: rekey.Invalid}}, nil},
	} {
		var got []int
		for _, target := range planned(t, remedy.Flags{}, c.sections...).Targets {
			if target.Remedy == rekey.RemedyReset {
				got = append(got, target.Index)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: resets for the sections %v, want %v", name, got, c.want)
		}
	}
}

func TestNoNewTokenWithoutARefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		section judged
		flags   remedy.Flags
	}{
		"stale date beside a good token":    {judged{dead, rekey.Valid, rekey.TokenExpired, rekey.ScopeInstance}, remedy.Flags{}},
		"deleted, but the token is unknown": {judged{dead, rekey.Unknown, rekey.RecordDeleted, rekey.ScopeInstance}, remedy.Flags{}},
		"orphaned":                          {judged{dead, rekey.Unknown, rekey.RunnerOrphaned, rekey.ScopeInstance}, remedy.Flags{}},
		"reference, deleted":                {judged{"${TOKEN}", rekey.Unknown, rekey.RecordDeleted, rekey.ScopeInstance}, remedy.Flags{SeparateRecord: true}},
		"reference, a token given":          {judged{"${TOKEN}", rekey.Unknown, rekey.EnvironmentReference, rekey.ScopeInstance}, remedy.Flags{TokenGiven: true}},
		"token of another scope":            {judged{"glrt-t3_CANARYcanaryCANARY00", rekey.Invalid, rekey.RecordDeleted, rekey.ScopeInstance}, remedy.Flags{}},
	} {
		plan := planned(t, c.flags, c.section)
		if len(plan.Targets) != 0 || len(plan.Left) != 1 || plan.Left[0].Reason == "" {
			t.Errorf("%s: got %d targets and %+v left, want the section left alone with a reason", name, len(plan.Targets), plan.Left)
		}
	}
}

// recorded sets what the record of the first section is.
func recorded(r rekey.Runner) func(*remedy.Planner) {
	return func(p *remedy.Planner) {
		r.ID = 7
		p.Facts.Configs[0].Sections[0].Record.Runner = r
	}
}

func TestACleanedTokenThatMayNotBeAskedAboutIsLeftAlone(t *testing.T) {
	t.Parallel()
	const why = "--no-touch: no request may carry a runner token"
	plan := plannedBy(t, func(p *remedy.Planner) {
		p.Probe = func(context.Context, remedy.Question) rekey.Answer {
			return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: why}
		}
	}, judged{" " + dead, rekey.Invalid, rekey.MalformedToken, rekey.ScopeInstance})
	if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, why) {
		t.Errorf("got %d targets and %+v left, want the section left alone because of %q", len(plan.Targets), plan.Left, why)
	}
}

func TestASectionUnderRepairIsLeftAloneInThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"s0", dead, record.ID})
	w.noReplace = true
	w.apply(w.target(0, rekey.RemedyReset))
	open, err := w.engine().Unfinished()
	if err != nil || len(open) != 1 {
		t.Fatalf("got %+v, %v, want one open target", open, err)
	}
	for _, path := range []string{w.config, filepath.Join(filepath.Dir(w.config), "other.toml")} {
		plan := plannedBy(t, func(p *remedy.Planner) {
			p.Open = open
			p.Facts.Configs[0].Path, p.Facts.Configs[0].Sections[0].Config, p.Report.Sections[0].Config = path, path, path
		}, judged{dead, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeInstance})
		left := path == w.config
		if got := len(plan.Left) == 1 && len(plan.Targets) == 0; got != left {
			t.Errorf("%s: left alone: %v (%+v), want %v", filepath.Base(path), got, plan.Left, left)
		}
		if left && !strings.Contains(plan.Left[0].Reason, "not finished") {
			t.Errorf("the reason is %q, want that the earlier repair is not finished", plan.Left[0].Reason)
		}
	}
}

func TestARecordThatAToolKeepsIsLeftAlone(t *testing.T) {
	t.Parallel()
	refused := judged{dead, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeInstance}
	for name, c := range map[string]struct {
		record rekey.Runner
		flags  remedy.Flags
		want   rekey.Remedy // "": left alone
	}{
		"note":                    {record: rekey.Runner{MaintenanceNote: "Managed by Terraform (infra/runners)"}},
		"description":             {record: rekey.Runner{Description: "crossplane-linux"}},
		"a word within another":   {record: rekey.Runner{Description: "terraformer"}, want: rekey.RemedyReset},
		"nobody":                  {record: rekey.Runner{Description: "linux"}, want: rekey.RemedyReset},
		"a separate record asked": {rekey.Runner{MaintenanceNote: "terraform", Description: "terraform linux"}, remedy.Flags{SeparateRecord: true}, rekey.RemedyCreate},
	} {
		c.record.Scope, c.record.RunUntagged = rekey.ScopeInstance, true
		plan := plannedBy(t, func(p *remedy.Planner) { p.Flags = c.flags; recorded(c.record)(p) }, refused)
		if c.want == "" {
			if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "stale") {
				t.Errorf("%s: got %+v and %+v, want it left alone because the tool's state would be stale", name, plan.Targets, plan.Left)
			}
			continue
		}
		if len(plan.Targets) != 1 || plan.Targets[0].Remedy != c.want {
			t.Fatalf("%s: got %+v (%+v left), want %s", name, plan.Targets, plan.Left, c.want)
		}
		if a := plan.Targets[0].Attributes; c.want == rekey.RemedyCreate && (a.MaintenanceNote != "" || a.Description != "s0") {
			t.Errorf("%s: the copy says %q, %q, as if the tool kept it", name, a.MaintenanceNote, a.Description)
		}
	}
}

func TestARecordWithMoreTagsThanANewOneMayHave(t *testing.T) {
	t.Parallel()
	r := rekey.Runner{Scope: rekey.ScopeInstance}
	for i := range 51 {
		r.Tags = append(r.Tags, fmt.Sprint("tag", i))
	}
	refused := judged{dead, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeInstance}
	plan := plannedBy(t, func(p *remedy.Planner) { p.Flags.SeparateRecord = true; recorded(r)(p) }, refused)
	if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "51 tags") {
		t.Errorf("got %+v and %+v, want it left alone for its 51 tags", plan.Targets, plan.Left)
	}
	reset := plannedBy(t, recorded(r), refused).Targets
	if len(reset) != 1 || !strings.Contains(strings.Join(reset[0].Notes, "\n"), "51 tags") {
		t.Errorf("got %+v, want a reset with a note about 51 tags", reset)
	}
}

func TestPlansTellWhatALostAnswerOrAHiddenProjectWouldCost(t *testing.T) {
	t.Parallel()
	project := rekey.Runner{Scope: rekey.ScopeProject, RunUntagged: true, Projects: []rekey.Ref{{ID: 1, Path: "acme/web"}}}
	for name, c := range map[string]struct {
		scopes      []string
		admin       bool
		separate    bool
		want, never string
	}{
		"may reset only":           {scopes: []string{"manage_runner"}, admin: true, want: "neither create_runner nor api"},
		"may replace":              {scopes: []string{"manage_runner", "create_runner"}, admin: true, never: "neither create_runner nor api"},
		"project record, no admin": {scopes: []string{"api"}, separate: true, want: "only an administrator sees them all"},
		"reset of one, no admin":   {scopes: []string{"api"}, want: "only an administrator sees them all"},
		"project record, admin":    {scopes: []string{"api"}, admin: true, separate: true, never: "only an administrator"},
	} {
		plan := plannedBy(t, func(p *remedy.Planner) {
			p.Flags.SeparateRecord = c.separate
			p.Rights = func(string) ([]string, bool) { return c.scopes, true }
			p.Admin = func(string) bool { return c.admin }
			recorded(project)(p)
		}, judged{dead, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeProject})
		if len(plan.Targets) != 1 {
			t.Fatalf("%s: got %+v, want one target", name, plan)
		}
		notes := strings.Join(plan.Targets[0].Notes, "\n")
		if !strings.Contains(notes, c.want) || c.never != "" && strings.Contains(notes, c.never) {
			t.Errorf("%s: the notes are %q, want %q and never %q", name, notes, c.want, c.never)
		}
	}
}

func TestARecordKnownByItsIDAlone(t *testing.T) {
	t.Parallel()
	refused := judged{dead, rekey.Invalid, rekey.RotatedElsewhere, rekey.ScopeInstance}
	restored := func(p *remedy.Planner) {
		p.Report.Sections[0].URL = gitlabURL
		p.Report.Sections[0].Findings = append(p.Report.Sections[0].Findings, rekey.Finding{Cause: rekey.ServerRestored, Severity: rekey.Info, Confidence: rekey.Likely})
	}
	possible := func(p *remedy.Planner) {
		restored(p)
		p.Report.Sections[0].Findings[len(p.Report.Sections[0].Findings)-1].Confidence = rekey.Possible
	}
	for name, c := range map[string]struct {
		set   func(*remedy.Planner)
		reset bool
		said  string // in the notes of the target
	}{
		"another name, never used":                {func(*remedy.Planner) {}, true, "by its id alone"},
		"the section's name":                      {recorded(rekey.Runner{Description: "s0"}), true, ""},
		"another name, never used, after restore": {restored, false, ""},
		"another name, and a restore is possible": {possible, true, "by its id alone"},
	} {
		plan := plannedBy(t, c.set, refused)
		if got := len(plan.Targets) == 1 && plan.Targets[0].Remedy == rekey.RemedyReset; got != c.reset {
			t.Errorf("%s: reset %v, want %v; left %+v", name, got, c.reset, plan.Left)
			continue
		}
		if c.said != "" && !strings.Contains(strings.Join(plan.Targets[0].Notes, "; "), c.said) {
			t.Errorf("%s: the notes %q do not say %q", name, plan.Targets[0].Notes, c.said)
		}
	}
}
