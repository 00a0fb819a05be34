//go:build linux

package app_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/lab/labtest"
)

// unit is a gitlab-runner in a systemd unit that is started anew, as far as /proc and
// systemctl tell.
type unit struct {
	t      *testing.T
	lab    *labtest.Lab
	root   string
	config string
}

func newUnit(t *testing.T) *unit {
	t.Helper()
	u := &unit{t: t, lab: labtest.Start(t, labtest.Options{Version: "18.7"}), root: t.TempDir()}
	u.config = filepath.Join(u.root, "config.toml")
	u.write("proc/stat", "btime 1000000\n")
	mock, err := filepath.Abs("../host/testdata/systemctl")
	if err == nil {
		err = os.Symlink(mock, filepath.Join(u.root, "systemctl"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// starts makes a real process the unit's. The returned function waits for the signal
// that ends it, and reports whether that is SIGQUIT.
func (u *unit) starts() (quit func() bool) {
	u.t.Helper()
	service := exec.Command("sleep", "600")
	if err := service.Start(); err != nil {
		u.t.Fatal(err)
	}
	pid := service.Process.Pid
	for name, text := range map[string]string{
		"cmdline": "gitlab-runner\x00run\x00-c\x00" + u.config + "\x00", "cgroup": "0::/system.slice/gitlab-runner.service\n",
		"stat":   fmt.Sprintf("%d (a) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 360000 1 2", pid),
		"status": "Name:\tx\nUid:\t0\t0\t0\t0\nSigCgt:\t7fffffffffffffff\n",
	} {
		u.write(fmt.Sprintf("proc/%d/%s", pid, name), text)
	}
	u.write("systemctl.show", fmt.Sprintf("Id=gitlab-runner.service\nLoadState=loaded\nActiveState=active\nRestart=always\nMainPID=%d\n", pid))
	return func() bool {
		late := time.AfterFunc(10*time.Second, func() { _ = service.Process.Kill() })
		_ = service.Wait() // for SIGQUIT or SIGHUP
		late.Stop()
		if err := os.RemoveAll(filepath.Join(u.root, "proc", fmt.Sprint(pid))); err != nil {
			u.t.Fatal(err)
		}
		status, _ := service.ProcessState.Sys().(syscall.WaitStatus)
		return status.Signal() == syscall.SIGQUIT
	}
}

func (u *unit) write(name, text string) {
	u.t.Helper()
	path := filepath.Join(u.root, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// run is the host as a run of rekey with --reload restart has it.
func (u *unit) run() *app.RestartHost {
	u.t.Helper()
	a := app.New(func(name string) (string, bool) {
		value, found := map[string]string{"GITLAB_HOST": u.lab.URL, "GITLAB_TOKEN": u.lab.Admin}[name]
		return value, found
	}, "test")
	h, err := app.NewRestartHost(a, filepath.Join(u.root, "proc"), filepath.Join(u.root, "systemctl"))
	if err != nil {
		u.t.Fatal(err)
	}
	return h
}

// section is the text of a config with the sections of those records.
func (u *unit) section(records ...labtest.Issued) string {
	var text strings.Builder
	for _, r := range records {
		fmt.Fprintf(&text, "[[runners]]\n  name = \"one\"\n  url = %q\n  id = %d\n  token = %q\n", u.lab.URL, r.ID, r.Token)
	}
	return text.String()
}

// replaces edits the config and has it loaded; it reports whether the service was
// ended, to be started anew.
func (u *unit) replaces(h *app.RestartHost, before, after string) (restarted bool, how string) {
	u.t.Helper()
	if _, err := h.Replace(u.config, []byte(before), []byte(after)); err != nil {
		u.t.Fatal(err)
	}
	return u.reloads(h)
}

func (u *unit) reloads(h *app.RestartHost) (restarted bool, how string) {
	u.t.Helper()
	quit := u.starts()
	how, err := h.Reload(u.t.Context(), u.config)
	restarted = quit()
	if err != nil {
		u.t.Fatal(err)
	}
	return restarted, how
}

// job makes a job that the record runs, and returns what ends it.
func (u *unit) job(r labtest.Issued, project int64) (end func()) {
	u.t.Helper()
	u.lab.Pipeline(project, nil)
	var job struct {
		ID    int64
		Token string
	}
	a := u.lab.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": "s_0123456789ab", "info": labtest.M{"version": "18.7.0"}})
	if a.Status != 201 {
		u.t.Fatalf("the record got no job: %+v", a)
	}
	a.Decode(u.t, &job)
	return func() {
		u.lab.MustAs("", 200, "PUT", fmt.Sprintf("jobs/%d", job.ID), labtest.M{"token": job.Token, "state": "success"}, nil)
	}
}

// A service is not restarted while the record that a section had, before this run
// gave it another or took it out, may run a job.
func TestNoRestartUnderJobsOfARecordThatLeftTheConfig(t *testing.T) {
	t.Parallel()
	u := newUnit(t)
	project, _ := u.lab.Project("shop", u.lab.Group("acme", 0))
	u.lab.CIConfig(project, "job:\n  script: [\"true\"]\n")
	issued := func() labtest.Issued { return u.lab.Runner("instance", 0, labtest.M{"run_untagged": true}) }
	first, second := issued(), issued()
	u.write("config.toml", u.section(first))

	// A new record for a section whose token was good.
	end, h := u.job(first, project), u.run()
	if restarted, how := u.replaces(h, u.section(first), u.section(second)); restarted || !strings.Contains(how, fmt.Sprintf("not restarted (runner %d", first.ID)) {
		t.Errorf("the record before runs a job: restarted %v, %q", restarted, how)
	}
	end()
	if restarted, how := u.reloads(h); !restarted {
		t.Errorf("no record runs a job: not restarted: %q", how)
	}

	// An overlap is undone while the new record runs a job.
	h, both := u.run(), u.section(first, second)
	if restarted, how := u.replaces(h, u.section(second), both); !restarted {
		t.Errorf("before the undo no record runs a job: not restarted: %q", how)
	}
	end = u.job(second, project)
	if restarted, how := u.replaces(h, both, u.section(first)); restarted || !strings.Contains(how, fmt.Sprintf("not restarted (runner %d", second.ID)) {
		t.Errorf("the record that was taken out runs a job: restarted %v, %q", restarted, how)
	}

	// A later run resumes, and does not know what the config held.
	h = u.run()
	if restarted, how := u.reloads(h); restarted || !strings.Contains(how, "an earlier run edited the config") {
		t.Errorf("a run that edits nothing: restarted %v, %q", restarted, how)
	}
	if restarted, how := u.replaces(h, u.section(first), u.section(first)); restarted {
		t.Errorf("a run that finds its edit made: restarted: %q", how)
	}
	h = u.run()
	h.Learn(rekey.Target{Config: u.config, Name: "one", URL: u.lab.URL, RunnerID: rekey.RunnerID(second.ID)})
	if restarted, how := u.replaces(h, u.section(first), u.section(first)+"# edited\n"); restarted || !strings.Contains(how, fmt.Sprintf("not restarted (runner %d", second.ID)) {
		t.Errorf("a run that reads of the record in its journal: restarted %v, %q", restarted, how)
	}
	end()
}
