package gitlab_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/lab/labtest"
)

func client(t *testing.T, url, token string) *gitlab.Client {
	t.Helper()
	c, err := gitlab.NewClient(gitlab.Options{URL: url, Token: rekey.NewToken(token), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProbeAgainstTheLabOfEachVersion(t *testing.T) {
	t.Parallel()
	for version, discovery := range map[string]bool{"15.11": false, "17.11": false, "18.6": false, "18.7": true, "19.3": true} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := labtest.Start(t, labtest.Options{Version: version})
			p := gitlab.NewProber(gitlab.Options{Now: time.Now})
			made := l.Runner("instance", 0, nil)
			good := p.Probe(t.Context(), gitlab.ProbeRequest{URL: l.URL, Token: rekey.NewToken(made.Token), SystemID: "s_0123456789ab"})
			bad := p.Probe(t.Context(), gitlab.ProbeRequest{URL: l.URL, Token: rekey.NewToken("glrt-CANARYnobodynobody"), SystemID: "s_0123456789ab"})
			if good.Kind != rekey.AnswerAccepted || bad.Kind != rekey.AnswerRefused {
				t.Errorf("good %q (%s), bad %q (%s), want accepted, refused", good.Kind, good.Message, bad.Kind, bad.Message)
			}
			if has, known := p.HasDiscovery(l.URL); has != discovery || !known {
				t.Errorf("HasDiscovery = %v, %v, want %v, true", has, known, discovery)
			}
			managers, known, err := client(t, l.URL, l.Admin).Managers(t.Context(), rekey.RunnerID(made.ID))
			wantManagers := map[bool]int{true: 0, false: 1}[discovery]
			if err != nil || known != (version >= "17.1") || known && len(managers) != wantManagers {
				t.Errorf("managers %v, known %v, %v, want %d where they are listed", managers, known, err, wantManagers)
			}
		})
	}
}

func TestMaintenanceModeOfTheLabRefusesNoToken(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]rekey.AnswerKind{"17.11": rekey.AnswerReadOnly, "18.7": rekey.AnswerAccepted} {
		l := labtest.Start(t, labtest.Options{Version: version})
		made := l.Runner("instance", 0, nil)
		l.Setting(labtest.M{"maintenance_mode": true})
		a := gitlab.NewProber(gitlab.Options{Now: time.Now}).Probe(t.Context(), gitlab.ProbeRequest{URL: l.URL, Token: rekey.NewToken(made.Token), SystemID: "s_0123456789ab"})
		if a.Kind != want {
			t.Errorf("%s: got %q (%s), want %q", version, a.Kind, a.Message, want)
		}
		_, err := client(t, l.URL, l.Admin).ResetRunner(t.Context(), rekey.RunnerID(made.ID), nil)
		if !errors.Is(err, gitlab.ErrReadOnly) || gitlab.OutcomeUnknown(err) {
			t.Errorf("%s: reset: %v, want read-only, known not done", version, err)
		}
	}
}

func TestWrongPathOnTheLab(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	p := gitlab.NewProber(gitlab.Options{Now: time.Now})
	a := p.Probe(t.Context(), gitlab.ProbeRequest{URL: l.URL + "/group/project", Token: rekey.NewToken("glrt-CANARYnobodynobody"), SystemID: "s_0123456789ab"})
	if (a.Kind != rekey.AnswerNotFound && a.Kind != rekey.AnswerRedirected) || a.IsGitLab == "" {
		t.Errorf("got %q %q, is %q, want not-found or redirected on what shows itself as GitLab", a.Kind, a.Message, a.IsGitLab)
	}
}

func TestRegistrationSwitchOfTheLab(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]bool{"self-managed": true, "gitlab.com": false} {
		l := labtest.Start(t, labtest.Options{Profile: profile})
		allowed, evidence := gitlab.NewProber(gitlab.Options{Now: time.Now}).ProbeRegistration(t.Context(), l.URL, "")
		if allowed == nil || *allowed != want {
			t.Errorf("%s: allowed %v (%s), want %v", profile, allowed, evidence.Seen, want)
		}
		s, err := client(t, l.URL, l.Admin).Settings(t.Context())
		if err != nil || s.RegistrationAllowed == nil || *s.RegistrationAllowed != want {
			t.Errorf("%s: settings %+v, %v, want %v", profile, s, err, want)
		}
	}
}

func TestLifeOfARecordOnTheLab(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.7"})
	c, ctx := client(t, l.URL, l.Admin), t.Context()
	group := l.Group("top", 0)
	first, _ := l.Project("first", group)
	second, path := l.Project("second", group)
	var sealed [][]byte
	seal := func(raw []byte) error { sealed = append(sealed, raw); return nil }

	issued, err := c.CreateRunner(ctx, rekey.NewRunner{Scope: rekey.ScopeProject, Owner: first, Description: "d", Tags: []string{"rekey-op1"}}, seal)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.FindByTag(ctx, "rekey-op1")
	if err != nil || len(found) != 1 || found[0].ID != issued.ID || found[0].Scope != rekey.ScopeProject {
		t.Fatalf("FindByTag = %+v, %v, want the new record", found, err)
	}
	if err := c.AssignProject(ctx, path, issued.ID); err != nil {
		t.Error(err)
	}
	tags, timeout, locked := []string{"prod"}, time.Hour, true
	r, err := c.UpdateRunner(ctx, issued.ID, rekey.RunnerEdit{Tags: &tags, MaximumTimeout: &timeout, Locked: &locked})
	if err != nil || r.MaximumTimeout != time.Hour || !r.Locked || len(r.Tags) != 1 || r.Tags[0] != "prod" || len(r.Projects) != 2 {
		t.Errorf("updated %+v, %v", r, err)
	}
	if err := c.UnassignProject(ctx, strconv.FormatInt(second, 10), issued.ID); err != nil && rekey.KindOf(err) != rekey.KindDenied {
		t.Error(err)
	}
	again, err := c.ResetRunner(ctx, issued.ID, seal)
	if err != nil || again.Token == issued.Token || again.Token.IsZero() || len(sealed) != 2 {
		t.Errorf("reset %+v, %v, sealed %d answers, want another token and 2", again, err, len(sealed))
	}
	p := gitlab.NewProber(gitlab.Options{Now: time.Now})
	for token, want := range map[rekey.Token]rekey.AnswerKind{issued.Token: rekey.AnswerRefused, again.Token: rekey.AnswerAccepted} {
		if a := p.Probe(ctx, gitlab.ProbeRequest{URL: l.URL, Token: token}); a.Kind != want {
			t.Errorf("%s: got %q, want %q", token, a.Kind, want)
		}
	}
	if err := c.DeleteRunner(ctx, issued.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Runner(ctx, issued.ID); rekey.KindOf(err) != rekey.KindNotFound || errors.Is(err, gitlab.ErrNoRoute) {
		t.Errorf("after delete: %v, want not found", err)
	}
}

func TestScopesOfTheLab(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	ctx, seal := t.Context(), func([]byte) error { return nil }
	user := l.User("dev")
	made := l.Runner("instance", 0, nil)
	for scope, check := range map[string]func(*gitlab.Client) (string, error){
		"read_api": func(c *gitlab.Client) (string, error) {
			_, err := c.CreateRunner(ctx, rekey.NewRunner{Scope: rekey.ScopeInstance, RunUntagged: true}, seal)
			return "create_runner", err
		},
		"create_runner": func(c *gitlab.Client) (string, error) { _, err := c.FindByTag(ctx, "x"); return "read_api", err },
		"read_user": func(c *gitlab.Client) (string, error) {
			_, err := c.Runner(ctx, rekey.RunnerID(made.ID))
			return "manage_runner", err
		},
		"api": func(c *gitlab.Client) (string, error) {
			_, err := c.CreateRunner(ctx, rekey.NewRunner{Scope: rekey.ScopeInstance, RunUntagged: true}, seal)
			return "administrator", err
		},
	} {
		hint, err := check(client(t, l.URL, l.PAT(user, scope)))
		if rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(rekey.HintOf(err), hint) || gitlab.OutcomeUnknown(err) {
			t.Errorf("%s: %v (%s, hint %q), want denied with a hint at %s", scope, err, rekey.KindOf(err), rekey.HintOf(err), hint)
		}
	}
	if u, err := client(t, l.URL, l.Admin).WhoAmI(ctx); err != nil || u.Name == "" || !u.Admin {
		t.Errorf("WhoAmI = %+v, %v, want the administrator", u, err)
	}
	if _, v, err := client(t, l.URL, l.Admin).Version(ctx); err != nil || !v.AtLeast(17, 11) {
		t.Errorf("Version = %v, %v, want 17.11", v, err)
	}
}

func TestPipelineOnTheLab(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.1", Profile: "gitlab.com"})
	c, ctx := client(t, l.URL, l.Admin), t.Context()
	id, path := l.Project("canary", l.Group("top", 0))
	l.CIConfig(id, "job:\n  tags: [rekey-canary]\n  script: [echo hello]\n")
	if _, err := c.CreatePipeline(ctx, path, "main", map[string]string{"X": "1"}); !errors.Is(err, gitlab.ErrVariablesRefused) {
		t.Errorf("with a variable: %v, want it refused, as in GitLab.com's new namespaces", err)
	}
	p, err := c.CreatePipeline(ctx, path, "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := c.PipelineJobs(ctx, path, p.ID)
	if err != nil || len(jobs) != 1 || jobs[0].Status != "pending" || jobs[0].RunnerID != 0 || len(jobs[0].Tags) != 1 {
		t.Fatalf("jobs %+v, %v, want one pending", jobs, err)
	}
	j, err := c.Job(ctx, path, jobs[0].ID)
	if err != nil || j.ID != jobs[0].ID || j.WebURL == "" {
		t.Errorf("job %+v, %v", j, err)
	}
	if project, n, err := c.ParseJobURL(j.WebURL); err != nil || project != path || n != j.ID {
		t.Errorf("ParseJobURL(%q) = %q, %d, %v, want %q, %d", j.WebURL, project, n, err, path, j.ID)
	}
	if err := c.CancelPipeline(ctx, path, p.ID); err != nil {
		t.Error(err)
	}
	if project, err := c.Project(ctx, path); err != nil || project.ID != id || project.Namespace != "top" || project.DefaultBranch != "main" {
		t.Errorf("project %+v, %v", project, err)
	}
	if _, err := c.CreatePipeline(ctx, path, "no-such-branch", nil); rekey.KindOf(err) != rekey.KindInvalid || !strings.Contains(err.Error(), "Reference not found") {
		t.Errorf("bad ref: %v, want invalid with GitLab's reason", err)
	}
}
