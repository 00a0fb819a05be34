package agent

import (
	"time"
)

const (
	// hangs is how long the loop may wait for one answer before it counts as hanging; a
	// store or a GitLab is waited for half a minute.
	hangs = 3 * time.Minute
	// each is for every section of a delivery, and resuming for what an earlier process
	// left open.
	each, resuming = time.Minute, 15 * time.Minute
)

// step is what the loop is at.
type step struct {
	what  string // "" before the first
	since time.Time
	most  time.Duration // how long it may take
}

// at says what comes next, and that the loop is alive.
func (a *Agent) at(what string, most time.Duration) {
	a.mu.Lock()
	a.step = step{what, a.opts.Now(), most}
	a.mu.Unlock()
	a.ports.Alive()
}

// hanging is for how long the loop has been at a step that takes no such time, "" and
// zero where it goes round. The caller holds mu.
func (a *Agent) hanging(now time.Time) (what string, is time.Duration) {
	if is = now.Sub(a.step.since); a.step.what == "" || is <= a.step.most {
		return "", 0
	}
	return a.step.what, is
}
