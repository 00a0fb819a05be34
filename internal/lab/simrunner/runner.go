package simrunner

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"rekey"
)

// watchInterval is how often gitlab-runner looks at the config's mtime.
const watchInterval = 3 * time.Second

// Runner is one simulated runner process. Its methods may be called from any
// goroutine; Run is called once.
type Runner struct {
	opts     Options
	dir      string // of the config, absolute
	log      *lineLog
	client   *client
	systemID rekey.SystemID
	slots    *slots

	reload  chan struct{} // one pending SIGHUP
	drain   chan struct{} // closed: no new jobs
	drained sync.Once
	jobs    sync.WaitGroup // polls and jobs under way

	mu       sync.Mutex
	config   *config
	sections []*section
	changed  chan struct{} // closed by the next successful reload
	total    counters
}

// New reads the config and the system id. A config that gitlab-runner would not
// start with is an error of kind invalid.
func New(opts Options) (*Runner, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(opts.Config))
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "config %s: %w", opts.Config, err)
	}
	r := &Runner{
		opts: opts, dir: dir, log: &lineLog{w: opts.Log}, slots: newSlots(),
		reload: make(chan struct{}, 1), drain: make(chan struct{}), changed: make(chan struct{}),
	}
	c, err := loadConfig(opts.Config, opts.Version, opts.Getenv)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "config %s: %w", opts.Config, err)
	}
	if opts.Version.AtLeast(15, 7) {
		if r.systemID = opts.SystemID; r.systemID == "" {
			r.systemID = loadSystemID(opts.Config, r.log)
		}
	}
	r.client = &client{http: opts.HTTPClient, version: opts.Version, systemID: r.systemID}
	r.install(c)
	return r, nil
}

// SystemID returns the id it sends, "" below 15.7.
func (r *Runner) SystemID() rekey.SystemID { return r.systemID }

// Run polls until ctx is done or Drain was called, and returns when every job
// has ended. When ctx ends, scripts are killed and their jobs reported failed
// within the config's shutdown_timeout; after Drain they run to their end.
func (r *Runner) Run(ctx context.Context) error {
	r.log.info("Starting multi-runner from "+r.opts.Config+"...", field{"builds", 0}, field{"max_builds", 0})
	r.log.info("Initializing executor providers")
	r.loaded()
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() { r.watch(feeding) })
	loops.Go(func() { r.feed(ctx, feeding) })
	select {
	case <-ctx.Done():
	case <-r.drain:
	}
	stop()
	loops.Wait()
	r.jobs.Wait()
	return nil
}

// Reload reads the config again whatever its mtime, as SIGHUP does.
func (r *Runner) Reload() {
	select {
	case r.reload <- struct{}{}:
	default: // one is pending already
	}
}

// Drain stops polling and lets jobs end, as SIGQUIT does. It returns at once.
func (r *Runner) Drain() { r.drained.Do(func() { close(r.drain) }) }

// watch reloads on Reload and on a newer mtime.
func (r *Runner) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.reload:
			if err := r.load(); err != nil {
				r.log.error("Failed to load config " + err.Error())
			}
		case <-tick.C:
			if err := r.loadNewer(); err != nil {
				r.log.error("Failed to load config " + err.Error())
			}
		}
	}
}

// loadNewer reloads when the file is strictly newer than the one in force. The
// mtime of a broken file is remembered: it is not read again until it changes.
// gitlab-runner logs that failure here and once more in its caller.
func (r *Runner) loadNewer() error {
	info, err := os.Stat(r.opts.Config)
	if err != nil {
		return err
	}
	r.mu.Lock()
	newer := r.config.modTime.Before(info.ModTime())
	r.mu.Unlock()
	if !newer {
		return nil
	}
	if err := r.load(); err != nil {
		r.log.error("Failed to load config " + err.Error())
		r.mu.Lock()
		r.config.modTime = info.ModTime()
		r.mu.Unlock()
		return err
	}
	return nil
}

func (r *Runner) load() error {
	c, err := loadConfig(r.opts.Config, r.opts.Version, r.opts.Getenv)
	if err != nil {
		return err
	}
	r.install(c)
	r.loaded()
	return nil
}

// install puts c in force. Health is forgotten; what was counted of a section
// with the same URL and token stays, as does the queue value it was told.
func (r *Runner) install(c *config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := map[sectionKey]*section{}
	for _, s := range r.sections {
		known[s.key()] = s
	}
	r.config, r.sections = c, make([]*section, len(c.Runners))
	for i, sc := range c.Runners {
		r.sections[i] = newSection(sc, known[sectionKey{sc.URL, sc.token}])
	}
	r.slots.resize(c.Concurrent)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Runner) loaded() {
	c, sections, _ := r.snapshot()
	r.log.info("Configuration loaded", field{"builds", 0}, field{"max_builds", c.Concurrent})
	if !r.opts.Version.AtLeast(19, 1) {
		return
	}
	for _, s := range sections {
		if s.blank() {
			r.log.warn("Runner token is empty or whitespace; this runner will be skipped during job polling.", field{"runner_name", s.config.Name})
		}
	}
}

// snapshot returns what is in force and a channel that closes when it is not.
func (r *Runner) snapshot() (*config, []*section, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config, r.sections, r.changed
}

// banner is how the runner names itself: it never passes for a released build.
func banner(v rekey.Version) string { return v.String() + " (rekey lab runner)" }

func userAgent(v rekey.Version) string {
	return "gitlab-runner " + v.String() + " (rekey-lab; " + strings.ReplaceAll(runtime.Version(), " ", "-") + "; " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
