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
	said := func(id string, ago time.Duration) diagnose.LogLine {
		return line(3, id, func(l *diagnose.LogLine) { l.At = now.Add(-ago) })
	}
	polled := func(l diagnose.LogLine) diagnose.LogLine { l.Runner = short; return l }
	onHost := func(host string, l diagnose.LogLine) diagnose.LogLine { l.Host = host; return l }
	starting := func(path string) diagnose.LogLine {
		return line(3, "config-in-force", func(l *diagnose.LogLine) { l.Text = "Starting multi-runner from " + path + "... builds=0" })
	}
	later := func(l diagnose.LogLine) diagnose.LogLine { l.Number = 9; return l }
	newToken := func(s *diagnose.Section) { s.ObtainedAt = now.Add(-30 * time.Minute) }
	for name, tc := range map[string]struct {
		edits     []edit
		file      diagnose.File
		processes []diagnose.Process
		problem   string
		logs      []diagnose.LogLine
		want      string
	}{
		"nothing runs":                            {file: standard, want: "valid"},
		"this one runs":                           {file: standard, processes: []diagnose.Process{uses}, want: "valid"},
		"this one and the user's run":             {file: standard, processes: []diagnose.Process{user, uses}, want: "valid"},
		"the user's runs":                         {file: standard, processes: []diagnose.Process{user}, want: lines("valid", other)},
		"the user's runs, and the token is bad":   {file: standard, edits: []edit{answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, processes: []diagnose.Process{user}, want: lines("invalid", "record-deleted error likely", other, "wrong-instance info possible")},
		"the user's runs, perhaps":                {file: standard, processes: []diagnose.Process{doubtful}, want: lines("valid", "other-config-in-force warning possible")},
		"one whose config is hidden":              {file: standard, processes: []diagnose.Process{user, hidden}, want: "valid"},
		"the list is not whole":                   {file: standard, processes: []diagnose.Process{user}, problem: "no /proc", want: "valid"},
		"a container's own file of the same name": {file: standard, processes: []diagnose.Process{container}, want: lines("valid", other)},
		"a copy in no standard place":             {processes: []diagnose.Process{user}, want: lines("valid", "other-config-in-force info likely")},
		"a copy, a runner with its own":           {processes: []diagnose.Process{flagged}, want: "valid"},
		"another file of the directory":           {processes: []diagnose.Process{beside}, want: lines("valid", other)},
		"a lab's runner elsewhere":                {file: standard, processes: []diagnose.Process{elsewhere}, want: "valid"},

		"a log of this file":                   {logs: []diagnose.LogLine{starting(path)}, want: "valid"},
		"a log of another file beside":         {logs: []diagnose.LogLine{starting("/etc/gitlab-runner/old.toml")}, want: lines("valid", other)},
		"a log of a file, as a container's is": {logs: []diagnose.LogLine{starting("/home/ci/.gitlab-runner/config.toml")}, want: lines("valid", "other-config-in-force info possible")},
		"a log whose path is hidden in part":   {logs: []diagnose.LogLine{starting("/etc/[…redacted]/old.toml")}, want: "valid"},
		"a log of another start before":        {logs: []diagnose.LogLine{starting("/etc/gitlab-runner/old.toml"), later(starting(path))}, want: "valid"},
		"a log, and the process itself":        {processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{starting("/etc/gitlab-runner/old.toml")}, want: "valid"},

		"put in place with an old mtime":              {file: restored, processes: []diagnose.Process{uses}, want: lines("valid", "reload-missed info possible")},
		"put in place with an old mtime, a new token": {file: restored, edits: []edit{newToken}, processes: []diagnose.Process{uses}, want: lines("valid", "reload-missed warning possible")},
		"the same, and loaded since":                  {file: restored, edits: []edit{newToken}, processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{said("config-loaded", time.Second)}, want: "valid"},
		"the same, and loaded before":                 {file: restored, edits: []edit{newToken}, processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{said("config-loaded", 2*time.Minute)}, want: lines("valid", "reload-missed warning possible")},
		"the same, and the log goes on without":       {file: restored, processes: []diagnose.Process{uses}, edits: []edit{newToken}, logs: []diagnose.LogLine{said("job-submit", time.Second)}, want: lines("valid", "reload-missed warning likely")},
		"put in place, the token in use since":        {file: restored, processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{polled(said("poll-received", time.Second))}, want: "valid"},
		"its owner changed, and the log goes on":      {file: restored, processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{said("job-submit", time.Second)}, want: lines("valid", "reload-missed info possible")},
		"the same, and a log of another host":         {file: restored, processes: []diagnose.Process{uses}, logs: []diagnose.LogLine{onHost("ssh://other", said("job-submit", time.Second))}, want: lines("valid", "reload-missed info possible")},
		"the same, and refused":                       {file: restored, edits: []edit{newToken, answered(rekey.AnswerRefused), looked(diagnose.LookupGone)}, processes: []diagnose.Process{uses}, want: lines("invalid", "record-deleted error likely", "wrong-instance info possible")},
		"written since, with a new mtime":             {file: diagnose.File{ModTime: now, ChangedAt: now}, edits: []edit{newToken}, processes: []diagnose.Process{uses}, want: "valid"},
		"not changed since the start":                 {file: diagnose.File{ModTime: started.Add(-time.Hour), ChangedAt: started.Add(-time.Hour)}, processes: []diagnose.Process{uses}, want: "valid"},
		"when it changed is unknown":                  {file: diagnose.File{ModTime: started.Add(-time.Hour)}, processes: []diagnose.Process{uses}, want: "valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(section(tc.edits...))
			tc.file.Path = path
			f.Configs[0].File, f.Processes, f.ProcessesProblem = tc.file, tc.processes, tc.problem
			f.Logs = tc.logs
			if got := brief(judgeOne(t, f)); got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}
