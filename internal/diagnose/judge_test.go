package diagnose_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

var (
	now  = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	good = rekey.NewToken("glrt-CANARYaaaaaaaaaaaaaa")
)

const base = "https://gitlab.example.com"

// section is a healthy section that edits change.
func section(edits ...func(*diagnose.Section)) diagnose.Section {
	s := diagnose.Section{
		Config: "/etc/gitlab-runner/config.toml", Line: 12, Name: "build", URL: base + "/", RunnerID: 7,
		Token: good, ObtainedAt: now.AddDate(0, -3, 0), Executor: "shell", SystemID: "s_abcdefabcdef",
		Answer: answer(rekey.AnswerAccepted), Record: diagnose.Record{Lookup: diagnose.LookupNone},
	}
	for _, e := range edits {
		e(&s)
	}
	return s
}

func answer(kind rekey.AnswerKind) rekey.Answer {
	status := map[rekey.AnswerKind]int{
		rekey.AnswerAccepted: 200, rekey.AnswerRefused: 403, rekey.AnswerReadOnly: 403, rekey.AnswerOrphaned: 422,
		rekey.AnswerRateLimited: 429, rekey.AnswerRedirected: 301, rekey.AnswerNotFound: 404, rekey.AnswerUnexpected: 418,
	}[kind]
	return rekey.Answer{
		Kind: kind, Request: "POST " + base + "/api/v4/runners/verify", Status: status, Message: "said " + string(kind),
		At: now, ServerTime: now,
	}
}

type edit = func(*diagnose.Section)

func answered(kind rekey.AnswerKind) edit {
	return func(s *diagnose.Section) { s.Answer = answer(kind) }
}

func token(text string) edit {
	return func(s *diagnose.Section) { s.Token = rekey.NewToken(text) }
}

func looked(l diagnose.Lookup) edit {
	return func(s *diagnose.Section) {
		s.Record = diagnose.Record{Lookup: l, Request: "GET " + base + "/api/v4/runners/7", At: now}
		if l == diagnose.LookupFound {
			s.Record.Runner = rekey.Runner{ID: 7, Scope: rekey.ScopeProject, RunUntagged: true, Status: "online",
				CreatedAt: now.AddDate(-1, 0, 0), Projects: []rekey.Ref{{ID: 3, Path: "Team/App"}}}
		}
	}
}

func record(change func(*diagnose.Record)) edit {
	return func(s *diagnose.Section) {
		looked(diagnose.LookupFound)(s)
		change(&s.Record)
	}
}

func expanded(value string) edit {
	return func(s *diagnose.Section) {
		t := rekey.NewToken(value)
		s.Expanded, s.ExpandedURL = &t, s.URL
	}
}

func notAsked(s *diagnose.Section) {
	s.Answer = rekey.Answer{Kind: rekey.AnswerNotAsked, Message: "--no-touch was given"}
}

func facts(sections ...diagnose.Section) diagnose.Facts {
	f := diagnose.Facts{Now: now, Servers: []diagnose.Server{{
		NewestRunner: 5000, NewestIsWhole: true,
		TokenLife: map[rekey.Scope]time.Duration{rekey.ScopeInstance: 0, rekey.ScopeGroup: 0, rekey.ScopeProject: 0},
		URL:       base, Version: rekey.Version{Major: 17, Minor: 11}, VersionText: "17.11.0-ee",
		ProfileEvidence: "GET /version", UserToken: diagnose.UserTokenNone, ServerTime: now, ReadAt: now,
	}}}
	f.Configs = []diagnose.Config{{Path: "/etc/gitlab-runner/config.toml"}}
	for i, s := range sections {
		s.Index = i
		f.Configs[0].Sections = append(f.Configs[0].Sections, s)
	}
	return f
}

func judgeOne(t *testing.T, f diagnose.Facts) diagnose.SectionReport {
	t.Helper()
	r := diagnose.Judge(f)
	if len(r.Sections) == 0 {
		t.Fatalf("Judge gave no section")
	}
	return r.Sections[0]
}

// brief is a section's verdict and findings in one line each; findings in a
// because follow their root after "<".
func brief(s diagnose.SectionReport) string {
	lines := []string{string(s.Verdict)}
	for _, f := range s.Findings {
		line := string(f.Cause) + " " + string(f.Severity) + " " + string(f.Confidence)
		for _, b := range f.Because {
			line += " < " + string(b.Cause)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func lines(l ...string) string { return strings.Join(l, "\n") }

func seen(s diagnose.SectionReport, cause rekey.Cause) string {
	var text []string
	for _, f := range s.Findings {
		if f.Cause == cause {
			for _, e := range f.Evidence {
				text = append(text, e.Where+": "+e.Seen)
			}
		}
	}
	return strings.Join(text, "\n")
}

func TestJudgeOneSection(t *testing.T) {
	t.Parallel()
	type F = diagnose.Facts
	past := func(s *diagnose.Section) { s.ExpiresAt = now.Add(-time.Hour) }
	noID := func(s *diagnose.Section) { s.RunnerID = 0 }
	managers := func(own, other time.Time) edit {
		return record(func(r *diagnose.Record) {
			r.ManagersKnown = true
			r.Managers = []rekey.Manager{
				{SystemID: "s_abcdefabcdef", ContactedAt: own, Version: "17.11.0"},
				{SystemID: "s_otherotherot", ContactedAt: other, Version: "18.0.0"},
			}
		})
	}
	version := func(v string) edit {
		return record(func(r *diagnose.Record) {
			r.Managers = []rekey.Manager{{SystemID: "s_abcdefabcdef", Version: v}}
		})
	}
	const (
		deleted  = "record-deleted error possible"
		rotated  = "rotated-elsewhere error possible\nwrong-instance info possible\nserver-restored info possible" // what nothing excludes
		namesake = "wrong-instance info possible"                                                                  // nothing shows that the record is this host's
		malform  = "malformed-token error certain"
		envError = "environment-reference error certain"
	)
	off, on := false, true
	for _, tc := range []struct {
		rule  string
		edits []edit
		facts func(*F)
		want  string
	}{
		{rule: "healthy", want: "valid"},

		{rule: "3 refused, no user token", edits: []edit{answered(rekey.AnswerRefused)}, want: lines("invalid", deleted, rotated)},
		{rule: "3 refused, no id", edits: []edit{answered(rekey.AnswerRefused), noID}, want: lines("invalid", deleted, rotated)},
		{rule: "3 refused, lookup denied", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupDenied)}, want: lines("invalid", deleted, rotated)},
		{rule: "3 refused, lookup failed", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFailed)}, want: lines("invalid", deleted, rotated)},
		{rule: "3 refused, unknown shape", edits: []edit{answered(rekey.AnswerRefused), token("CANARYplain")},
			want: lines("invalid", "malformed-token error possible", deleted, rotated)},
		{rule: "refused and gone", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, want: lines("invalid", "record-deleted error likely", "wrong-instance info possible")},
		{rule: "refused and gone, the newest of all", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)},
			facts: func(f *F) { f.Servers[0].NewestRunner = 3 },
			want:  lines("invalid", "record-deleted error likely", "wrong-instance info possible", "server-restored info possible")},
		{rule: "refused and gone, the only one", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)},
			facts: func(f *F) { f.Servers[0].NewestRunner = 0 },
			want:  lines("invalid", "record-deleted error likely", "wrong-instance info possible", "server-restored info possible")},
		{rule: "refused and found", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFound)}, want: lines("invalid", "rotated-elsewhere error likely", namesake)},
		{rule: "refused and found, nobody used it", edits: []edit{answered(rekey.AnswerRefused), record(func(r *diagnose.Record) { r.ManagersKnown = true })},
			want: lines("invalid", "rotated-elsewhere error possible", namesake, "server-restored info possible")},
		{rule: "refused and found, its managers forgotten", edits: []edit{answered(rekey.AnswerRefused), record(func(r *diagnose.Record) { r.ManagersKnown, r.Runner.ContactedAt = true, now.AddDate(0, 0, -9) })},
			want: lines("invalid", "rotated-elsewhere error likely", namesake)},
		{rule: "refused and found, another manager came later", edits: []edit{answered(rekey.AnswerRefused), managers(now.Add(-48*time.Hour), now)},
			want: lines("invalid", "rotated-elsewhere error certain")},
		{rule: "refused and found, another manager came within the lag", edits: []edit{answered(rekey.AnswerRefused), managers(now.Add(-50*time.Minute), now)},
			want: lines("invalid", "rotated-elsewhere error likely")},
		{rule: "refused and found, other managers are older", edits: []edit{answered(rekey.AnswerRefused), managers(now, now.AddDate(0, -1, 0))},
			want: lines("invalid", "rotated-elsewhere error likely")},
		{rule: "refused and found, older than tokens get here", edits: []edit{answered(rekey.AnswerRefused), managers(now, now.AddDate(0, -1, 0))},
			facts: func(f *F) {
				f.Servers[0].TokenLife = map[rekey.Scope]time.Duration{rekey.ScopeProject: 30 * 24 * time.Hour}
			},
			want: lines("invalid", "rotated-elsewhere error possible", "token-expired error possible")},
		{rule: "refused and found, younger than tokens get here", edits: []edit{answered(rekey.AnswerRefused), managers(now, now.AddDate(0, -1, 0))},
			facts: func(f *F) {
				f.Servers[0].TokenLife = map[rekey.Scope]time.Duration{rekey.ScopeProject: 365 * 24 * time.Hour}
			},
			want: lines("invalid", "rotated-elsewhere error likely")},
		{rule: "refused and found, of another scope", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFound), token("glrt-t1_CANARYaaaaaaaaaaaaaa")},
			want: lines("invalid", deleted, "wrong-instance error possible")},
		{rule: "refused and cut short", edits: []edit{answered(rekey.AnswerRefused), token("glrt-CANARY")}, want: lines("invalid", "malformed-token error likely")},
		{rule: "refused, gone and of unknown shape", edits: []edit{answered(rekey.AnswerRefused), token("CANARYplain"), looked(diagnose.LookupGone)},
			want: lines("invalid", "record-deleted error likely", "wrong-instance info possible")},
		{rule: "refused, gone and cut short", edits: []edit{answered(rekey.AnswerRefused), token("glrt-CANARY"), looked(diagnose.LookupGone)},
			want: lines("invalid", "malformed-token error likely", "record-deleted error likely", "wrong-instance info possible")},
		{rule: "cut short yet accepted", edits: []edit{token("glrt-CANARY")}, want: "valid"},

		{rule: "4 empty", edits: []edit{notAsked, token("")}, want: lines("invalid", malform)},
		{rule: "4 newline", edits: []edit{notAsked, token("glrt-CANARYaaaaaaaaaaaaaa\n")}, want: lines("invalid", malform)},
		{rule: "4 another kind", edits: []edit{notAsked, token("glpat-CANARYaaaaaaaaaaaaaa")}, want: lines("invalid", malform)},
		{rule: "4 registration token", edits: []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")}, want: lines("invalid", "registration-token-in-config error certain")},
		{rule: "4 registration token, registration off", edits: []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")},
			facts: func(f *F) { f.Servers[0].RegistrationAllowed = &off },
			want:  lines("invalid", "registration-token-in-config error certain", "legacy-registration-disabled warning certain")},
		{rule: "4 registration token, registration on", edits: []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")},
			facts: func(f *F) { f.Servers[0].RegistrationAllowed = &on }, want: lines("invalid", "registration-token-in-config error certain")},
		{rule: "4 malformed and gone", edits: []edit{notAsked, token("CANARY quoted"), looked(diagnose.LookupGone)},
			want: lines("invalid", malform, "record-deleted error likely")},
		{rule: "4 malformed and no URL", edits: []edit{notAsked, token(""), func(s *diagnose.Section) { s.URL = "" }},
			want: lines("invalid", malform, "wrong-instance error certain")},

		{rule: "5 read-only", edits: []edit{answered(rekey.AnswerReadOnly)}, want: lines("unknown", "server-read-only error certain")},
		{rule: "5 orphaned", edits: []edit{answered(rekey.AnswerOrphaned)}, want: lines("unknown", "runner-orphaned error certain")},
		{rule: "5 unexpected", edits: []edit{answered(rekey.AnswerUnexpected)}, want: lines("unknown", "unexpected-answer error certain")},
		{rule: "rate limited", edits: []edit{answered(rekey.AnswerRateLimited)}, want: lines("unknown", "rate-limited error certain")},
		{rule: "unreachable", edits: []edit{answered(rekey.AnswerUnreachable)}, want: lines("unknown", "unreachable error certain")},
		{rule: "unreachable, yet gone", edits: []edit{answered(rekey.AnswerUnreachable), looked(diagnose.LookupGone)},
			want: lines("unknown", "unreachable error certain", "record-deleted error likely")},

		{rule: "6 redirect of a stranger", edits: []edit{answered(rekey.AnswerRedirected)}, want: lines("unknown", "unreachable error certain")},
		{rule: "6 redirect of a GitLab", edits: []edit{answered(rekey.AnswerRedirected), func(s *diagnose.Section) {
			s.Answer.IsGitLab, s.Answer.Location = "its sign-in page", base+"/users/sign_in"
		}}, want: lines("unknown", "wrong-instance error likely")},
		{rule: "6 redirect to https", edits: []edit{answered(rekey.AnswerRedirected), func(s *diagnose.Section) {
			s.Answer.IsGitLab, s.Answer.Request = "its headers", "POST http://gitlab.example.com/api/v4/runners/verify"
			s.Answer.Location = base + "/api/v4/runners/verify"
		}}, want: lines("unknown", "wrong-instance error certain")},
		{rule: "6 404 of a stranger", edits: []edit{answered(rekey.AnswerNotFound)}, want: lines("unknown", "unreachable error certain")},
		{rule: "6 404 of a GitLab", edits: []edit{answered(rekey.AnswerNotFound), func(s *diagnose.Section) {
			s.Answer.IsGitLab, s.URL = "its headers", base+"/team/app"
		}}, want: lines("unknown", "wrong-instance error likely")},
		{rule: "6 no scheme", edits: []edit{answered(rekey.AnswerBadURL), func(s *diagnose.Section) { s.URL = "gitlab.example.com" }},
			want: lines("unknown", "wrong-instance error certain")},
		{rule: "6 /ci", edits: []edit{func(s *diagnose.Section) { s.URL = base + "/ci" }}, want: lines("valid", "wrong-instance warning certain")},

		{rule: "7 unset", edits: []edit{notAsked, token("${RUNNER_TOKEN}"), func(s *diagnose.Section) { s.Unset = []string{"RUNNER_TOKEN"} }}, want: lines("unknown", envError)},
		{rule: "7 unset URL", edits: []edit{notAsked, func(s *diagnose.Section) { s.URL, s.Unset = "${URL}", []string{"URL"} }}, want: lines("unknown", envError)},
		{rule: "7 unset, yet gone", edits: []edit{notAsked, looked(diagnose.LookupGone), token("${T}"), func(s *diagnose.Section) { s.Unset = []string{"T"} }},
			want: lines("unknown", envError, "record-deleted error likely")},
		{rule: "7 accepted", edits: []edit{token("${T}"), expanded(good.Reveal())}, want: lines("valid", "environment-reference info certain")},
		{rule: "7 refused", edits: []edit{answered(rekey.AnswerRefused), token("${T}"), expanded(good.Reveal())}, want: lines("unknown", "environment-reference error possible")},
		{rule: "7 refused, past", edits: []edit{answered(rekey.AnswerRefused), past, token("${T}"), expanded(good.Reveal())}, want: lines("unknown", "environment-reference error possible")},
		{rule: "7 the URL's value refused", edits: []edit{answered(rekey.AnswerRefused), func(s *diagnose.Section) {
			s.URL, s.Expanded, s.ExpandedURL = "${U}", &good, base
		}}, want: lines("unknown", "environment-reference error possible")},
		{rule: "7 the URL's value is bad", edits: []edit{answered(rekey.AnswerBadURL), func(s *diagnose.Section) {
			s.URL, s.Expanded, s.ExpandedURL = "${U}", &good, "gitlab"
		}}, want: lines("unknown", "wrong-instance error possible", "environment-reference info certain")},
		{rule: "7 registration token in the variable", edits: []edit{notAsked, token("${T}"), expanded("GR1348941CANARYaaaaaaaaaaaaaa")},
			want: lines("unknown", "environment-reference error possible < malformed-token")},
		{rule: "7 expanded, unreachable", edits: []edit{answered(rekey.AnswerUnreachable), token("${T}"), expanded(good.Reveal())},
			want: lines("unknown", "unreachable error certain", "environment-reference info certain")},
		{rule: "7 and 14 expanded, not asked", edits: []edit{notAsked, token("${T}"), expanded(good.Reveal())},
			want: lines("unknown", "unreachable error possible", "environment-reference info certain")},

		{rule: "8 past, accepted", edits: []edit{past}, want: lines("valid", "token-expired warning certain")},
		{rule: "8 past, refused", edits: []edit{answered(rekey.AnswerRefused), past}, want: lines("invalid", "token-expired error likely")},
		{rule: "8 past, refused, found", edits: []edit{answered(rekey.AnswerRefused), past, looked(diagnose.LookupFound)}, want: lines("invalid", "token-expired error certain")},
		{rule: "8 past, refused, gone", edits: []edit{answered(rekey.AnswerRefused), past, looked(diagnose.LookupGone)}, want: lines("invalid", "record-deleted error likely", "wrong-instance info possible")},
		{rule: "8 past here, not at the server", edits: []edit{answered(rekey.AnswerRefused), past, looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.Answer.ServerTime = now.Add(-2 * time.Hour)
		}}, want: lines("invalid", "rotated-elsewhere error likely", namesake)},
		{rule: "8 past at the server, not here", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.ExpiresAt, s.Answer.ServerTime = now.Add(time.Hour), now.Add(2*time.Hour)
		}}, want: lines("invalid", "token-expired error certain")},
		{rule: "8 past by an earlier Date", edits: []edit{answered(rekey.AnswerRefused), past, looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.Answer.ServerTime = time.Time{}
		}}, want: lines("invalid", "token-expired error certain")},
		{rule: "8 not yet past by an earlier Date", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.Answer.ServerTime, s.ExpiresAt = time.Time{}, now.Add(-time.Minute)
		}}, facts: func(f *F) { f.Servers[0].ServerTime = now.Add(-time.Hour) }, want: lines("invalid", "rotated-elsewhere error likely", namesake)},
		{rule: "8 past since an earlier Date", edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.Answer.ServerTime, s.ExpiresAt = time.Time{}, now.Add(-time.Minute)
		}}, facts: func(f *F) {
			f.Servers[0].ServerTime, f.Servers[0].ReadAt = now.Add(-time.Hour), now.Add(-time.Hour)
		}, want: lines("invalid", "token-expired error certain")},
		{rule: "8 past by the local clock", edits: []edit{answered(rekey.AnswerRefused), past, looked(diagnose.LookupFound), func(s *diagnose.Section) {
			s.Answer.ServerTime = time.Time{}
		}}, facts: func(f *F) { f.Servers = nil }, want: lines("invalid", "token-expired error likely")},

		{rule: "9 no system id", edits: []edit{notAsked, func(s *diagnose.Section) { s.SystemID, s.SystemIDProblem = "", "permission denied" }},
			want: lines("unknown", "unreachable error possible")},
		{rule: "14 no touch", edits: []edit{notAsked}, want: lines("unknown", "unreachable error possible")},
		{rule: "14 no touch, gone", edits: []edit{notAsked, looked(diagnose.LookupGone)}, want: lines("unknown", "record-deleted error likely")},
		{rule: "14 no touch, past", edits: []edit{notAsked, past}, want: lines("unknown", "token-expired error possible")},
		{rule: "14 the zero answer", edits: []edit{func(s *diagnose.Section) { s.Answer = rekey.Answer{} }}, want: lines("unknown", "unreachable error possible")},

		{rule: "10 user token refused", edits: []edit{answered(rekey.AnswerRefused)}, facts: func(f *F) { f.Servers[0].UserToken = diagnose.UserTokenRefused },
			want: lines("invalid", deleted, rotated)},

		{rule: "12 scope by record", edits: []edit{looked(diagnose.LookupFound)}, facts: func(f *F) { f.Expect.Scope = rekey.ScopeGroup },
			want: lines("valid", "wrong-scope error certain")},
		{rule: "12 scope by text", edits: []edit{token("glrt-t3_CANARYaaaaaaaaaaaaaa")}, facts: func(f *F) { f.Expect.Scope = rekey.ScopeGroup },
			want: lines("valid", "wrong-scope error certain")},
		{rule: "12 scope as meant", edits: []edit{looked(diagnose.LookupFound)}, facts: func(f *F) { f.Expect.Scope = rekey.ScopeProject }, want: "valid"},
		{rule: "12 scope not told", facts: func(f *F) { f.Expect.Scope = rekey.ScopeProject }, want: "valid"},
		{rule: "12 project by path", edits: []edit{looked(diagnose.LookupFound)}, facts: func(f *F) { f.Expect.Project = "team/app" }, want: "valid"},
		{rule: "12 project by id", edits: []edit{looked(diagnose.LookupFound)}, facts: func(f *F) { f.Expect.Project = "3" }, want: "valid"},
		{rule: "12 another project", edits: []edit{looked(diagnose.LookupFound)}, facts: func(f *F) { f.Expect.Project = "team/app2" },
			want: lines("valid", "wrong-scope error likely")},
		{rule: "12 another project and another scope", edits: []edit{looked(diagnose.LookupFound)},
			facts: func(f *F) { f.Expect = diagnose.Expectation{Scope: rekey.ScopeGroup, Project: "4"} }, want: lines("valid", "wrong-scope error certain")},
		{rule: "12 wrong scope explains the lock", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Locked = true })},
			facts: func(f *F) { f.Expect.Project = "4" }, want: lines("valid", "wrong-scope error likely < online-but-idle")},
		{rule: "12 group above", edits: []edit{record(func(r *diagnose.Record) {
			r.Runner.Scope, r.Runner.Groups = rekey.ScopeGroup, []rekey.Ref{{ID: 1, Path: "Team"}}
		})}, facts: func(f *F) { f.Expect.Project = "team/sub/app" }, want: "valid"},
		{rule: "12 group beside", edits: []edit{record(func(r *diagnose.Record) {
			r.Runner.Scope, r.Runner.Groups = rekey.ScopeGroup, []rekey.Ref{{ID: 1, Path: "tea"}}
		})}, facts: func(f *F) { f.Expect.Project = "team/app" }, want: lines("valid", "wrong-scope error likely")},
		{rule: "12 group, project by id", edits: []edit{record(func(r *diagnose.Record) {
			r.Runner.Scope, r.Runner.Groups = rekey.ScopeGroup, []rekey.Ref{{ID: 1, Path: "team"}}
		})}, facts: func(f *F) { f.Expect.Project = "3" }, want: "valid"},
		{rule: "12 instance serves all", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Scope, r.Runner.Projects = rekey.ScopeInstance, nil })},
			facts: func(f *F) { f.Expect.Project = "x/y" }, want: "valid"},

		{rule: "idle: paused", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Paused = true })}, want: lines("valid", "online-but-idle warning certain")},
		{rule: "idle: locked", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Locked = true })}, want: lines("valid", "online-but-idle info possible")},
		{rule: "idle: protected", edits: []edit{record(func(r *diagnose.Record) { r.Runner.AccessLevel = "ref_protected" })}, want: lines("valid", "online-but-idle info possible")},
		{rule: "idle: tags only", edits: []edit{record(func(r *diagnose.Record) { r.Runner.RunUntagged = false })}, want: lines("valid", "online-but-idle info possible")},
		{rule: "idle: all at once", edits: []edit{record(func(r *diagnose.Record) { r.Runner.RunUntagged, r.Runner.Paused = false, true })},
			want: lines("valid", "online-but-idle warning certain")},
		{rule: "idle: the record may be another runner's", edits: []edit{record(func(r *diagnose.Record) {
			r.Runner.Paused, r.ManagersKnown = true, true
			r.Managers = []rekey.Manager{{SystemID: "s_otherotherot", ContactedAt: now}}
		}), func(s *diagnose.Section) { s.Answer.RunnerID = 0 }}, want: lines("valid", "online-but-idle warning possible")},
		{rule: "idle: the record is of another scope than the token", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Paused = true }),
			token("glrt-t1_CANARYaaaaaaaaaaaaaa"), func(s *diagnose.Section) { s.Answer.RunnerID = 0 }}, want: "valid"},
		{rule: "idle: the record is another runner's", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Paused = true }), func(s *diagnose.Section) { s.Answer.RunnerID = 9 }},
			want: "valid"},

		{rule: "skew: same", edits: []edit{version("17.11.3")}, want: "valid"},
		{rule: "skew: a minor behind", edits: []edit{version("17.10.0")}, want: lines("valid", "version-skew info certain")},
		{rule: "skew: a major behind", edits: []edit{version("16.11.0")}, want: lines("valid", "version-skew warning certain")},
		{rule: "skew: two majors behind", edits: []edit{version("15.11.0")}, want: lines("valid", "version-skew warning certain")},
		{rule: "skew: a minor ahead", edits: []edit{version("17.12.0")}, want: lines("valid", "version-skew info certain")},
		{rule: "skew: a major ahead", edits: []edit{version("18.0.0")}, want: lines("valid", "version-skew warning certain")},
		{rule: "skew: unknown", edits: []edit{version("development version")}, want: "valid"},
		{rule: "skew: server unknown", edits: []edit{version("13.0.0")}, facts: func(f *F) { f.Servers[0].Version = rekey.Version{} }, want: "valid"},
		{rule: "skew: by the record", edits: []edit{record(func(r *diagnose.Record) { r.Runner.Version = "14.10.1" })}, want: lines("valid", "version-skew warning likely")},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			if tc.facts != nil {
				tc.facts(&f)
			}
			if got := brief(judgeOne(t, f)); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestRuleOneWords(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(diagnose.Judge(facts(section(answered(rekey.AnswerRefused)))))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"severity":"error"`, `"confidence":"possible"`, `"verdict":"invalid"`, `"schema":"rekey.doctor/1"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("got %s, want it to hold %s", raw, want)
		}
	}
}

func TestRuleElevenOneTokenAtTwoURLs(t *testing.T) {
	t.Parallel()
	there := func(s *diagnose.Section) { s.URL = "https://other.example.com/" }
	for _, tc := range []struct {
		name          string
		first, second diagnose.Section
		want          [2]string
	}{
		{"accepted and refused", section(), section(there, answered(rekey.AnswerRefused)), [2]string{
			lines("valid", "duplicate-token info certain"),
			lines("invalid", "wrong-instance error certain < duplicate-token")}},
		{"the refusing one's record is gone", section(), section(there, answered(rekey.AnswerRefused), looked(diagnose.LookupGone)), [2]string{
			lines("valid", "duplicate-token info certain"),
			lines("invalid", "wrong-instance error certain < duplicate-token")}},
		{"accepted and unreachable", section(), section(there, answered(rekey.AnswerUnreachable)), [2]string{
			lines("valid", "duplicate-token info certain"),
			lines("unknown", "unreachable error certain", "wrong-instance error possible < duplicate-token")}},
		{"refused from the environment", section(), section(there, answered(rekey.AnswerRefused), token("${T}"), expanded(good.Reveal()), there, func(s *diagnose.Section) { s.ExpandedURL = s.URL }), [2]string{
			lines("valid", "duplicate-token info certain"),
			lines("unknown", "environment-reference error possible", "wrong-instance error possible < duplicate-token")}},
		{"accepted at both", section(), section(there), [2]string{
			lines("valid", "duplicate-token warning certain"), lines("valid", "duplicate-token warning certain")}},
		{"same URL otherwise written", section(), section(func(s *diagnose.Section) { s.URL = "HTTPS://GitLab.example.com:443/ci/" }), [2]string{
			lines("valid", "duplicate-token warning certain"), lines("valid", "wrong-instance warning certain", "duplicate-token warning certain")}},
		{"other tokens at two URLs", section(), section(there, answered(rekey.AnswerRefused), token("glrt-CANARYbbbbbbbbbbbbbb")), [2]string{
			"valid", lines("invalid", "record-deleted error possible", "rotated-elsewhere error possible", "wrong-instance error possible", "server-restored info possible")}},
		{"a /ci explains no copy", section(func(s *diagnose.Section) { s.URL = base + "/ci" }), section(there, answered(rekey.AnswerRefused)), [2]string{
			lines("valid", "wrong-instance warning certain", "duplicate-token info certain"),
			lines("invalid", "wrong-instance error certain < duplicate-token")}},
		{"one URL, one answer missing", section(), section(answered(rekey.AnswerUnreachable)), [2]string{
			lines("valid", "duplicate-token warning certain"),
			lines("unknown", "unreachable error certain", "duplicate-token warning certain")}},
		{"two empty tokens", section(notAsked, token("")), section(notAsked, token("")), [2]string{
			lines("invalid", "malformed-token error certain"), lines("invalid", "malformed-token error certain")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := diagnose.Judge(facts(tc.first, tc.second))
			for i, want := range tc.want {
				if got := brief(r.Sections[i]); got != want {
					t.Errorf("section %d got:\n%s\nwant:\n%s", i, got, want)
				}
			}
		})
	}
}

func TestRuleTenUserTokenIsReportedOnly(t *testing.T) {
	t.Parallel()
	f := facts(section())
	f.Servers[0].UserToken = diagnose.UserTokenRefused
	r := diagnose.Judge(f)
	if got := r.GitLab[0].UserToken; got != diagnose.UserTokenRefused {
		t.Errorf("user token: got %q, want refused", got)
	}
	if got := brief(r.Sections[0]); got != "valid" {
		t.Errorf("got %s, want valid", got)
	}
	if got := r.Sections[0].Untold; !strings.Contains(got, "refused (401)") || !strings.Contains(got, "read_api") {
		t.Errorf("untold: got %q, want the refusal and the scope", got)
	}
}

func TestRuleThirteenConfigs(t *testing.T) {
	t.Parallel()
	broken := diagnose.Config{Path: "b.toml", Err: "b.toml:3: expected value"}
	f := facts(section())
	f.Configs = append(f.Configs, broken)
	r := diagnose.Judge(f)
	if got := r.Configs[1]; got.Error != broken.Err || got.Path != "b.toml" {
		t.Errorf("got %+v, want the error of b.toml", got)
	}
	if !r.Fails(rekey.Failing) || r.NothingRead() {
		t.Errorf("one of two unreadable: got fails %v, nothing read %v; want true, false", r.Fails(rekey.Failing), r.NothingRead())
	}
	r = diagnose.Judge(diagnose.Facts{Configs: []diagnose.Config{broken}})
	if !r.NothingRead() {
		t.Errorf("all unreadable: got nothing read false, want true")
	}
}

func TestListsAreNeverNull(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]diagnose.Facts{"nothing": {}, "one": facts(section())} {
		raw, err := json.Marshal(diagnose.Judge(f))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "null") {
			t.Errorf("%s: got %s, want no null", name, raw)
		}
	}
}

func TestWorstCountsTopLevelOnly(t *testing.T) {
	t.Parallel()
	r := diagnose.Report{Sections: []diagnose.SectionReport{{Findings: []rekey.Finding{
		{Severity: rekey.Info, Because: []rekey.Finding{{Severity: rekey.Failing}}}}}}}
	if got := r.Worst(); got != rekey.Info {
		t.Errorf("got %q, want info", got)
	}
	if r.Fails(rekey.Warning) || !r.Fails(rekey.Info) {
		t.Errorf("got fails(warning) %v, fails(info) %v; want false, true", r.Fails(rekey.Warning), r.Fails(rekey.Info))
	}
	if got := (diagnose.Report{}).Worst(); got != "" {
		t.Errorf("empty report: got %q, want nothing", got)
	}
	if (diagnose.Report{}).Fails(rekey.Info) {
		t.Errorf("empty report fails, want not")
	}
}

func TestFindingsAreSorted(t *testing.T) {
	t.Parallel()
	s := judgeOne(t, facts(section(looked(diagnose.LookupFound), record(func(r *diagnose.Record) {
		r.Runner.Paused, r.Runner.Version = true, "15.0.0"
	}))))
	got := []rekey.Cause{}
	for _, f := range s.Findings {
		got = append(got, f.Cause)
	}
	if want := []rekey.Cause{rekey.OnlineButIdle, rekey.VersionSkew}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
