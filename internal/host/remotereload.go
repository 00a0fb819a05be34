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
