package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"rekey"
	"rekey/internal/durable"
)

// settling is how long a young process is left alone: before gitlab-runner has
// its handler in place, SIGHUP would end it, and it reads the config anyway.
const settling = 5 * time.Second

// byModTime is what makes every running gitlab-runner load a config, on systems
// without SIGHUP too.
const byModTime = "a newer mtime is enough: gitlab-runner looks every 3 s"

// Reloaded says how a process comes to load its config.
type Reloaded struct {
	Signalled bool
	How       string // for people
}

// Reload sends SIGHUP to p if it is still the same process and uses exactly this
// config; it never stops or starts one, and does nothing when it may not: the
// mtime, which the caller has moved forward, works without it. An error is the
// kernel's refusal of a signal that was right; the mtime works then too.
func (h Host) Reload(ctx context.Context, config string, p Process) (Reloaded, error) {
	handle, why := h.target(config, p)
	if why != "" {
		return Reloaded{How: why + "; " + byModTime}, nil
	}
	defer func() { _ = handle.Release() }()
	if err := ctx.Err(); err != nil {
		return Reloaded{How: byModTime}, err
	}
	err := durable.Call("host.sighup", func() error { return hangup(handle) })
	switch {
	case err == nil:
		return Reloaded{Signalled: true, How: fmt.Sprintf("SIGHUP to %s", p)}, nil
	case errors.Is(err, os.ErrProcessDone):
		return Reloaded{How: fmt.Sprintf("%s has ended; %s", p, byModTime)}, nil
	case errors.Is(err, fs.ErrPermission):
		return Reloaded{How: byModTime}, rekey.Errorf(rekey.KindDenied, "%s may not be signalled by this user", p).WithHint(byModTime)
	}
	return Reloaded{How: byModTime}, rekey.Errorf(rekey.KindUnavailable, "SIGHUP to %s: %w", p, err).WithHint(byModTime)
}

// target takes hold of the process first and then looks whether it is the one
// that was found, so that a number that was given to another process meanwhile
// is never signalled. why says why no signal is to be sent.
func (h Host) target(config string, p Process) (handle *os.Process, why string) {
	if p.PID <= 1 && p.ticks == "" {
		return nil, "no process is known"
	} else if p.Command == "run-single" {
		return nil, p.Unready(h.Now())
	}
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return nil, fmt.Sprintf("%s cannot be reached", p)
	}
	now, ok := h.process(p.PID, h.bootTime())
	switch {
	case !ok || now.ticks != p.ticks:
		why = fmt.Sprintf("%s has ended", p)
	case !now.Uses(config):
		why = fmt.Sprintf("%s does not use %s", p, config)
	default:
		why = now.Unready(h.Now())
	}
	if why != "" {
		_ = handle.Release()
		return nil, why
	}
	return handle, ""
}

// ReloadConfig does Reload for every process that uses the config, and says how
// in one line. An error is of the last refusal; the others were served.
func (h Host) ReloadConfig(ctx context.Context, config string) (how string, err error) {
	processes, problem := h.Processes()
	how = "no running gitlab-runner uses this config"
	if problem != "" {
		how = byModTime
	}
	first := true
	for _, p := range processes {
		if !p.Uses(config) {
			continue
		}
		done, failed := h.Reload(ctx, config, p)
		if failed != nil {
			err = failed
		}
		if first {
			how, first = done.How, false
		} else {
			how += ", " + done.How
		}
	}
	return how, err
}
