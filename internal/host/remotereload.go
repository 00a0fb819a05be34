package host

import (
	"fmt"
	"time"
)

// What follows judges processes and systemd units of another machine as of this one.

// ByModTime says, for people, how a config is loaded where nothing is told to.
const ByModTime = byModTime

// UnitProperties are what ParseUnit reads of `systemctl show --property=…`.
const UnitProperties = unitProperties

// ParseUnit reads what `systemctl show` printed.
func ParseUnit(text string) Unit { return parseUnit(text) }

// ServiceOf names the systemd service in the text of a /proc/PID/cgroup, "" for none.
func ServiceOf(cgroup string) string { return serviceIn(cgroup) }

// Reloads reports whether `systemctl reload` does what SIGHUP would, and no more.
func (u Unit) Reloads() bool { return u.reloads() }

// NoRestart says why a restart that is ordered gives way to SIGHUP, "" where it need
// not: `systemctl restart` sends SIGTERM, which aborts a job that was handed out
// since it was asked whether any runs, and after SIGQUIT nobody would start the
// service anew, should rekey end before.
func (u Unit) NoRestart() string {
	if u.Restarts {
		return ""
	}
	return u.Name + " has neither Restart=always nor Restart=on-success: once it ended after its jobs systemd would not start it anew"
}

// StartTicks is when the process began, as the kernel writes it: with the PID it
// tells the process from a later one.
func (p Process) StartTicks() string { return p.ticks }

// Unready says why SIGHUP must not be sent to the process as it was seen just now, ""
// when it may.
func (p Process) Unready(now time.Time) string {
	switch {
	case p.Command == "run-single":
		return fmt.Sprintf("%s would end by SIGHUP", p)
	case !p.hangup:
		return fmt.Sprintf("%s does not handle SIGHUP", p)
	case now.Sub(p.Started) < settling:
		return fmt.Sprintf("%s has just started", p)
	}
	return ""
}
