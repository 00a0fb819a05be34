package diagnose_test

import (
	"strings"
	"testing"

	"rekey"
	"rekey/internal/diagnose"
)

// TestJudgeJob holds when a waiting job is put down to the settings of runners that
// are online.
func TestJudgeJob(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	runner := func(r rekey.Runner) diagnose.JobRunner {
		r.ID, r.Scope, r.Description = 7, rekey.ScopeProject, "web"
		return diagnose.JobRunner{ID: 7, Runner: r, Request: "GET https://gitlab.example.com/api/v4/runners/7"}
	}
	linux := rekey.Runner{Online: &yes, Tags: []string{"linux"}}
	paused, protected, offline, untagged, unseen := linux, linux, linux, linux, linux
	paused.Paused, protected.AccessLevel, offline.Online, untagged.Tags, unseen.Online = true, "ref_protected", &no, nil, nil
	both := protected
	both.Paused = true
	const idle = "online-but-idle warning "
	for name, tc := range map[string]struct {
		runners []diagnose.JobRunner
		taken   rekey.RunnerID
		want    string
		notes   []string
		ref     *bool // protected
	}{
		"no runner":                 {runners: nil, taken: 0, want: "", notes: []string{"no runner is available to acme/web: make one with `rekey register --project acme/web`"}},
		"taken":                     {runners: nil, taken: 9, want: "", notes: []string{"it was taken by runner 9"}},
		"it waits its turn":         {runners: []diagnose.JobRunner{runner(linux), runner(paused)}, taken: 0, want: "", notes: []string{"would take it", "is paused", "1 of 2 runners would take it"}},
		"paused":                    {runners: []diagnose.JobRunner{runner(paused)}, taken: 0, want: idle + "certain", notes: []string{"is paused", "no runner would take this job"}},
		"a tag is missing":          {runners: []diagnose.JobRunner{runner(untagged)}, taken: 0, want: idle + "certain", notes: []string{"lacks the tag linux"}},
		"protected":                 {runners: []diagnose.JobRunner{runner(protected)}, taken: 0, want: idle + "possible", notes: []string{"protected refs only (this one is of main)"}},
		"protected as the ref":      {runners: []diagnose.JobRunner{runner(protected)}, ref: &yes, notes: []string{"would take it"}},
		"protected, not so the ref": {runners: []diagnose.JobRunner{runner(protected)}, ref: &no, want: idle + "certain", notes: []string{"main, which is not protected"}},
		"protected, paused":         {runners: []diagnose.JobRunner{runner(both)}, taken: 0, want: idle + "certain", notes: []string{"is paused; takes jobs of protected refs only"}},
		"offline":                   {runners: []diagnose.JobRunner{runner(offline), runner(unseen)}, taken: 0, want: "", notes: []string{"is offline", "has never contacted GitLab"}},
		"one cannot be read":        {runners: []diagnose.JobRunner{{ID: 8, Problem: "403 Forbidden"}}, taken: 0, want: "", notes: []string{"runner 8: cannot be read: 403 Forbidden"}},
		"one paused, one off":       {runners: []diagnose.JobRunner{runner(paused), runner(offline)}, taken: 0, want: idle + "certain", notes: []string{"is paused", "is offline"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := diagnose.JudgeJob(now, diagnose.Job{ID: 4711, Name: "build", Project: "acme/web", Status: "pending", Ref: "main", Tags: []string{"linux"}, TakenBy: tc.taken, Protected: tc.ref, Runners: tc.runners})
			if got := strings.TrimPrefix(brief(diagnose.SectionReport{Findings: r.Findings}), "\n"); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for _, want := range tc.notes {
				if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
					t.Errorf("got notes %q, want %q among them", r.Notes, want)
				}
			}
		})
	}
}
