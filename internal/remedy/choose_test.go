package remedy_test

import (
	"context"
	"fmt"
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
		Report: report, Flags: flags, Host: host{}, GitLab: func(string) remedy.GitLab { return nil },
		Probe:      func(context.Context, remedy.Question) rekey.Answer { return rekey.Answer{Kind: rekey.AnswerRefused} },
		SameGitLab: func(a, b string) bool { return a == b }, Generated: func(string) string { return "" },
		Rights: func(string) ([]string, bool) { return []string{"api"}, true },
	}
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
