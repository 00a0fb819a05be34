package ssh_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/internal/host"
	"rekey/internal/host/ssh/sshtest"
)

// inUnit is a server on which the process is the main one of gitlab-runner.service,
// with a systemctl that tells everything of it unless it is asked for less.
func inUnit(t *testing.T, pid int, properties string) (s *sshtest.Server, asked func() string) {
	t.Helper()
	cgroup := write(t, filepath.Join(t.TempDir(), "cgroup"), "0::/system.slice/gitlab-runner.service\n")
	mounted := fmt.Sprintf("unshare -m sh -c 'mount --bind %s /proc/%d/cgroup && ", cgroup, pid)
	if exec.Command("sh", "-c", mounted+"true'").Run() != nil {
		t.Skip("*** NOTHING CAN BE MOUNTED HERE: what systemd tells is not tested ***")
	}
	s = sshtest.Start(t, `ForceCommand exec `+mounted+`eval "$SSH_ORIGINAL_COMMAND"'`)
	calls := filepath.Join(s.Dir, "calls")
	s.Tool(t, "systemctl", fmt.Sprintf(`echo "$*" >>%s
cat <<'end'
%s
end
case $* in *--property=*) ;; *) i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "Environment=SECRET=glrt-CANARYenvironment"; done;; esac`,
		calls, fmt.Sprintf("Id=gitlab-runner.service\nLoadState=loaded\nActiveState=active\nMainPID=%d\n%s", pid, properties)))
	return s, func() string {
		data, _ := os.ReadFile(calls)
		return string(data)
	}
}

// Of a unit nothing is asked but what is needed: its environment may hold secrets.
func TestAsksSystemdForLittle(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	s, asked := inUnit(t, startRunner(t, config), "CanReload=yes\nExecReload={ path=/bin/kill ; argv[]=/bin/kill -HUP $MAINPID ; ignore_errors=no ; pid=0 }")
	h := change(t, s)
	defer h.Close()
	if got, want := h.ReloadText(config, host.ReloadAuto), "reload gitlab-runner by systemctl reload gitlab-runner.service"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := asked(), "--no-ask-password --no-pager show --property="+host.UnitProperties+" -- gitlab-runner.service\n"; got != want {
		t.Errorf("systemctl was asked %q, want %q", got, want)
	}
	if h.Broken() {
		t.Error("the connection is broken")
	}
}

// systemctl restart would end a job that came after the last look. A unit that systemd
// does not start anew after SIGQUIT gets SIGHUP, and the plan says so before.
func TestRestartsNoUnitThatSystemdLeavesEnded(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	pid, ended := startSignalled(t, config)
	s, asked := inUnit(t, pid, "Restart=on-failure")
	h := change(t, s)
	defer h.Close()
	if got := h.ReloadText(config, host.ReloadRestart); !strings.Contains(got, "SIGHUP (gitlab-runner.service has neither Restart=always") {
		t.Errorf("got %q in advance", got)
	}
	idle := func(context.Context) error { return nil }
	how, err := h.Reload(t.Context(), config, host.ReloadRestart, idle, func() time.Time { return time.Now().Add(time.Minute) })
	if err != nil || !strings.Contains(how, "not restarted (gitlab-runner.service has neither") || !strings.Contains(how, fmt.Sprintf("SIGHUP to gitlab-runner run (pid %d) instead", pid)) {
		t.Errorf("got %q and %v", how, err)
	}
	if strings.Contains(asked(), "restart") {
		t.Errorf("systemctl was asked %q", asked())
	}
	if got := ended(); got != "HUP" {
		t.Errorf("it got SIG%s, want SIGHUP", got)
	}
}

// One that systemd starts anew gets SIGQUIT.
func TestRestartIsSIGQUIT(t *testing.T) {
	t.Parallel()
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), before)
	pid, ended := startSignalled(t, config)
	s, asked := inUnit(t, pid, "Restart=always")
	h := change(t, s)
	defer h.Close()
	idle := func(context.Context) error { return nil }
	how, err := h.Reload(t.Context(), config, host.ReloadRestart, idle, func() time.Time { return time.Now().Add(time.Minute) })
	if err != nil || !strings.Contains(how, "systemd starts gitlab-runner.service anew") || strings.Contains(asked(), "restart") {
		t.Errorf("got %q and %v, systemctl was asked %q", how, err, asked())
	}
	if got := ended(); got != "QUIT" {
		t.Errorf("it got SIG%s, want SIGQUIT", got)
	}
}

// startSignalled runs a shell as gitlab-runner, which ends with the first signal and
// says which it was.
func startSignalled(t *testing.T, config string) (pid int, ended func() string) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := exec.Command("mkfifo", fifo).Run(); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`for s in HUP QUIT TERM; do trap "echo $s; exit" $s; done; echo; exec 8<>%s; while :; do read x <&8; done`, fifo)
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script, "run", "--config", config)
	cmd.Args[0] = "gitlab-runner"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		line, _ := lines.ReadString('\n')
		got <- strings.TrimSpace(line)
	}()
	t.Cleanup(func() { stop(); <-done; _ = cmd.Wait() })
	return cmd.Process.Pid, func() string {
		select {
		case name := <-got:
			return name
		case <-time.After(30 * time.Second):
			return "nothing"
		}
	}
}
