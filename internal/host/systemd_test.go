//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What `systemctl show` of systemd 252 prints, shortened to what is asked for.
const (
	shownPackaged = `Restart=always
MainPID=%d
Id=gitlab-runner.service
LoadState=loaded
ActiveState=active
CanReload=no
`
	shownReloading = `Restart=on-failure
MainPID=%d
ExecReload={ path=/bin/kill ; argv[]=/bin/kill -HUP $MAINPID ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Id=gitlab-runner.service
LoadState=loaded
ActiveState=active
CanReload=yes
`
	shownMissing = `Restart=no
MainPID=0
Id=gitlab-runner.service
LoadState=not-found
ActiveState=inactive
CanReload=no
`
)

func TestParseUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Unit{
		fmt.Sprintf(shownPackaged, 812):  {Name: "gitlab-runner.service", Loaded: true, Active: true, MainPID: 812, Restarts: true},
		fmt.Sprintf(shownReloading, 812): {Name: "gitlab-runner.service", Loaded: true, Active: true, MainPID: 812, CanReload: true, ExecReload: "/bin/kill -HUP $MAINPID"},
		shownMissing:                     {Name: "gitlab-runner.service"},
		"":                               {},
	} {
		if got := parseUnit(text); got != want {
			t.Errorf("of %q: got %+v, want %+v", text, got, want)
		}
	}
}

// Only what sends SIGHUP for certain is left to systemd.
func TestUnitsThatOnlyReload(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]bool{
		"/bin/kill -HUP $MAINPID": true, "/bin/kill -s HUP $MAINPID": true, "kill -1 ${MAINPID}": true, "/usr/bin/kill -SIGHUP $MAINPID": true,
		"/bin/kill -s SIGHUP -- $MAINPID": true, "/bin/kill --signal HUP $MAINPID": true, "/run/current-system/sw/bin/kill --signal=SIGHUP $MAINPID": true,
		"/bin/kill -s 1 $MAINPID":        true,
		"/usr/bin/gitlab-runner restart": false, "/bin/kill -TERM $MAINPID": false, "/bin/kill -QUIT $MAINPID": false, "/usr/bin/docker stop x": false,
		"/bin/kill $MAINPID": false, "/bin/kill -s TERM $MAINPID": false, "/bin/kill -s QUIT $MAINPID": false, "/bin/kill --signal=TERM $MAINPID": false,
		"/bin/kill -15 $MAINPID": false, "/bin/kill -HUP -1": false, "/bin/sh -c kill -HUP $MAINPID": false, "/usr/bin/gitlab-runner-reload": false, "": false, "?": false,
	} {
		show := "Id=r.service\nLoadState=loaded\nActiveState=active\nCanReload=yes\n" + execReload(command)
		if got := parseUnit(show).reloads(); got != want {
			t.Errorf("%q only reloads: %v, want %v", command, got, want)
		}
		if got := parseUnit(show + execReload("/bin/kill -HUP $MAINPID")).reloads(); got != (want || command == "") {
			t.Errorf("%q and SIGHUP only reload: %v, want %v", command, got, want)
		}
		if got := parseUnit(execReload("/bin/kill -HUP $MAINPID") + show).reloads(); got != (want || command == "") {
			t.Errorf("SIGHUP and %q only reload: %v, want %v", command, got, want)
		}
	}
}

// execReload is a line of `systemctl show`: "" is none, "?" one of a form that is not
// known.
func execReload(command string) string {
	switch command {
	case "":
		return ""
	case "?":
		return "ExecReload={ something else }\n"
	}
	return "ExecReload={ path=/bin/x ; argv[]=" + command + " ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n"
}

func TestServiceIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0::/system.slice/gitlab-runner.service\n":                                           "gitlab-runner.service",
		"0::/system.slice/gitlab-runner.service/job-7\n":                                     "gitlab-runner.service",
		"12:cpu:/\n1:name=systemd:/system.slice/gitlab-runner@2.service\n":                   "gitlab-runner@2.service",
		"0::/system.slice/docker-0123.scope\n":                                               "",
		"0::/user.slice/user-1000.slice/session-2.scope\n":                                   "",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/gitlab-runner.service\n": "",
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-0123.scope\n":                 "",
		"0::/\n": "", "": "", "nonsense": "",
	} {
		if got := serviceIn(text); got != want {
			t.Errorf("of %q: got %q, want %q", text, got, want)
		}
	}
}

// underSystemd is a host whose one runner is a real child of the test, in a unit
// that a mock of systemctl shows.
func underSystemd(t *testing.T, show string) (h Host, config string, line func() string, calls func() string) {
	t.Helper()
	h = testHost(t)
	h.Now = func() time.Time { return time.Unix(2_000_000_000, 0) }
	config = put(t, filepath.Join(t.TempDir(), "config.toml"), "x")
	pid, line, _ := child(t, config)
	put(t, h.proc("stat"), "btime 1000000\n")
	h.fake(t, fakeProcess{pid: pid, args: []string{"gitlab-runner", "run", "-c", config}})
	put(t, h.proc(fmt.Sprint(pid), "cgroup"), "0::/system.slice/gitlab-runner.service\n")
	if strings.Contains(show, "%d") {
		show = fmt.Sprintf(show, pid)
	}
	mock, err := filepath.Abs(filepath.Join("testdata", "systemctl")) // a file just written may be busy while other tests fork
	if err != nil {
		t.Fatal(err)
	}
	h.Systemctl = link(t, mock, filepath.Join(h.Root, "systemctl"))
	put(t, h.Systemctl+".show", show)
	return h, config, line, func() string {
		text, _ := os.ReadFile(h.Systemctl + ".log")
		return strings.TrimSpace(string(text))
	}
}

func TestReloadWith(t *testing.T) {
	t.Parallel()
	idle := func(context.Context) error { return nil }
	busy := func(context.Context) error { return errors.New("whether jobs run is unknown") }
	for name, c := range map[string]struct {
		show  string
		by    ReloadBy
		idle  func(context.Context) error
		fails bool
		said  string // by the child: "hup", "" when it was ended, "-" for nothing
		calls string
		how   string
	}{
		"a unit with ExecReload":            {show: shownReloading, by: ReloadAuto, said: "-", calls: "reload -- gitlab-runner.service", how: "systemctl reload gitlab-runner.service"},
		"one without":                       {show: shownPackaged, by: ReloadAuto, said: "hup", how: "SIGHUP to gitlab-runner run"},
		"systemd, one without":              {show: shownPackaged, by: ReloadSystemd, said: "hup", how: "SIGHUP to gitlab-runner run"},
		"a unit systemd does not know":      {show: shownMissing, by: ReloadSystemd, said: "hup", how: "systemd knows no unit"},
		"a right is missing":                {show: shownReloading, by: ReloadAuto, fails: true, said: "hup", calls: "reload -- gitlab-runner.service", how: "Interactive authentication required"},
		"sighup":                            {show: shownReloading, by: ReloadSighup, said: "hup", how: "SIGHUP"},
		"touch":                             {show: shownReloading, by: ReloadTouch, said: "-", how: "newer mtime"},
		"none":                              {show: shownReloading, by: ReloadNone, said: "-", how: "not reloaded, as ordered"},
		"restart, idle, not started anew":   {show: shownReloading, by: ReloadRestart, idle: idle, said: "hup", how: "not restarted (gitlab-runner.service has neither Restart=always nor Restart=on-success: once it ended after its jobs systemd would not start it anew): SIGHUP to"},
		"restart, idle, started anew":       {show: shownPackaged, by: ReloadRestart, idle: idle, said: "", how: "SIGQUIT"},
		"restart, not known to be idle":     {show: shownPackaged, by: ReloadRestart, idle: busy, said: "hup", how: "not restarted (whether jobs run is unknown)"},
		"restart, nobody to ask":            {show: shownPackaged, by: ReloadRestart, said: "hup", how: "not restarted (whether jobs run is unknown)"},
		"restart, of what systemd does not": {show: shownMissing, by: ReloadRestart, idle: idle, said: "hup", how: "not restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, config, line, calls := underSystemd(t, c.show)
			if c.fails {
				put(t, h.Systemctl+".fails", "")
			}
			how, err := h.ReloadWith(t.Context(), config, c.by, c.idle)
			if err != nil || !strings.Contains(how, c.how) {
				t.Errorf("got %q, %v; want %q in it", how, err, c.how)
			}
			want := ""
			if c.calls != "" {
				want = "--no-ask-password --no-pager " + c.calls
			}
			if got := calls(); got != want {
				t.Errorf("systemctl was called as %q, want %q", got, want)
			}
			if c.said == "-" {
				return
			}
			if got := line(); got != c.said {
				t.Errorf("the child says %q, want %q", got, c.said)
			}
		})
	}
}

// The plan names the way that is then gone, and no number that is another one
// tomorrow.
func TestReloadText(t *testing.T) {
	t.Parallel()
	for show, want := range map[string]string{
		shownReloading: "reload gitlab-runner by systemctl reload gitlab-runner.service",
		shownPackaged:  "reload gitlab-runner by SIGHUP to the main process of gitlab-runner.service",
		shownMissing:   "reload gitlab-runner by SIGHUP",
	} {
		h, config, _, _ := underSystemd(t, show)
		if got := h.ReloadText(t.Context(), config, ReloadAuto); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for show, want := range map[string]string{
		shownReloading: "reload gitlab-runner by SIGHUP (gitlab-runner.service has neither Restart=always nor Restart=on-success: ",
		shownPackaged:  "reload gitlab-runner by a restart of gitlab-runner.service once no job runs, else SIGHUP",
	} {
		h, config, _, _ := underSystemd(t, show)
		if got := h.ReloadText(t.Context(), config, ReloadRestart); !strings.HasPrefix(got, want) {
			t.Errorf("restart: got %q, want %q", got, want)
		}
	}
	h := testHost(t)
	for _, c := range []struct{ os, want string }{{"darwin", "launchctl kill SIGHUP"}, {"windows", "gitlab-runner.exe restart"}} {
		h.GOOS = c.os
		if got := h.ReloadText(t.Context(), "config.toml", ReloadAuto); !strings.Contains(got, c.want) {
			t.Errorf("on %s: got %q, want %q in it", c.os, got, c.want)
		}
	}
	if _, err := ParseReload("reboot"); err == nil {
		t.Error("reboot is taken for a way to reload")
	}
}
