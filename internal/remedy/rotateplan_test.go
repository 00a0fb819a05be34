package remedy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

// planner plans rotations as an administrator with all scopes.
func (w *world) planner() *remedy.RotationPlanner {
	return &remedy.RotationPlanner{
		Host: host{w}, Probe: w.probe, Now: w.clock.Now,
		GitLab:     func(string) remedy.GitLab { return gitLab{w} },
		SameGitLab: func(a, b string) bool { return a == b },
		Generated:  func(string) string { return "" },
		Rights:     func(string) ([]string, bool) { return []string{"api"}, true },
		Admin:      func(string) bool { return true },
	}
}

func (w *world) plan(p *remedy.RotationPlanner) rekey.Plan {
	w.t.Helper()
	plan, err := p.Plan(w.t.Context(), []string{w.config})
	if err != nil {
		w.t.Fatal(err)
	}
	return plan
}

// edit changes the text of the config.
func (w *world) edit(old, new string) {
	w.t.Helper()
	data, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.config, []byte(strings.ReplaceAll(string(data), old, new)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

const executorLine = `  executor = "shell"`

func (w *world) dated(obtained, expires time.Time) {
	w.t.Helper()
	w.edit(executorLine, fmt.Sprintf("  token_obtained_at = %s\n  token_expires_at = %s\n%s",
		obtained.UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339), executorLine))
}

// TestWhatIsNotRotated has a row for each reason to leave a good token alone, with
// what is offered instead.
func TestWhatIsNotRotated(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		plant  func(*world, labtest.Issued, *remedy.RotationPlanner)
		reason string
		next   string
	}{
		"another manager is online": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) {
			w.polls(rekey.NewToken(r.Token), "s_ba9876543210")
		}, "s_ba9876543210", "--config"},
		"managers are not named": {func(w *world, _ labtest.Issued, _ *remedy.RotationPlanner) { w.unnamed = true }, "cannot be told", "try again after"},
		"docker-autoscaler":      {executor("docker-autoscaler"), "no overlap", "in-place"},
		"instance executor":      {executor("instance"), "no overlap", "in-place"},
		"docker+machine":         {executor("docker+machine"), "orphaned", "in-place"},
		"this very runner": {func(w *world, r labtest.Issued, p *remedy.RotationPlanner) {
			p.Flags.Self, p.Flags.SelfURL = rekey.RunnerID(r.ID), w.URL
		}, "CI_RUNNER_ID", "another runner"},
		"this very runner, in a section without an id": {func(w *world, r labtest.Issued, p *remedy.RotationPlanner) {
			w.edit(fmt.Sprintf("  id = %d\n", r.ID), "")
			p.Flags.Self, p.Flags.SelfURL = rekey.RunnerID(r.ID), w.URL
		}, "CI_RUNNER_ID", "another runner"},
		"this very runner, of an unknown GitLab": {func(w *world, r labtest.Issued, p *remedy.RotationPlanner) {
			p.Flags.Self = rekey.RunnerID(r.ID)
		}, "CI_RUNNER_ID", "another runner"},
		"another runner of this machine, with its system id": {func(w *world, r labtest.Issued, p *remedy.RotationPlanner) {
			p.Neighbours = func([]string) []remedy.Neighbour {
				return []remedy.Neighbour{{Name: "/other/broken.toml", Data: []byte("[[")}, {Name: "/other/config.toml", Data: fmt.Appendf(nil, "[[runners]]\n  url = %q\n  token = %q\n", w.URL, r.Token)}}
			}
		}, "/other/config.toml", "--config"},
		"a rotation of another state directory": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) {
			w.edit("[[runners]]\n", fmt.Sprintf("[[runners]]\n  name = \"one rekey-20260401t101500abcd-1\"\n  url = %q\n  token = %q\n  executor = \"shell\"\n[[runners]]\n", w.URL, dead))
		}, "second section", "--state-dir"},
		"docker-autoscaler that is idle and takes jobs": {func(w *world, r labtest.Issued, p *remedy.RotationPlanner) {
			executor("docker-autoscaler")(w, r, p)
			p.Flags.Strategy = rekey.RemedyReset
		}, "not paused", "pause runner"},
		"instance runner without an administrator": {func(_ *world, _ labtest.Issued, p *remedy.RotationPlanner) {
			p.Admin = func(string) bool { return false }
		}, "administrator", "in-place"},
		"generated file": {func(_ *world, _ labtest.Issued, p *remedy.RotationPlanner) {
			p.Generated = func(string) string { return "Ansible" }
		}, "written by Ansible", "source"},
		"kept by Terraform": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) {
			w.Must(200, "PUT", "runners/"+itoa(r.ID), labtest.M{"maintenance_note": "Managed by Terraform"}, nil)
		}, "Terraform", "terraform apply"},
		"no scope": {func(_ *world, _ labtest.Issued, p *remedy.RotationPlanner) {
			p.Rights = func(string) ([]string, bool) { return []string{"manage_runner"}, true }
		}, "create_runner", "make a token"},
		"no user token": {func(_ *world, _ labtest.Issued, p *remedy.RotationPlanner) {
			p.GitLab = func(string) remedy.GitLab { return nil }
		}, "user token", "GITLAB_TOKEN"},
		"the token is refused": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) { w.edit(r.Token, dead) }, "refuses", "rekey fix"},
		"another record's token": {func(w *world, _ labtest.Issued, _ *remedy.RotationPlanner) {
			other := w.Runner("instance", 0, nil)
			w.edit(fmt.Sprintf("id = %d", w.sections()[0].ID), fmt.Sprintf("id = %d", other.ID))
		}, "is of runner", "correct the id"},
		"the record is gone": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) {
			w.Must(204, "DELETE", "runners/"+itoa(r.ID), nil, nil)
		}, "refuses", "rekey fix"},
		"gitlab-runner is about to rotate": {func(w *world, _ labtest.Issued, _ *remedy.RotationPlanner) {
			w.dated(w.clock.Now().Add(-80*day), w.clock.Now().Add(20*day))
		}, "by itself", "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"},
		"inline sections": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) {
			text := fmt.Sprintf("runners = [{ name = \"one\", url = %q, id = %d, token = %q, executor = \"shell\" }]\n", w.URL, r.ID, r.Token)
			if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}, "second section", "in-place"},
		"a reference": {func(w *world, r labtest.Issued, _ *remedy.RotationPlanner) { w.edit(r.Token, "${TOKEN}") }, "reference", "variable"},
	} {
		w := all.fresh()
		_, record := w.served()
		p := w.planner()
		c.plant(w, record, p)
		if name == "a rotation of another state directory" {
			p.Flags.Runners = []string{"one"}
		}
		plan := w.plan(p)
		if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, c.reason) || !strings.Contains(plan.Left[0].Next, c.next) {
			t.Errorf("%s: got %d targets and %+v, want the section left, because of %q, with %q offered", name, len(plan.Targets), plan.Left, c.reason, c.next)
		}
	}
}

func executor(name string) func(*world, labtest.Issued, *remedy.RotationPlanner) {
	return func(w *world, _ labtest.Issued, _ *remedy.RotationPlanner) {
		w.edit(executorLine, fmt.Sprintf("  executor = %q", name))
	}
}

// A paused and idle runner whose machines hang on its token is reset in place.
func TestAPausedScalerIsReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, record := w.served()
	w.edit(executorLine, `  executor = "docker-autoscaler"`)
	w.Must(200, "PUT", "runners/"+itoa(record.ID), labtest.M{"paused": true}, nil)
	p := w.planner()
	p.Flags.Strategy = rekey.RemedyReset
	if plan := w.plan(p); len(plan.Targets) != 1 || plan.Targets[0].Remedy != rekey.RemedyReset {
		t.Errorf("got %+v, want one reset", plan)
	}
}

func TestAPlanLimitLeavesNoRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project, _ := w.Project("p", 0)
	var sections []section
	for _, name := range []string{"one", "two"} {
		r := w.Runner("project", project, labtest.M{"tag_list": []string{"x"}, "description": name})
		w.polls(rekey.NewToken(r.Token), ownSystem)
		sections = append(sections, section{name, r.Token, r.ID})
	}
	w.write(sections...)
	p := w.planner()
	p.Flags.Due, p.Flags.MaxAge = true, time.Hour
	p.RotatedAt = func(string, rekey.RunnerID) time.Time { return w.clock.Now().Add(-2 * time.Hour) }
	p.Headroom = func(context.Context, string, rekey.Scope, rekey.Ref) (int, bool) { return 1, true }
	plan := w.plan(p)
	if len(plan.Targets) != 1 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "no room") {
		t.Errorf("got %d targets and %+v left, want one of each: there is room for one", len(plan.Targets), plan.Left)
	}
}

// TestDue holds the dates to two thirds of the lifetime, before gitlab-runner's
// own three quarters, spread and the same at every call.
func TestDue(t *testing.T) {
	t.Parallel()
	obtained := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	seen := map[time.Time]bool{}
	for i := range 200 {
		name := fmt.Sprint("runner ", i)
		at, known := remedy.Due(obtained, obtained.Add(120*day), 0, name)
		again, _ := remedy.Due(obtained, obtained.Add(120*day), 0, name)
		if !known || at != again || at.After(obtained.Add(80*day)) || at.Before(obtained.Add(70*day)) {
			t.Fatalf("%s: due %s (%v), then %s, want the same between day 70 and day 80", name, at, known, again)
		}
		seen[at] = true
		old, known := remedy.Due(obtained, time.Time{}, 30*day, name)
		if !known || old.After(obtained.Add(30*day)) || old.Before(obtained.Add(27*day)) {
			t.Fatalf("%s: due %s (%v) by its age, want it within the last tenth of 30 days", name, old, known)
		}
	}
	if len(seen) < 190 {
		t.Errorf("200 runners are due at %d moments, want them spread", len(seen))
	}
	if _, known := remedy.Due(obtained, time.Time{}, 0, "x"); known {
		t.Error("a token that does not expire is due without a limit of age, want unknown")
	}
	if _, known := remedy.Due(time.Time{}, obtained, 30*day, "x"); known {
		t.Error("a token of unknown age is due, want unknown")
	}
}

// Nothing due: nothing is asked of anybody.
func TestNothingDueAsksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.served()
	w.dated(w.clock.Now().Add(-24*time.Hour), w.clock.Now().Add(9*24*time.Hour))
	p := w.planner()
	p.Flags.Due = true
	p.Rights = func(string) ([]string, bool) { t.Error("the user token was asked about"); return nil, false }
	plan := w.plan(p)
	if len(plan.Targets)+len(plan.Left) != 0 || len(w.calls) != 0 {
		t.Errorf("got %+v after the calls %v, want nothing", plan, w.calls)
	}
	p.Now = func() time.Time { return w.clock.Now().Add(6 * 24 * time.Hour) }
	p.Rights = w.planner().Rights
	if plan := w.plan(p); len(plan.Targets) != 1 || plan.Targets[0].Remedy != rekey.RemedyOverlap {
		t.Errorf("at seven tenths: got %+v, want one overlap", plan)
	}
}

// An expired token cannot reset itself: its record's is reset by id, and keeps the
// id.
func TestAnExpiredTokenIsResetByID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, record := w.served()
	w.Must(201, "POST", "runners/"+itoa(record.ID)+"/reset_authentication_token", nil, nil) // the lab refuses the file's token, as it would an expired one
	w.dated(w.clock.Now().Add(-100*time.Hour), w.clock.Now().Add(-time.Hour))
	plan := w.plan(w.planner())
	if len(plan.Targets) != 1 || plan.Targets[0].Remedy != rekey.RemedyReset {
		t.Fatalf("got %+v, want one reset", plan)
	}
	r := w.apply(plan.Targets...)[0]
	if s := w.sections()[0]; r.Status != rekey.StatusVerified || int64(s.ID) != record.ID || !w.accepted(s.Token) {
		t.Errorf("got %+v and runner %d, want the same record with a good token", r, s.ID)
	}
}

// Three hosts hold one token: without all their configs nothing is done; with them
// the new token goes to all, by either strategy, and nobody is locked out.
func TestThreeHostsOfOneRecord(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, strategy := range []rekey.Remedy{rekey.RemedyReset, rekey.RemedyOverlap} {
		w := all.fresh()
		record := w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}})
		paths := w.hosts(record, 3)
		w.onWrite = func() {
			for _, path := range paths {
				for _, s := range w.sectionsOf(path) {
					w.polls(s.Token, systemOf(path))
				}
			}
		}
		w.onWrite()
		p := w.planner()
		p.Flags.Strategy = strategy
		plan, err := p.Plan(t.Context(), paths[:2])
		if err != nil || len(plan.Targets) != 0 || !strings.Contains(plan.Left[0].Reason, string(systemOf(paths[2]))) {
			t.Errorf("%s: two of three configs: %+v, %v, want it refused because of the third", strategy, plan, err)
		}
		plan, err = p.Plan(t.Context(), paths)
		if err != nil || len(plan.Targets) != 1 || len(plan.Targets[0].Also) != 2 {
			t.Fatalf("%s: got %+v, %v, want one target with two more configs", strategy, plan, err)
		}
		r := w.apply(plan.Targets...)[0]
		if r.Status != rekey.StatusVerified {
			t.Errorf("%s: got %+v, want verified", strategy, r)
		}
		for _, path := range paths {
			if s := w.sectionsOf(path); len(s) != 1 || !w.accepted(s[0].Token) || s[0].ID != r.RunnerID || s[0].Token == rekey.NewToken(record.Token) {
				t.Errorf("%s: %s has %+v, want the one new token", strategy, path, s)
			}
		}
		if n := len(w.records("runners/all")); n != 1 {
			t.Errorf("%s: %d records are left, want one", strategy, n)
		}
	}
}

// A rotation of two hosts that is open keeps the second host's section from being
// begun anew too, which a plan says as well.
func TestAnOpenRotationHoldsEveryHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}})
	paths := w.hosts(record, 2)
	plan, err := w.planner().Plan(t.Context(), paths)
	if err != nil || len(plan.Targets) != 1 {
		t.Fatalf("got %+v, %v, want one target", plan, err)
	}
	w.deny["delete"] = true
	if r := w.apply(plan.Targets...)[0]; r.Status != rekey.StatusOpen {
		t.Fatalf("got %+v, want it open", r)
	}
	w.config = paths[1]
	if r := w.apply(w.target(0, rekey.RemedyReset))[0]; r.Status != rekey.StatusOpen || w.calls["reset"] != 0 {
		t.Errorf("a reset on the second host: %+v after %d resets, want it held back", r, w.calls["reset"])
	}
	p := w.planner()
	if p.Open, err = w.engine().Unfinished(); err != nil {
		t.Fatal(err)
	}
	if plan, err := p.Plan(t.Context(), paths[1:]); err != nil || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "not finished") {
		t.Errorf("the plan for the second host is %+v, %v, want it left", plan, err)
	}
}

// hosts makes n configs that hold one token, each with a system id of its own.
func (w *world) hosts(r labtest.Issued, n int) []string {
	w.t.Helper()
	var paths []string
	for i := range n {
		w.config = filepath.Join(w.t.TempDir(), fmt.Sprintf("host%d.toml", i))
		w.write(section{"shared", r.Token, r.ID})
		paths = append(paths, w.config)
	}
	return paths
}

// The id of a record that a resumption has just retired still names what was meant.
func TestARecordThatAResumptionRotatedIsNamedByItsOldID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", record.Token, record.ID})
	p := w.planner()
	p.Flags.Runners, p.Flags.Skip = []string{"4711"}, []rekey.RunnerID{4711, rekey.RunnerID(record.ID)}
	if plan, err := p.Plan(t.Context(), []string{w.config}); err != nil || len(plan.Targets) != 0 {
		t.Errorf("got %+v, %v, want nothing left to do", plan, err)
	}
	p.Flags.Skip = nil
	if _, err := p.Plan(t.Context(), []string{w.config}); err == nil {
		t.Error("an id that is nobody's was taken")
	}
}
