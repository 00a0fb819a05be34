package simrunner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	defaultJobTimeout  = time.Hour
	afterScriptTimeout = 5 * time.Minute
	// killGrace is how long a script has between SIGTERM and SIGKILL.
	killGrace = 5 * time.Second
)

// build is one job at work in its directory.
type build struct {
	job         *job
	vars        []variable
	trace       *trace
	dir         string
	environment []string // of the section
}

// ownVariables are those that the runner, not GitLab, gives to a job.
func (r *Runner) ownVariables(s *section, j *job, concurrentID int) []variable {
	dir := r.buildDir(s, j, concurrentID)
	own := []variable{
		{Key: "CI", Value: "true"}, {Key: "GITLAB_CI", Value: "true"}, {Key: "CI_SERVER", Value: "yes"},
		{Key: "CI_PROJECT_DIR", Value: dir}, {Key: "CI_BUILDS_DIR", Value: r.buildsRoot(s)},
		{Key: "CI_CONCURRENT_ID", Value: strconv.Itoa(concurrentID)},
		{Key: "CI_RUNNER_SHORT_TOKEN", Value: r.short(s)},
		{Key: "CI_RUNNER_VERSION", Value: r.opts.Version.String()},
		{Key: "CI_JOB_TIMEOUT", Value: strconv.Itoa(int(j.timeout() / time.Second))},
	}
	for i := range own {
		own[i].Raw = true
	}
	return own
}

func (r *Runner) buildsRoot(s *section) string {
	switch dir := s.config.BuildsDir; {
	case r.opts.BuildsDir != "":
		return r.opts.BuildsDir
	case filepath.IsAbs(dir):
		return dir
	}
	return filepath.Join(r.dir, "builds")
}

// buildDir is BUILDS/SHORT/NUMBER/PROJECT. A project path that would lead out of
// it is replaced by the project's id.
func (r *Runner) buildDir(s *section, j *job, concurrentID int) string {
	project := filepath.FromSlash(j.JobInfo.ProjectFullPath)
	if !filepath.IsLocal(project) {
		project = "project-" + strconv.FormatInt(j.JobInfo.ProjectID, 10)
	}
	short := strings.Map(pathSafe, r.short(s))
	return filepath.Join(r.buildsRoot(s), "b-"+short, strconv.Itoa(concurrentID), project)
}

func pathSafe(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
		return c
	}
	return '_'
}

func (j *job) timeout() time.Duration {
	if j.RunnerInfo.Timeout <= 0 {
		return defaultJobTimeout
	}
	return time.Duration(j.RunnerInfo.Timeout) * time.Second
}

// run executes the job's steps and writes the last words of the trace. ctx ends
// the scripts; process ends after_script too.
func (b *build) run(process, ctx context.Context) result {
	res := b.steps(process, ctx)
	switch {
	case res.ok:
		b.trace.printf("\x1b[32;1mJob succeeded\x1b[0;m\n")
	case res.reason == "script_failure":
		b.trace.printf("\x1b[31;1mERROR: Job failed: exit status %d\x1b[0;m\n", res.exitCode)
	case res.reason == "job_execution_timeout":
		b.trace.printf("\x1b[31;1mERROR: Job failed: execution took longer than %s seconds\x1b[0;m\n", b.job.timeout())
	case res.reason == "job_canceled":
		b.trace.printf("\x1b[31;1mERROR: Job failed: canceled\x1b[0;m\n")
	case res.reason != "gone":
		b.trace.printf("\x1b[31;1mERROR: Job failed (system failure)\x1b[0;m\n")
	}
	return res
}

// steps runs the scripts in order, then after_script, which changes nothing of
// the outcome and runs also after a timeout or a graceful cancel.
func (b *build) steps(process, ctx context.Context) result {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		b.trace.printf("ERROR: builds directory: %v\n", err)
		return result{reason: "runner_system_failure"}
	}
	files, err := b.fileVariables()
	defer func() { _ = os.RemoveAll(files) }()
	if err != nil {
		b.trace.printf("ERROR: file variables: %v\n", err)
		return result{reason: "runner_system_failure"}
	}
	timed, stop := context.WithTimeoutCause(ctx, b.job.timeout(), errTimeout)
	defer stop()
	res := result{ok: true}
	var after []step
	for _, s := range b.job.Steps {
		switch {
		case s.Name == "after_script":
			after = append(after, s)
		case s.due(res.ok) && timed.Err() == nil:
			b.trace.printf("\x1b[0K\x1b[36;1mExecuting \"step_%s\" stage of the job script\x1b[0;m\x1b[0;m\n", s.Name)
			if got := b.script(timed, s, ""); !got.ok && !s.AllowFailure {
				res = got
			}
		}
	}
	if res.reason == "gone" || res.reason == "runner_system_failure" {
		return res
	}
	b.after(process, after, res)
	return res
}

func (b *build) after(ctx context.Context, steps []step, res result) {
	status := "success"
	switch {
	case res.reason == "job_canceled":
		status = "canceled"
	case !res.ok:
		status = "failed"
	}
	ctx, stop := context.WithTimeoutCause(ctx, afterScriptTimeout, errTimeout)
	defer stop()
	for _, s := range steps {
		b.trace.printf("\x1b[0K\x1b[36;1mRunning after_script\x1b[0;m\x1b[0;m\n")
		if !b.script(ctx, s, status).ok {
			b.trace.printf("\x1b[0;33mWARNING: after_script failed, but job will continue unaffected\x1b[0;m\n")
		}
	}
}

func (s step) due(ok bool) bool {
	switch s.When {
	case "always":
		return true
	case "on_failure":
		return !ok
	}
	return ok
}

// script runs one step with sh and kills its whole process group when ctx ends.
func (b *build) script(ctx context.Context, s step, status string) result {
	cmd := exec.CommandContext(ctx, "sh", "-s")
	cmd.Dir = b.dir
	cmd.Env = b.env(status)
	cmd.Stdin = strings.NewReader(scriptText(s.Script))
	cmd.Stdout, cmd.Stderr = b.trace, b.trace
	ownGroup(cmd, killGrace)
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil {
		killGroup(cmd)
		return stopped(cause)
	}
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return result{ok: true}
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return result{reason: "script_failure", exitCode: exit.ExitCode()}
	}
	b.trace.printf("ERROR: %v\n", err)
	return result{reason: "runner_system_failure"}
}

// stopped says what a script that was stopped counts as.
func stopped(cause error) result {
	switch {
	case errors.Is(cause, errTimeout):
		return result{reason: "job_execution_timeout"}
	case errors.Is(cause, errCanceled):
		return result{reason: "job_canceled"}
	case errors.Is(cause, errGone):
		return result{reason: "gone"}
	}
	return result{reason: "runner_system_failure"}
}

// scriptText echoes every line before it runs and stops at the first failure.
// The whole is one function, so that sh has read all of it before a command may
// read standard input; a line is run by eval, so that one line cannot break the
// quoting of the next.
func scriptText(lines []string) string {
	var b strings.Builder
	b.WriteString("set -e\nrekey_job() {\n:\n")
	for _, line := range lines {
		shown, rest, more := strings.Cut(line, "\n")
		if more && strings.TrimSpace(rest) != "" {
			shown += " # collapsed multi-line command"
		}
		fmt.Fprintf(&b, "printf '\\033[32;1m$ %%s\\033[0;m\\n' %s\neval %s\n", quote(shown), quote(line))
	}
	b.WriteString("}\nrekey_job </dev/null\n")
	return b.String()
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
