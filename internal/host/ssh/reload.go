package ssh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/host"
)

// ReloadText says in advance how Reload would make the config load.
func (h *Host) ReloadText(name string, by host.ReloadBy) string {
	switch by {
	case host.ReloadNone:
		return "no reload, as ordered (gitlab-runner looks at the file every 3 s by itself)"
	case host.ReloadTouch:
		return "reload gitlab-runner by a newer mtime"
	case host.ReloadSighup:
		return "reload gitlab-runner by SIGHUP"
	}
	var ways []string
	for _, p := range h.running {
		if h.Uses(p, name) {
			if way := h.wayOf(p, by); !slices.Contains(ways, way) {
				ways = append(ways, way)
			}
		}
	}
	switch {
	case len(ways) > 0:
		return "reload gitlab-runner by " + strings.Join(ways, " and ")
	case h.problem != "":
		return "gitlab-runner loads it by its newer mtime"
	}
	return "gitlab-runner loads it when it starts, or by its newer mtime: none that uses this file is seen running"
}

func (h *Host) wayOf(p host.Process, by host.ReloadBy) string {
	u, err := h.unitFor(p)
	switch {
	case by == host.ReloadRestart && err == nil && u.NoRestart() != "":
		return "SIGHUP (" + u.NoRestart() + ")"
	case by == host.ReloadRestart && err == nil:
		return fmt.Sprintf("a restart of %s once no job runs, else SIGHUP", u.Name)
	case by == host.ReloadRestart:
		return "SIGHUP (no systemd unit of it was found that could be restarted)"
	case err == nil && u.Reloads():
		return "systemctl reload " + u.Name
	case err == nil:
		return "SIGHUP to the main process of " + u.Name
	}
	return "SIGHUP"
}

// unitFor finds the unit whose main process p is.
func (h *Host) unitFor(p host.Process) (host.Unit, error) {
	a, err := h.session.ask("content", 1<<16, fmt.Sprintf("/proc/%d/cgroup", p.PID), nil)
	if err != nil {
		return host.Unit{}, err
	}
	name := host.ServiceOf(string(a.data))
	if name == "" {
		return host.Unit{}, rekey.Errorf(rekey.KindNotFound, "%s is in no systemd service", p)
	}
	text, err := h.systemctl("show --property="+host.UnitProperties, name)
	if err != nil {
		return host.Unit{}, err
	}
	u := host.ParseUnit(text)
	switch {
	case !u.Loaded:
		return u, rekey.Errorf(rekey.KindNotFound, "systemd knows no unit %s", name)
	case u.MainPID != p.PID:
		return u, rekey.Errorf(rekey.KindConflict, "%s is not the main process of %s", p, name)
	}
	return u, nil
}

// systemctl runs it with words that need no quotation.
func (h *Host) systemctl(words, unit string) (string, error) {
	a, err := h.session.order(question{name: "systemctl", path: unit, words: words})
	switch {
	case err != nil:
		return "", err
	case a.obstacle == "none":
		return "", rekey.Errorf(rekey.KindUnavailable, "systemctl is not there")
	case a.obstacle != "":
		return "", rekey.Errorf(rekey.KindUnavailable, "systemctl %s %s: %s", words, unit, lastLine(a.said("said")))
	}
	return a.said("said"), nil
}

// Reload makes every process that uses the config load it, in the way that is
// ordered, as host.Host's ReloadWith does. What cannot be had gives way to something
// gentler, and the line says so.
func (h *Host) Reload(ctx context.Context, name string, by host.ReloadBy, idle func(context.Context) error, now func() time.Time) (how string, err error) {
	switch by {
	case host.ReloadNone:
		return "not reloaded, as ordered; " + host.ByModTime, nil
	case host.ReloadTouch:
		_, err := h.session.ask("touch", 0, name, nil)
		return host.ByModTime, err
	}
	h.seen = map[string]entry{}
	h.running, h.problem = h.processes()
	var said []string
	for _, p := range h.running {
		if h.Uses(p, name) {
			said = append(said, h.reloadOne(ctx, p, by, idle, now))
		}
	}
	switch {
	case len(said) > 0:
		return strings.Join(said, ", "), nil
	case h.problem != "":
		return host.ByModTime, nil
	}
	return "no running gitlab-runner that uses this config is seen; " + host.ByModTime, nil
}

func (h *Host) reloadOne(ctx context.Context, p host.Process, by host.ReloadBy, idle func(context.Context) error, now func() time.Time) string {
	if by == host.ReloadSighup {
		return h.hangUp(p, now)
	}
	u, unknown := h.unitFor(p)
	switch {
	case by == host.ReloadRestart:
		text, done := h.restart(ctx, p, u, unknown, idle)
		if done {
			return text
		}
		return text + ": " + h.hangUp(p, now) + " instead"
	case unknown == nil && u.Reloads():
		if why := p.Unready(now()); why != "" {
			return why + "; " + host.ByModTime
		}
		err := durable.Call("ssh.systemctl.reload", func() error { _, err := h.systemctl("reload", u.Name); return err })
		if err == nil {
			return "systemctl reload " + u.Name
		}
		return fmt.Sprintf("%s (%v)", h.hangUp(p, now), err)
	case by == host.ReloadSystemd && unknown != nil:
		return fmt.Sprintf("%s (systemd: %v)", h.hangUp(p, now), unknown)
	}
	return h.hangUp(p, now)
}

func (h *Host) hangUp(p host.Process, now func() time.Time) string {
	if why := p.Unready(now()); why != "" {
		return why + "; " + host.ByModTime
	}
	if err := h.signal(p, "HUP"); err != nil {
		return err.Error() + "; " + host.ByModTime
	}
	return fmt.Sprintf("SIGHUP to %s", p)
}

func (h *Host) signal(p host.Process, name string) error {
	var a answer
	err := durable.Call("ssh.signal", func() (err error) {
		a, err = h.session.order(question{name: "signal", limit: p.PID, path: p.StartTicks(), words: name})
		return err
	})
	switch {
	case err != nil:
		return err
	case a.obstacle == "ended":
		return rekey.Errorf(rekey.KindNotFound, "%s has ended", p)
	case a.obstacle != "":
		return rekey.Errorf(rekey.KindDenied, "%s may not be signalled by this user", p)
	}
	return nil
}

// restart ends the service gracefully and lets systemd start it anew, only where it
// is certain that no job runs, and that systemd does.
func (h *Host) restart(ctx context.Context, p host.Process, u host.Unit, unknown error, idle func(context.Context) error) (text string, done bool) {
	not := func(why any) (string, bool) { return fmt.Sprintf("not restarted (%v)", why), false }
	if unknown != nil {
		return not(unknown)
	}
	if why := u.NoRestart(); why != "" {
		return not(why)
	}
	if idle == nil {
		return not("whether jobs run is unknown")
	}
	if err := idle(ctx); err != nil {
		return not(err)
	}
	// SIGQUIT takes no more jobs and waits for one that came just now: no window.
	if err := h.signal(p, "QUIT"); err != nil {
		return not(err)
	}
	return fmt.Sprintf("SIGQUIT to %s, which ends after its jobs; systemd starts %s anew", p, u.Name), true
}

// Neighbour is the config of a gitlab-runner that runs there.
type Neighbour struct {
	Name     string // its path, and on which process it is
	Identity string // of the file, as in host.Fact
	Data     []byte
}

// Neighbours returns the configs that other gitlab-runners there run on than those
// named. What cannot be read is left out.
func (h *Host) Neighbours(named []string) []Neighbour {
	var found []Neighbour
	for _, p := range h.running {
		if p.Config == "" || p.Command != "run" || slices.ContainsFunc(named, func(name string) bool { return h.Uses(p, name) }) {
			continue
		}
		if data, err := h.Read(p.Config); err == nil && h.Uses(p, p.Config) {
			found = append(found, Neighbour{fmt.Sprintf("%s, on which %s runs,", p.Config, p), h.Fact(p.Config).Identity, data})
		}
	}
	return found
}
