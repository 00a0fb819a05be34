package diagnose_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

func TestEvidenceSaysWhatWasSeenAndWhere(t *testing.T) {
	t.Parallel()
	const file = "/etc/gitlab-runner/config.toml:12: "
	for _, tc := range []struct {
		name  string
		edits []edit
		cause rekey.Cause
		want  []string
		not   []string
	}{
		{"the answer", []edit{answered(rekey.AnswerReadOnly)}, rekey.ServerReadOnly,
			[]string{"POST " + base + "/api/v4/runners/verify: the answer was 403 (said read-only)"}, nil},
		{"the wait", []edit{answered(rekey.AnswerRateLimited), func(s *diagnose.Section) { s.Answer.RetryAfter = time.Minute }}, rekey.RateLimited,
			[]string{"429", "wait 1m0s"}, nil},
		{"the redirect's target, without its query", []edit{answered(rekey.AnswerRedirected), func(s *diagnose.Section) {
			s.Answer.Location, s.Answer.IsGitLab = base+"/users/sign_in?x=CANARY", "its headers"
		}}, rekey.WrongInstance, []string{"a redirect to " + base + "/users/sign_in, which", "its headers"}, []string{"CANARY"}},
		{"what is wrong with the text", []edit{notAsked, token("glrt-CANARYaaaaaaaaaaaaaa\n")}, rekey.MalformedToken,
			[]string{file + "malformed:", "it holds a newline", "the rest is runner:"}, []string{"CANARY"}},
		{"why it is suspected", []edit{answered(rekey.AnswerRefused), token("glrt-CANARY")}, rekey.MalformedToken,
			[]string{"only 6 characters follow the prefix"}, []string{"CANARY"}},
		{"the variable", []edit{notAsked, token("${RUNNER_TOKEN}"), func(s *diagnose.Section) { s.Unset = []string{"RUNNER_TOKEN"} }}, rekey.EnvironmentReference,
			[]string{file, "${RUNNER_TOKEN}, which is not set in doctor's environment"}, nil},
		{"only the unset variable", []edit{notAsked, token("${T}"), func(s *diagnose.Section) { s.URL, s.Unset = "${U}", []string{"U"} }}, rekey.EnvironmentReference,
			[]string{"refers to ${U}, which"}, []string{"${T}"}},
		{"no piece of a token as a variable", []edit{notAsked, token("glrt-aaaa$CANARYaaaaaaaa"), func(s *diagnose.Section) { s.Unset = []string{"CANARYaaaaaaaa"} }},
			rekey.EnvironmentReference, []string{"what follows a `$` in the token's text"}, []string{"CANARY"}},
		{"a gitlab-runner that expands nothing", []edit{notAsked, token("${T}"), record(func(r *diagnose.Record) { r.Runner.Version = "17.11.0" })},
			rekey.EnvironmentReference, []string{"gitlab-runner is 17.11.0, which expands no reference"}, nil},
		{"a gitlab-runner that expands", []edit{notAsked, token("${T}"), record(func(r *diagnose.Record) { r.Runner.Version = "18.10.0" })},
			rekey.EnvironmentReference, nil, []string{"expands no reference"}},
		{"what would decide", []edit{answered(rekey.AnswerRefused)}, rekey.RecordDeleted,
			[]string{"GET /runners/7 with a user token would decide: 404 means deleted, 200 rotated"}, nil},
		{"that nothing would", []edit{answered(rekey.AnswerRefused), func(s *diagnose.Section) { s.RunnerID = 0 }}, rekey.RotatedElsewhere,
			[]string{"not even an administrator's token"}, nil},
		{"a record younger than the token", []edit{answered(rekey.AnswerRefused), record(func(r *diagnose.Record) { r.Runner.CreatedAt = now })},
			rekey.RotatedElsewhere, []string{"it may be another runner under the same id"}, nil},
		{"the clock", []edit{answered(rekey.AnswerRefused), func(s *diagnose.Section) { s.ExpiresAt = now.Add(-time.Hour) }}, rekey.TokenExpired,
			[]string{"`token_expires_at` is 2025-06-01 11:00 UTC, past by the server's Date (2025-06-01 12:00 UTC)"}, nil},
		{"why nothing was asked", []edit{notAsked}, rekey.Unreachable, []string{"GitLab was not asked about this token: --no-touch was given"}, nil},
		{"the system id", []edit{notAsked, func(s *diagnose.Section) { s.SystemID, s.SystemIDProblem = "", "permission denied" }}, rekey.Unreachable,
			[]string{"no system id of this host: permission denied"}, nil},
		{"both versions", []edit{record(func(r *diagnose.Record) { r.Runner.Version = "15.1.0" })}, rekey.VersionSkew,
			[]string{"gitlab-runner 15.1.0, which is more than one major version behind GitLab 17.11.0", "GET /version"}, nil},
		{"a file's odd name", []edit{notAsked, token(""), func(s *diagnose.Section) { s.Config = "/etc/a?b#c.toml" }}, rekey.MalformedToken,
			[]string{"/etc/a?b#c.toml:12: "}, nil},
		{"the suffix", []edit{func(s *diagnose.Section) { s.URL = base + "/ci/" }}, rekey.WrongInstance, []string{base + "/ci/; gitlab-runner cuts"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := seen(judgeOne(t, facts(section(tc.edits...))), tc.cause)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("got:\n%s\nwant it to hold %q", got, want)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(got, not) {
					t.Errorf("got:\n%s\nwant it not to hold %q", got, not)
				}
			}
		})
	}
}

func TestEvidenceOfTheRegistrationSetting(t *testing.T) {
	t.Parallel()
	off := false
	f := facts(section(notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")))
	f.Servers[0].RegistrationAllowed = &off
	f.Servers[0].RegistrationEvidence = rekey.Evidence{Seen: "the setting is off", Where: "GET /application/settings", At: now}
	if got, want := seen(judgeOne(t, f), rekey.LegacyRegistrationDisabled), "GET /application/settings: the setting is off"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUntoldNamesTheRight(t *testing.T) {
	t.Parallel()
	user := func(u diagnose.UserToken) func(*diagnose.Facts) {
		return func(f *diagnose.Facts) {
			f.Servers[0].UserToken, f.Servers[0].UserTokenDetail = u, "scope read_api"
		}
	}
	for _, tc := range []struct {
		name  string
		edits []edit
		facts func(*diagnose.Facts)
		want  []string
	}{
		{"valid, no user token", nil, nil, []string{"whether the runner is paused", "no user token was given", "read_api", "manage_runner", "Maintainer"}},
		{"refused, no user token", []edit{answered(rekey.AnswerRefused)}, nil, []string{"deleted, or its token reset elsewhere", "read_api"}},
		{"refused, no id", []edit{answered(rekey.AnswerRefused), func(s *diagnose.Section) { s.RunnerID = 0 }}, user(diagnose.UserTokenAccepted),
			[]string{"no runner id", "description or tags"}},
		{"denied", []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupDenied)}, user(diagnose.UserTokenAccepted), []string{"may not see runner 7", "Maintainer"}},
		{"limited", []edit{answered(rekey.AnswerRefused)}, user(diagnose.UserTokenLimited), []string{"lacks a right (scope read_api)"}},
		{"refused user token", []edit{answered(rekey.AnswerRefused)}, user(diagnose.UserTokenRefused), []string{"refused (401)"}},
		{"expected project", nil, func(f *diagnose.Facts) { f.Expect.Project = "team/app" }, []string{"whether the runner serves project team/app"}},
		{"expected project of a group runner by id", []edit{record(func(r *diagnose.Record) { r.Runner.Scope = rekey.ScopeGroup })},
			func(f *diagnose.Facts) { f.Expect.Project = "3" }, []string{"give the project's path"}},
		{"registration setting", []edit{notAsked, token("GR1348941CANARYaaaaaaaaaaaaaa")}, nil, []string{"administrator", "read_api"}},
		{"the id is another's", []edit{looked(diagnose.LookupGone)}, nil, []string{"the section's id is wrong"}},
		{"not asked, gone", []edit{notAsked, looked(diagnose.LookupGone)}, nil, []string{"was not asked about this token"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			if tc.facts != nil {
				tc.facts(&f)
			}
			got := judgeOne(t, f).Untold
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want it to hold %q", got, want)
				}
			}
		})
	}
}

func TestUntoldIsEmptyWhereAllIsKnown(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]diagnose.Section{
		"valid": section(looked(diagnose.LookupFound)), "rotated": section(answered(rekey.AnswerRefused), looked(diagnose.LookupFound)),
		"deleted": section(answered(rekey.AnswerRefused), looked(diagnose.LookupGone)),
	} {
		if got := judgeOne(t, facts(s)).Untold; got != "" {
			t.Errorf("%s: got %q, want nothing untold", name, got)
		}
	}
}

func TestOneTokenInThousandsOfSections(t *testing.T) {
	t.Parallel()
	sections := make([]diagnose.Section, 1000)
	for i := range sections {
		sections[i] = section()
	}
	r := diagnose.Judge(facts(sections...))
	if got := len(r.Sections[999].Findings[0].Evidence); got != 6 {
		t.Errorf("evidence of duplicate-token: got %d entries, want 5 and the number of the rest", got)
	}
}
