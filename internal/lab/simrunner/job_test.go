//go:build unix

package simrunner

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func withStep(job map[string]any, name, when string, lines ...string) map[string]any {
	job["steps"] = append(job["steps"].([]any), map[string]any{"name": name, "script": lines, "when": when})
	return job
}

func withVariable(job map[string]any, v map[string]any) map[string]any {
	job["variables"] = append(job["variables"].([]any), v)
	return job
}

func TestJobSucceeds(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	job := script("echo hello $NAME", "cd /", "pwd | sed s,^,at:,", `echo "it's $SECRET"`, "cat \"$FILE\"; read x || echo no input", "false || echo went on")
	withVariable(job, map[string]any{"key": "WHO", "value": "world"})
	withVariable(job, map[string]any{"key": "NAME", "value": "dear $WHO"})
	withVariable(job, map[string]any{"key": "SECRET", "value": "CANARYsecret", "masked": true})
	withVariable(job, map[string]any{"key": "FILE", "value": "file's text\n", "file": true})
	withStep(job, "after_script", "always", `echo "after: $CI_JOB_STATUS"`)
	c.add(job)
	x := run(t, "17.11", oneSection(c.start(), canary))
	j := finished(t, c, 1)
	if j.last["state"] != "success" || j.last["failure_reason"] != nil {
		t.Errorf("final PUT %v, want success", j.last["state"])
	}
	contains(t, "the trace", string(j.trace),
		"Running with gitlab-runner 17.11.0 (rekey lab runner)", "system ID: "+string(x.SystemID()),
		"$ echo hello $NAME", "\nhello dear world\n", "\nat:/\n", "it's [MASKED]\n", "file's text\n", "no input\n", "\nwent on\n",
		"after: success\n", "Job succeeded")
	lacks(t, "the trace", string(j.trace), "CANARYsecret", canary)
	lacks(t, "the log", x.log.String(), canary, j.token)
	contains(t, "the log", x.log.String(), "Checking for jobs... received", "job=1")
	dir := filepath.Join(filepath.Dir(x.config), "builds", "b-CANARY012", "0", "g", "p")
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("build directory: %v", err)
	}
	if got := x.Stats(); got.Jobs != 1 || got.Sections[0].Jobs != 1 {
		t.Errorf("stats %+v, want one job", got)
	}
}

func TestJobFails(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	job := withStep(script("exit 7", "echo never"), "after_script", "always", `echo "after: $CI_JOB_STATUS"; exit 1`)
	c.add(withStep(job, "release", "on_success", "echo released"))
	run(t, "17.11", oneSection(c.start(), canary))
	j := finished(t, c, 1)
	if j.last["state"] != "failed" || j.last["failure_reason"] != "script_failure" || j.last["exit_code"] != float64(7) {
		t.Errorf("final PUT %v %v %v, want failed, script_failure, 7", j.last["state"], j.last["failure_reason"], j.last["exit_code"])
	}
	contains(t, "the trace", string(j.trace), "ERROR: Job failed: exit status 7", "after: failed")
	lacks(t, "the trace", string(j.trace), "\nnever", "\nreleased")
}

func TestProcessEnvironmentDoesNotReachTheScript(t *testing.T) { // not parallel: it sets a variable of the process
	t.Setenv("GITLAB_TOKEN", "glpat-CANARYpersonal0000")
	c := newCoordinator(t, canary)
	c.add(script("env"))
	run(t, "17.11", oneSection(c.start(), canary))
	j := finished(t, c, 1)
	contains(t, "the trace", string(j.trace), "CI_RUNNER_SHORT_TOKEN=CANARY012", "CI_CONCURRENT_ID=0", "PATH=")
	lacks(t, "the trace", string(j.trace), "glpat-CANARY", canary)
}

// gone reports whether the process whose pid the script wrote has ended.
func gone(t testing.TB, file string) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil && strings.Contains(string(stat), ") Z ") {
		return true
	}
	return syscall.Kill(pid, 0) != nil
}

func endless(file string) []string {
	return []string{"sleep 600 & echo $! > '" + file + "'", "sleep 600"}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	file := filepath.Join(t.TempDir(), "pid")
	job := script(endless(file)...)
	job["runner_info"] = map[string]any{"timeout": 1}
	c.add(job)
	run(t, "17.11", oneSection(c.start(), canary))
	j := finished(t, c, 1)
	if j.last["failure_reason"] != "job_execution_timeout" {
		t.Errorf("failure reason %v, want job_execution_timeout", j.last["failure_reason"])
	}
	contains(t, "the trace", string(j.trace), "execution took longer than 1s seconds")
	eventually(t, "the background process ended", func() bool { return gone(t, file) })
}

func TestCanceledAborts(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	c.interval = 1
	file := filepath.Join(t.TempDir(), "pid")
	c.jobState = func(*served) string {
		if _, err := os.Stat(file); err == nil {
			return "canceled"
		}
		return "running"
	}
	c.add(withStep(script(endless(file)...), "after_script", "always", "echo never"))
	x := run(t, "18.5", oneSection(c.start(), canary))
	eventually(t, "the script was killed", func() bool { return gone(t, file) })
	eventually(t, "the log line", func() bool {
		return strings.Contains(x.log.String(), "script canceled externally (UI, API)")
	})
	c.look(func() {
		if got := strings.Join(c.jobs[1].states, " "); got != "running" {
			t.Errorf("PUT states %q, want only running", got)
		}
	})
}

func TestCancelingIsGraceful(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	c.interval = 1
	file := filepath.Join(t.TempDir(), "pid")
	c.jobState = func(*served) string {
		if _, err := os.Stat(file); err == nil {
			return "canceling"
		}
		return "running"
	}
	c.add(withStep(script(endless(file)...), "after_script", "always", `echo "after: $CI_JOB_STATUS"`))
	run(t, "18.5", oneSection(c.start(), canary))
	j := finished(t, c, 1)
	if j.last["state"] != "failed" {
		t.Errorf("final state %v, want failed", j.last["state"])
	}
	contains(t, "the trace", string(j.trace), "after: canceled")
	eventually(t, "the script was killed", func() bool { return gone(t, file) })
}

func TestRefusedAcceptanceDropsTheJob(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	c.jobState = func(j *served) string { return map[bool]string{true: "canceled", false: "running"}[j.id == 1] }
	c.add(script("echo never"))
	c.add(script("echo second"))
	run(t, "18.5", oneSection(c.start(), canary))
	finished(t, c, 2)
	c.look(func() {
		if j := c.jobs[1]; len(j.trace) != 0 || len(j.states) != 1 {
			t.Errorf("the refused job has %d bytes of trace and states %v, want none and one", len(j.trace), j.states)
		}
	})
}

func TestTraceSurvivesWhatServersDo(t *testing.T) {
	t.Parallel()
	t.Run("final 202 and 412", func(t *testing.T) {
		t.Parallel()
		c := newCoordinator(t, canary)
		c.interval = 1
		c.final = []int{http.StatusAccepted, http.StatusPreconditionFailed, http.StatusInternalServerError}
		c.add(script("echo hello"))
		run(t, "17.11", oneSection(c.start(), canary))
		j := finished(t, c, 1)
		contains(t, "the trace", string(j.trace), "Running with", "\nhello\n", "Job succeeded")
		if len(j.states) != 4 {
			t.Errorf("final PUTs %v, want 4", j.states)
		}
	})
	t.Run("416 after the server lost it", func(t *testing.T) {
		t.Parallel()
		c := newCoordinator(t, canary)
		c.interval = 1
		file := filepath.Join(t.TempDir(), "go")
		c.jobState = func(j *served) string {
			if len(j.states) == 1 && !j.lose && len(j.trace) == 0 {
				j.lose = true // before the second PATCH
				_ = os.WriteFile(file, nil, 0o600)
			}
			return "running"
		}
		c.add(script("echo early", "until test -e '"+file+"'; do sleep 0.1; done; sleep 1.2", "echo late"))
		run(t, "18.5", oneSection(c.start(), canary))
		j := finished(t, c, 1)
		contains(t, "the trace", string(j.trace), "Running with", "\nearly\n", "\nlate\n", "Job succeeded")
	})
}

func TestLogLimit(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	c.add(script("yes CANARY | head -c 3000"))
	run(t, "17.11", oneSection(c.start(), canary)+"  output_limit = 1\n")
	j := finished(t, c, 1)
	contains(t, "the trace", string(j.trace), "Job's log exceeded limit of 1024 bytes.")
	if len(j.trace) > 1024+200 {
		t.Errorf("trace of %d bytes, want about 1024", len(j.trace))
	}
}

func TestConcurrentBoundsJobs(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	dir := t.TempDir()
	for range 3 {
		c.add(script("mkdir '" + dir + "/lock' && sleep 0.2 && rmdir '" + dir + "/lock'"))
	}
	run(t, "17.11", strings.Replace(oneSection(c.start(), canary), "concurrent = 4", "concurrent = 1", 1))
	for id := range int64(3) {
		if j := finished(t, c, id+1); j.last["state"] != "success" {
			t.Errorf("job %d: %v, want success: it never runs beside another", id+1, j.last["state"])
		}
	}
}

func TestJobOutlivesTheReload(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	file := filepath.Join(t.TempDir(), "go")
	c.add(script("until test -e '"+file+"'; do sleep 0.05; done", "echo finished"))
	x := run(t, "17.11", oneSection(c.start(), canary))
	eventually(t, "the job started", func() bool { return x.Stats().Jobs == 1 })
	writeConfig(t, x.config, "")
	x.Reload()
	eventually(t, "the section is gone", func() bool { return len(x.Stats().Sections) == 0 })
	writeConfig(t, file, "")
	if j := finished(t, c, 1); j.last["state"] != "success" {
		t.Errorf("final state %v, want success", j.last["state"])
	}
}

func TestDrainWaitsForJobs(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	c.add(script("sleep 0.3", "echo finished"))
	x := run(t, "17.11", oneSection(c.start(), canary))
	eventually(t, "the job started", func() bool { return x.Stats().Jobs == 1 })
	x.Drain()
	x.Drain()
	<-x.ended
	c.look(func() {
		if j := c.jobs[1]; !j.done || j.last["state"] != "success" {
			t.Errorf("after the drain the job is %v, want success", j.last["state"])
		}
	})
}

func TestEndOfContextAbortsJobsAndReportsThem(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t, canary)
	file := filepath.Join(t.TempDir(), "pid")
	c.add(script(endless(file)...))
	x := run(t, "17.11", oneSection(c.start(), canary))
	eventually(t, "the script runs", func() bool { _, err := os.Stat(file); return err == nil })
	x.cancel()
	<-x.ended
	c.look(func() {
		if j := c.jobs[1]; !j.done || j.last["failure_reason"] != "runner_system_failure" {
			t.Errorf("after the end the job is %v, want failed by runner_system_failure", j.last)
		}
	})
	eventually(t, "the script was killed", func() bool { return gone(t, file) })
}

func TestMaskingAcrossWrites(t *testing.T) {
	t.Parallel()
	tr := newTrace([]string{"CANARYlong", "CANARY"}, []string{"glpat-"}, 1<<20)
	for _, piece := range []string{"a CAN", "ARY", "long b ", "CANARY", " glp", "at-CANARYpat c\n", "CANA"} {
		tr.printf("%s", piece)
	}
	tr.printf("RY end")
	tr.finish()
	if got, want := string(tr.from(0, 1<<20)), "a [MASKED] b [MASKED] glpat-[MASKED] c\n[MASKED] end"; got != want {
		t.Errorf("masked trace %q, want %q", got, want)
	}
	long := newTrace([]string{"CANARY"}, nil, 1<<20)
	filler := strings.Repeat("x", maxLine-1)
	for _, piece := range []string{filler, "xxxCAN", "ARY", filler} {
		long.printf("%s", piece)
	}
	long.finish()
	lacks(t, "a long line", string(long.from(0, 1<<20)), "CANARY")
}
