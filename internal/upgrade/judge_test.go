package upgrade_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/fleet"
	"rekey/internal/upgrade"
)

const base = "https://gitlab.example.com"

var (
	created      = rekey.NewToken("glrt-CANARYCANARYCANARY00")
	newLegacy    = rekey.NewToken("glrtr-CANARYCANARYCANARY00")
	oldLegacy    = rekey.NewToken("CANARYcanaryCANARY01")
	registration = rekey.NewToken("GR1348941CANARYCANARYCANARY00")
)

func ver(t *testing.T, text string) rekey.Version {
	t.Helper()
	v, err := rekey.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// facts is one section at one GitLab 17.11 that accepts its token.
func facts(token rekey.Token, change func(*diagnose.Section, *diagnose.Server)) diagnose.Facts {
	s := diagnose.Section{Config: "config.toml", Index: 0, Line: 4, Name: "one", URL: base + "/", RunnerID: 7, Token: token, SystemID: "s_0123456789ab",
		Answer: rekey.Answer{Kind: rekey.AnswerAccepted, Status: 200, Request: "POST " + base + "/api/v4/runners/verify", At: time.Unix(1_750_000_000, 0)}}
	server := diagnose.Server{URL: base, Version: rekey.Version{Major: 17, Minor: 11}, VersionText: "17.11.0", UserToken: diagnose.UserTokenAccepted}
	if change != nil {
		change(&s, &server)
	}
	return diagnose.Facts{Now: time.Unix(1_750_000_000, 0), Servers: []diagnose.Server{server}, Configs: []diagnose.Config{{Path: "config.toml", Sections: []diagnose.Section{s}}}}
}

func judge(t *testing.T, f diagnose.Facts, target string) *upgrade.Report {
	t.Helper()
	return upgrade.Judge(f, diagnose.Judge(f), ver(t, target))
}

func switched(on bool) func(*diagnose.Section, *diagnose.Server) {
	return func(_ *diagnose.Section, s *diagnose.Server) {
		s.RegistrationAllowed = &on
		s.RegistrationEvidence = rekey.Evidence{Seen: "the setting was read"}
	}
}

func manager(version string) func(*diagnose.Section, *diagnose.Server) {
	return func(s *diagnose.Section, _ *diagnose.Server) {
		s.Record = diagnose.Record{Lookup: diagnose.LookupFound, Runner: rekey.Runner{ID: 7, Scope: rekey.ScopeInstance, RunUntagged: true},
			Managers: []rekey.Manager{{SystemID: s.SystemID, Version: version, Status: "online"}}, ManagersKnown: true}
	}
}

func com(s *diagnose.Section, server *diagnose.Server) {
	s.URL, server.URL = "https://gitlab.com/", "https://gitlab.com"
}

// TestEffects: what each fact becomes, and by which row.
func TestEffects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts  diagnose.Facts
		target string
		effect upgrade.Effect
		slug   string // of the first reason with that effect
	}{
		"created":                          {facts(created, nil), "18.0", upgrade.Fine, "created-token"},
		"created, far ahead":               {facts(created, nil), "20.0", upgrade.Fine, "created-token"},
		"glrtr-":                           {facts(newLegacy, nil), "18.0", upgrade.Deprecated, "registered-the-old-way"},
		"glrtr- keeps working at 20":       {facts(newLegacy, nil), "20.0", upgrade.Deprecated, "registered-the-old-way"},
		"twenty characters":                {facts(oldLegacy, nil), "18.0", upgrade.Deprecated, "registered-the-old-way"},
		"registration, switch unread":      {facts(registration, nil), "17.0", upgrade.Deprecated, "registration-deprecated"},
		"registration, switch on":          {facts(registration, switched(true)), "19.3", upgrade.Deprecated, "registration-deprecated"},
		"registration, switch off":         {facts(registration, switched(false)), "18.0", upgrade.Breaks, "registration-switch"},
		"registration at GitLab.com":       {facts(registration, com), "17.0", upgrade.Breaks, "com-registration-off"},
		"registration at 20":               {facts(registration, switched(true)), "20.0", upgrade.Breaks, "registration-removed"},
		"runner of the same version":       {facts(created, manager("18.0.1")), "18.0", upgrade.Fine, "version-skew"},
		"runner a minor behind":            {facts(created, manager("18.0.1")), "18.4", upgrade.Fine, "version-skew"},
		"runner a major behind":            {facts(created, manager("17.11.0")), "18.0", upgrade.Deprecated, "version-skew"},
		"runner two majors behind":         {facts(created, manager("16.11.0")), "18.0", upgrade.Unknown, "version-skew"},
		"runner newer":                     {facts(created, manager("19.1.0")), "18.0", upgrade.Fine, "version-skew"},
		"runner version unreadable":        {facts(created, manager("")), "18.0", upgrade.Fine, "created-token"},
		"url with /ci":                     {facts(created, func(s *diagnose.Section, _ *diagnose.Server) { s.URL = base + "/ci" }), "18.7", upgrade.Deprecated, "url-ci-suffix"},
		"url with /ci, before the warning": {facts(created, func(s *diagnose.Section, _ *diagnose.Server) { s.URL = base + "/ci" }), "18.6", upgrade.Fine, "created-token"},
		"refused today": {facts(created, func(s *diagnose.Section, _ *diagnose.Server) {
			s.Answer.Kind, s.Answer.Status = rekey.AnswerRefused, 403
		}), "18.0", upgrade.Unknown, "not-valid-today"},
		"not reached today": {facts(created, func(s *diagnose.Section, _ *diagnose.Server) { s.Answer.Kind = rekey.AnswerUnreachable }), "18.0", upgrade.Unknown, "not-valid-today"},
		"project record without projects": {facts(created, func(s *diagnose.Section, server *diagnose.Server) {
			manager("17.0.0")(s, server)
			s.Record.Runner.Scope, server.Version = rekey.ScopeProject, rekey.Version{Major: 17, Minor: 3}
		}), "17.11", upgrade.Unknown, "orphans-refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judge(t, c.facts, c.target)
			got := r.Sections[0]
			if got.Effect != c.effect || !slices.ContainsFunc(got.Reasons, func(r upgrade.Reason) bool { return r.Effect == c.effect && r.Slug == c.slug }) {
				t.Errorf("%s: %+v; want %s because of %s", got.Effect, got.Reasons, c.effect, c.slug)
			}
			for _, reason := range got.Reasons {
				if reason.Text == "" || reason.Source == "" || strings.Contains(reason.Text, "CANARY") {
					t.Errorf("%+v lacks text or source, or shows a token", reason)
				}
			}
		})
	}
}

// TestRegistrationIsDeprecatedUntilItsEnd: no version before 20 breaks a server
// whose switch is on or was not read; the token's own section is named deprecated.
func TestRegistrationIsDeprecatedUntilItsEnd(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"15.11", "16.6", "17.0", "17.11", "18.0", "19.3"} {
		for name, change := range map[string]func(*diagnose.Section, *diagnose.Server){"unread": nil, "on": switched(true)} {
			r := judge(t, facts(registration, change), target)
			got := r.Sections[0]
			if got.Effect == upgrade.Breaks || r.Summary.Breaks != 0 {
				t.Errorf("%s, switch %s: breaks (%+v), want not", target, name, got.Reasons)
			}
			if !slices.ContainsFunc(got.Reasons, func(r upgrade.Reason) bool {
				return r.Slug == "registration-deprecated" && r.Effect == upgrade.Deprecated
			}) {
				t.Errorf("%s, switch %s: %+v, want registration-deprecated among them", target, name, got.Reasons)
			}
		}
	}
}

// TestLogsTellHowRunnersCome: a line of register is evidence about its GitLab.
func TestLogsTellHowRunnersCome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, url, target string
		effect          upgrade.Effect
	}{
		{"register-deprecated", "", "18.0", upgrade.Deprecated},
		{"register-deprecated", "", "20.0", upgrade.Breaks},
		{"register-compatible", "", "19.3", upgrade.Deprecated},
		{"register-compatible", "", "20.0", upgrade.Breaks},
		{"register-failed/gone", base + "/api/v4/runners", "18.0", upgrade.Breaks},
		{"register-failed/gone", "https://other.example.com/api/v4/runners", "18.0", upgrade.Fine},
		{"poll-forbidden", "", "20.0", upgrade.Fine},
	} {
		f := facts(created, nil)
		f.Logs = []diagnose.LogLine{{Log: "runner.log", Number: 3, ID: c.id, URL: c.url}}
		r := judge(t, f, c.target)
		if got := r.GitLab[0].Effect; got != c.effect || r.Summary.Effect != c.effect {
			t.Errorf("%s at %s: %s (all: %s), want %s", c.id, c.target, got, r.Summary.Effect, c.effect)
		}
	}
}

func TestFailsByThreshold(t *testing.T) {
	t.Parallel()
	for effect, want := range map[upgrade.Effect][3]bool{ // info, warning, error
		upgrade.Fine: {false, false, false}, upgrade.Deprecated: {true, true, false}, upgrade.Unknown: {true, true, false}, upgrade.Breaks: {true, true, true}, "": {false, false, false},
	} {
		r := &upgrade.Report{Summary: upgrade.Summary{Effect: effect}}
		got := [3]bool{r.Fails(rekey.Info), r.Fails(rekey.Warning), r.Fails(rekey.Failing)}
		if got != want {
			t.Errorf("%q fails at info, warning, error: %v, want %v", effect, got, want)
		}
	}
	var none *upgrade.Report
	if none.Fails(rekey.Info) {
		t.Error("no judgement fails, want not")
	}
}

// TestWhatLiesOnTheWay: the rows between, and a target behind the server is said.
func TestWhatLiesOnTheWay(t *testing.T) {
	t.Parallel()
	r := judge(t, facts(created, nil), "18.5")
	for _, row := range r.GitLab[0].Crossed {
		if row.Source == "" || row.Since == "" {
			t.Errorf("%+v lacks its source or its version", row)
		}
	}
	if len(r.GitLab[0].Crossed) == 0 {
		t.Error("nothing lies between 17.11 and 18.5, want rows")
	}
	r = judge(t, facts(created, nil), "17.0")
	if len(r.GitLab[0].Crossed) != 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "already, and a GitLab does not go back") {
		t.Errorf("17.0 from 17.11: %+v, %q; want nothing crossed and a note", r.GitLab[0].Crossed, r.Notes)
	}
	f := facts(created, func(_ *diagnose.Section, s *diagnose.Server) { s.Version, s.VersionText = rekey.Version{}, "" })
	if r := judge(t, f, "18.0"); !strings.Contains(strings.Join(r.Notes, "\n"), "is not known") {
		t.Errorf("unknown version: %q, want a note", r.Notes)
	}
}

// TestEverySlugIsARow: what is said of versions comes from the table, with its source.
func TestEverySlugIsARow(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{"not-valid-today": true, "version-skew": true}
	for _, row := range fleet.Changes() {
		rows[row.ID] = true
	}
	for _, token := range []rekey.Token{created, newLegacy, oldLegacy, registration} {
		for _, target := range []string{"15.11", "17.0", "18.7", "20.0"} {
			for _, reason := range judge(t, facts(token, manager("15.0.0")), target).Sections[0].Reasons {
				if !rows[reason.Slug] {
					t.Errorf("%s is no row of the version table", reason.Slug)
				}
			}
		}
	}
}
