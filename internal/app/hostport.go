package app

import (
	"context"
	"errors"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/diagnose"
	"rekey/internal/durable"
	"rekey/internal/host"
	"rekey/internal/host/docker"
)

// observedHost is controller.Host on this machine. What runs here was listed once,
// when it was made.
type observedHost struct {
	host.Host
	running []host.Process
	problem string
}

func newObservedHost(h host.Host) observedHost {
	o := observedHost{Host: h}
	o.running, o.problem = h.Processes()
	return o
}

// File says what there is to see of a config beside its text.
func (h observedHost) File(path string) diagnose.File {
	return fileOf(h.FactOf(path, h.running))
}

func fileOf(f host.Fact) diagnose.File {
	return diagnose.File{Path: f.Path, Identity: f.Identity, Generated: f.Generated, ReadOnly: f.ReadOnly, Standard: string(f.Standard), ModTime: f.ModTime, ChangedAt: f.ChangedAt}
}

// Processes returns the runners that run for good.
func (h observedHost) Processes(paths []string) (found []diagnose.Process, problem string) {
	return processes(h.running, paths, host.Process.Uses), h.problem
}

// processes leaves out a run-single, which has no config.
func processes(running []host.Process, paths []string, uses func(host.Process, string) bool) []diagnose.Process {
	var found []diagnose.Process
	for _, p := range running {
		if p.Command == "run-single" {
			continue
		}
		f := diagnose.Process{Name: p.String(), Config: p.Config, From: p.ConfigFrom, Started: p.Started, Problem: p.Problem, Simulated: p.Executable == "rekey"}
		for _, path := range paths {
			if uses(p, path) {
				f.Uses = append(f.Uses, path)
			}
		}
		found = append(found, f)
	}
	return found
}

// Read returns a config's bytes.
func (h observedHost) Read(path string) ([]byte, error) {
	f, err := h.Host.Read(path)
	return f.Data, err
}

// repairedHost is remedy.Host on this machine.
type repairedHost struct {
	host.Host
	by host.ReloadBy
	// idleSection fails unless no job of a section's record runs for certain.
	idleSection func(ctx context.Context, s configtoml.Section) error
	// containers use configs of this machine: their gitlab-runner is told through
	// the daemon.
	containers map[string]*docker.Container
	// far are other machines, whose configs are named with them; nil: none.
	far *farHosts
	// locks are those of this machine.
	locks  *dirLocks
	former *formerSections
}

func (a *App) repairedHost(n *network, in ProofInput, far *farHosts) repairedHost {
	h := repairedHost{Host: host.Local(a.Now), containers: map[string]*docker.Container{}, far: far,
		locks: &dirLocks{}, former: &formerSections{}, idleSection: n.idleSection}
	h.by, _ = host.ParseReload(in.Reload) // Check has refused what is none
	return h
}

// learn takes from a journal what a config held, and how its host is reached.
func (h repairedHost) learn(t rekey.Target) {
	h.far.learn(t)
	h.former.learn(t)
}

// Read returns a config's bytes; an empty config is one without sections.
func (h repairedHost) Read(path string) ([]byte, error) {
	if far, there := h.far.of(path); far != nil {
		return far.Read(there)
	}
	f, err := h.Host.Read(path)
	if errors.Is(err, host.ErrEmpty) {
		err = nil
	}
	return f.Data, err
}

// readable says why a config cannot be read or has nothing in it.
func (h repairedHost) readable(path string) error {
	if far, there := h.far.of(path); far != nil {
		_, err := far.Read(there)
		return err
	}
	_, err := h.Host.Read(path)
	return err
}

// SystemID drops why there is none.
func (h repairedHost) SystemID(path string) rekey.SystemID {
	if far, there := h.far.of(path); far != nil {
		return far.SystemID(there)
	}
	id, _ := h.Host.SystemID(path)
	return id
}

// CheckWritable fails where Replace could not change the file.
func (h repairedHost) CheckWritable(path string) error {
	if far, there := h.far.of(path); far != nil {
		return far.CheckWritable(there)
	}
	_, err := durable.CheckWritable(path, h.Writing(path)...)
	return err
}

// Replace exchanges the file, or writes in place where nothing else can be had:
// the engine has sealed the old image before.
func (h repairedHost) Replace(path string, expect, next []byte) (string, error) {
	h.former.replaced(path, expect, next)
	if far, there := h.far.of(path); far != nil {
		return far.Replace(there, expect, next)
	}
	r, err := h.locks.replace(path, expect, next, h.Writing(path)...)
	return string(r.How), err
}

// Reload makes the gitlab-runner that uses the config load it, in the way that was
// ordered. A signal that may not be sent is no failure: the newer mtime works
// without it.
func (h repairedHost) Reload(ctx context.Context, path string) (string, error) {
	if c := h.containerOf(path); c != nil {
		how, err := c.Reload(ctx)
		if err != nil && ctx.Err() == nil {
			return "the newer mtime, within three seconds (" + err.Error() + ")", nil
		}
		return how, err
	}
	idle := h.idle(path)
	if far, there := h.far.of(path); far != nil {
		return far.Reload(ctx, there, h.by, idle)
	}
	how, err := h.ReloadWith(ctx, path, h.by, idle)
	if err != nil && ctx.Err() == nil {
		return err.Error() + ": " + rekey.HintOf(err), nil
	}
	return how, err
}

// idle fails unless no job runs for certain. It reads the config at once: while it is
// asked its host is under way with the reload, and answers nothing else.
func (h repairedHost) idle(path string) func(context.Context) error {
	if h.by != host.ReloadRestart {
		return nil
	}
	data, err := h.Read(path)
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		return h.restable(ctx, path, data)
	}
}

// containerOf is the container whose gitlab-runner is signalled for a config, nil
// where another way was ordered.
func (h repairedHost) containerOf(path string) *docker.Container {
	if h.by != host.ReloadAuto && h.by != host.ReloadSighup {
		return nil
	}
	return h.containers[path]
}

// ReloadText says for a plan how a config comes into force.
func (h repairedHost) ReloadText(ctx context.Context, path string, by host.ReloadBy) string {
	if c := h.containerOf(path); c != nil {
		return "SIGHUP to gitlab-runner in container " + c.Name
	}
	if far, there := h.far.of(path); far != nil {
		return far.ReloadText(there, by)
	}
	return h.Host.ReloadText(ctx, path, by)
}

// Lock locks the config's directory and settles what a killed edit left there. The
// configs of one directory may be locked side by side.
func (h repairedHost) Lock(path string) (func(), error) {
	if far, there := h.far.of(path); far != nil {
		return far.Lock(there)
	}
	return h.locks.lock(path)
}

// wallClock is remedy.Clock.
type wallClock struct{}

// Now returns the time.
func (wallClock) Now() time.Time { return time.Now() }

// Sleep waits, or returns ctx's error when it ends first.
func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
