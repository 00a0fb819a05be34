package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"rekey"
	"rekey/internal/durable"
)

// ReloadBy is the way a running gitlab-runner is made to load its config.
type ReloadBy string

// The ways.
const (
	ReloadAuto    ReloadBy = "auto"    // what is found: systemd's own reload, else SIGHUP, else the mtime
	ReloadSighup  ReloadBy = "sighup"  // SIGHUP to the processes that use the config
	ReloadTouch   ReloadBy = "touch"   // a newer mtime, which gitlab-runner looks at every 3 s
	ReloadSystemd ReloadBy = "systemd" // systemctl reload, or SIGHUP to the unit's main process
	ReloadRestart ReloadBy = "restart" // has the service end after its jobs and systemd start it anew
	ReloadNone    ReloadBy = "none"    // nothing is done
)

// ParseReload reads a way as people write it; "" is auto.
func ParseReload(text string) (ReloadBy, error) {
	switch by := ReloadBy(text); by {
	case "":
		return ReloadAuto, nil
	case ReloadAuto, ReloadSighup, ReloadTouch, ReloadSystemd, ReloadRestart, ReloadNone:
		return by, nil
	}
	return "", rekey.Errorf(rekey.KindInvalid, "%q is no way to reload", text).WithHint("use auto, sighup, touch, systemd, restart or none")
}

// elsewhere says what to type on systems where no process is listed. gitlab-runner
// looks at the mtime there as everywhere.
func (h Host) elsewhere() string {
	switch h.GOOS {
	case "darwin":
		return "; to make it load at once: launchctl kill SIGHUP gui/$(id -u)/gitlab-runner (brew names it homebrew.mxcl.gitlab-runner; a system service is sudo launchctl kill SIGHUP system/gitlab-runner)"
	case "windows":
		return "; Windows has no SIGHUP: should it not load within a minute, and once no job runs: gitlab-runner.exe restart"
	}
	return ""
}

// ReloadText says in advance how ReloadWith would make the config load. It names
// no process ids, which would be others tomorrow.
func (h Host) ReloadText(ctx context.Context, config string, by ReloadBy) string {
	switch by {
	case ReloadNone:
		return "no reload, as ordered (gitlab-runner looks at the file every 3 s by itself)"
	case ReloadTouch:
		return "reload gitlab-runner by a newer mtime"
	case ReloadSighup:
		return "reload gitlab-runner by SIGHUP"
	}
	processes, problem := h.Processes()
	var ways []string
	for _, p := range processes {
		if p.Uses(config) {
			ways = append(ways, h.wayOf(ctx, p, by))
		}
	}
	switch {
	case len(ways) > 0:
		return "reload gitlab-runner by " + strings.Join(distinct(ways), " and ")
	case problem != "":
		return "gitlab-runner loads it by its newer mtime" + h.elsewhere()
	}
	return "gitlab-runner loads it when it starts, or by its newer mtime: none that uses this file is running"
}

func distinct(list []string) []string {
	var kept []string
	for i, text := range list {
		if !strings.Contains("\x00"+strings.Join(list[:i], "\x00")+"\x00", "\x00"+text+"\x00") {
			kept = append(kept, text)
		}
	}
	return kept
}

// wayOf names how one process is reloaded.
func (h Host) wayOf(ctx context.Context, p Process, by ReloadBy) string {
	u, err := h.unitFor(ctx, p)
	switch {
	case by == ReloadRestart && err == nil && u.NoRestart() != "":
		return "SIGHUP (" + u.NoRestart() + ")"
	case by == ReloadRestart && err == nil:
		return fmt.Sprintf("a restart of %s once no job runs, else SIGHUP", u.Name)
	case by == ReloadRestart:
		return "SIGHUP (no systemd unit of it was found that could be restarted)"
	case err == nil && u.reloads():
		return "systemctl reload " + u.Name
	case err == nil:
		return "SIGHUP to the main process of " + u.Name
	}
	return "SIGHUP"
}

// unitFor finds the unit whose main process p is.
func (h Host) unitFor(ctx context.Context, p Process) (Unit, error) {
	name := h.unitOf(p)
	if name == "" {
		return Unit{}, rekey.Errorf(rekey.KindNotFound, "%s is in no systemd service", p)
	}
	u, err := h.unit(ctx, name)
	if err == nil && u.MainPID != p.PID {
		err = rekey.Errorf(rekey.KindConflict, "%s is not the main process of %s", p, name)
	}
	return u, err
}

// ReloadWith makes every process that uses the config load it, in the way that is
// ordered, and says how in one line. idle reports, for a restart, whether any job
// may be running: nil means that for certain none is; no idle at all is not idle.
// A way that cannot be had gives way to a gentler one, and the line says so; an
// error is of the last that failed, and the mtime works without it.
func (h Host) ReloadWith(ctx context.Context, config string, by ReloadBy, idle func(context.Context) error) (how string, err error) {
	switch by {
	case ReloadNone:
		return "not reloaded, as ordered; " + byModTime, nil
	case ReloadTouch:
		return h.touch(config)
	case ReloadSighup:
		how, err = h.ReloadConfig(ctx, config)
		return how + h.elsewhere(), err
	}
	processes, problem := h.Processes()
	var said []string
	for _, p := range processes {
		if !p.Uses(config) {
			continue
		}
		text, failed := h.reloadOne(ctx, config, p, by, idle)
		said = append(said, text)
		if failed != nil {
			err = failed
		}
	}
	switch {
	case len(said) > 0:
		return strings.Join(said, ", "), err
	case problem != "":
		return byModTime + h.elsewhere(), err
	}
	return "no running gitlab-runner uses this config", err
}

func (h Host) reloadOne(ctx context.Context, config string, p Process, by ReloadBy, idle func(context.Context) error) (string, error) {
	u, err := h.unitFor(ctx, p)
	if by == ReloadRestart {
		text, done := h.restart(ctx, config, p, u, err, idle)
		if done {
			return text, nil
		}
		how, err := h.Reload(ctx, config, p)
		return text + ": " + how.How + " instead", err
	}
	if err == nil && u.reloads() {
		if handle, why := h.target(config, p); why != "" {
			return why + "; " + byModTime, nil
		} else if handle != nil {
			_ = handle.Release()
		}
		how, failed := h.reloadUnit(ctx, u)
		if failed == nil {
			return how, nil
		}
		gentler, err := h.Reload(ctx, config, p)
		return fmt.Sprintf("%s (%v)", gentler.How, failed), err
	}
	how, failed := h.Reload(ctx, config, p)
	if by == ReloadSystemd && err != nil {
		how.How += fmt.Sprintf(" (systemd: %v)", err)
	}
	return how.How, failed
}

// touch moves the mtime of the config to now.
func (h Host) touch(config string) (string, error) {
	now := h.Now()
	err := durable.Call("host.touch", func() error { return os.Chtimes(config, now, now) })
	if err != nil {
		return byModTime, statError(config, err)
	}
	return byModTime, nil
}

// restart ends the service gracefully and lets systemd start it anew. It does so
// only where it is certain that no job runs; done is false where it did not, and
// text says why.
func (h Host) restart(ctx context.Context, config string, p Process, u Unit, known error, idle func(context.Context) error) (text string, done bool) {
	if known != nil {
		return fmt.Sprintf("not restarted (%v)", known), false
	}
	if why := u.NoRestart(); why != "" {
		return fmt.Sprintf("not restarted (%s)", why), false
	}
	if idle == nil {
		return "not restarted (whether jobs run is unknown)", false
	}
	if err := idle(ctx); err != nil {
		return fmt.Sprintf("not restarted (%v)", err), false
	}
	// SIGQUIT takes no more jobs and waits for one that came just now: no window.
	handle, why := h.target(config, p)
	if why != "" {
		return fmt.Sprintf("not restarted (%s)", why), false
	}
	defer func() { _ = handle.Release() }()
	err := durable.Call("host.sigquit", func() error { return handle.Signal(syscall.SIGQUIT) })
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Sprintf("not restarted (%v)", err), false
	}
	return fmt.Sprintf("SIGQUIT to %s, which ends after its jobs; systemd starts %s anew", p, u.Name), true
}
