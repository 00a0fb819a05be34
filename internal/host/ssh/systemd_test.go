package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
