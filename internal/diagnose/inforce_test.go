package diagnose_test

import (
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// TestInForce holds what is told of the file that the running process uses against
// hosts that are well.
func TestInForce(t *testing.T) {
	t.Parallel()
	const (
		path  = "/etc/gitlab-runner/config.toml"
		other = "other-config-in-force warning likely"
	)
	started := now.Add(-time.Hour)
	uses := diagnose.Process{Name: "gitlab-runner run (pid 7)", Config: path, From: "--config", Started: started, Uses: []string{path}}
	user := diagnose.Process{Name: "gitlab-runner run (pid 8)", Config: "/home/ci/.gitlab-runner/config.toml", From: "default", Started: started}
	beside := diagnose.Process{Name: "rekey lab runner (pid 9)", Config: "/etc/gitlab-runner/old.toml", From: "--config", Simulated: true}
	hidden := diagnose.Process{Name: "gitlab-runner run (pid 10)", Problem: "its working directory and environment may not be read by this user"}
	doubtful := user
	doubtful.Problem = hidden.Problem
	container := diagnose.Process{Name: "gitlab-runner run (pid 11)", Config: path, From: "default", Started: started}
	elsewhere := diagnose.Process{Name: "rekey lab runner (pid 12)", Config: "/srv/lab/config.toml", From: "--config", Simulated: true}
	flagged := diagnose.Process{Name: "gitlab-runner run (pid 13)", Config: "/opt/config.toml", From: "--config"}

	standard := diagnose.File{Standard: "system mode"}
	restored := diagnose.File{ModTime: started.Add(-24 * time.Hour), ChangedAt: now.Add(-time.Minute)}
	newToken := func(s *diagnose.Section) { s.ObtainedAt = now.Add(-30 * time.Minute) }
	for name, tc := range map[string]struct {
		edits     []edit
		file      diagnose.File
		processes []diagnose.Process
		problem   string
		want      string
	}{
		"nothing runs":                            {file: standard, want: "valid"},
		"this one runs":                           {file: standard, processes: []diagnose.Process{uses}, want: "valid"},
		"this one and the user's run":             {file: standard, processes: []diagnose.Process{user, uses}, want: "valid"},
		"the user's runs":                         {file: standard, processes: []diagnose.Process{user}, want: lines("valid", other)},
		"the user's runs, and the token is bad":   {file: standard, edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, processes: []diagnose.Process{user}, want: lines("invalid", "record-deleted error certain", other)},
		"the user's runs, perhaps":                {file: standard, processes: []diagnose.Process{doubtful}, want: lines("valid", "other-config-in-force warning possible")},
		"one whose config is hidden":              {file: standard, processes: []diagnose.Process{user, hidden}, want: "valid"},
		"the list is not whole":                   {file: standard, processes: []diagnose.Process{user}, problem: "no /proc", want: "valid"},
		"a container's own file of the same name": {file: standard, processes: []diagnose.Process{container}, want: lines("valid", other)},
		"a copy in no standard place":             {processes: []diagnose.Process{user}, want: lines("valid", "other-config-in-force info likely")},
		"a copy, a runner with its own":           {processes: []diagnose.Process{flagged}, want: "valid"},
		"another file of the directory":           {processes: []diagnose.Process{beside}, want: lines("valid", other)},
		"a lab's runner elsewhere":                {file: standard, processes: []diagnose.Process{elsewhere}, want: "valid"},

		"put in place with an old mtime":              {file: restored, processes: []diagnose.Process{uses}, want: lines("valid", "reload-missed info possible")},
		"put in place with an old mtime, a new token": {file: restored, edits: []edit{newToken}, processes: []diagnose.Process{uses}, want: lines("valid", "reload-missed warning possible")},
		"the same, and refused":                       {file: restored, edits: []edit{newToken, answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, processes: []diagnose.Process{uses}, want: lines("invalid", "record-deleted error certain")},
		"written since, with a new mtime":             {file: diagnose.File{ModTime: now, ChangedAt: now}, edits: []edit{newToken}, processes: []diagnose.Process{uses}, want: "valid"},
		"not changed since the start":                 {file: diagnose.File{ModTime: started.Add(-time.Hour), ChangedAt: started.Add(-time.Hour)}, processes: []diagnose.Process{uses}, want: "valid"},
		"when it changed is unknown":                  {file: diagnose.File{ModTime: started.Add(-time.Hour)}, processes: []diagnose.Process{uses}, want: "valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			tc.file.Path = path
			f.Configs[0].File, f.Processes, f.ProcessesProblem = tc.file, tc.processes, tc.problem
			if got := brief(judgeOne(t, f)); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}
