// Package demo plants a fleet of broken runners in a lab and watches rekey
// diagnose, repair and prove it. It owns what is planted, the written truth, and
// the comparison with what the real binary says. It refuses to import the
// judgement it checks: it knows causes only by their published names.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Lab is the coordinator that the demonstration runs against.
type Lab interface {
	URL() string
	AdminToken() string
	// RegistrationToken returns the instance's, whether it is accepted or not.
	RegistrationToken() string
	// SetBack makes the lab's clock show a time before now by d.
	SetBack(d time.Duration)
}

// Options say how to demonstrate.
type Options struct {
	Lab     func(ctx context.Context, dir, version string) (Lab, func(), error)
	Binary  string // rekey itself: doctor, fix and the simulated runners are its children
	Out     io.Writer
	Color   bool
	Seed    int64
	Version string
	Dir     string
	Keep    bool
}

// demo is one run.
type demo struct {
	Options
	lab    Lab
	api    *client
	rng    *rand.Rand
	fleet  *fleet
	hosts  []*host
	truth  []planted
	stops  []func()
	failed []string
}

// Run demonstrates, and fails when anything is not as promised.
func Run(ctx context.Context, o Options) error {
	d := &demo{Options: o, rng: rand.New(rand.NewPCG(uint64(o.Seed), 0x72656b6579))}
	defer func() {
		for _, stop := range d.stops {
			stop()
		}
	}()
	if err := d.workplace(); err != nil {
		return err
	}
	begin := time.Now()
	for _, act := range []func(context.Context) error{d.raise, d.breakIt, d.diagnose, d.readOnly, d.repair, d.again} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return d.conclude(ctx, time.Since(begin))
}

func (d *demo) workplace() error {
	if d.Dir != "" {
		return os.MkdirAll(d.Dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "rekey-demo-")
	if err != nil {
		return err
	}
	d.Dir = dir
	if !d.Keep {
		d.stops = append(d.stops, func() { _ = os.RemoveAll(dir) })
	}
	return nil
}

// raise starts the lab and fills it with groups, projects and a canary.
func (d *demo) raise(ctx context.Context) error {
	lab, stop, err := d.Lab(ctx, filepath.Join(d.Dir, "lab"), d.Version)
	if err != nil {
		return err
	}
	d.stops = append([]func(){stop}, d.stops...)
	d.lab, d.api = lab, newClient(lab.URL(), lab.AdminToken())
	d.say("A lab that answers as GitLab %s is up at %s. It is not GitLab.", d.Version, lab.URL())
	d.fleet, err = raiseFleet(ctx, d.api)
	return err
}

// breakIt writes the hosts' configs, starts their runners and waits until the
// healthy ones are seen.
func (d *demo) breakIt(ctx context.Context) error {
	if err := d.plant(ctx); err != nil {
		return err
	}
	if err := d.writeTruth(); err != nil {
		return err
	}
	for _, h := range d.hosts {
		stop, err := d.simulate(h)
		if err != nil {
			return err
		}
		d.stops = append([]func(){stop}, d.stops...)
	}
	d.say("%d runner hosts are polling it: %d sections, %d of them broken in %d different ways (seed %d).",
		len(d.hosts), len(d.truth), d.broken(), d.ways(), d.Seed)
	return d.awaitHealthy(ctx)
}

func (d *demo) diagnose(ctx context.Context) error {
	d.say("What their logs say is the same for all of them:")
	d.showLog()
	d.say("What rekey says:")
	if err := d.doctorShown(ctx); err != nil {
		return err
	}
	return d.compare(ctx, "doctor", d.truth)
}

// readOnly rehearses the answer that other tools take for a dead token.
func (d *demo) readOnly(ctx context.Context) error {
	if err := d.api.maintenance(ctx, true); err != nil {
		return err
	}
	err := d.noneRefused(ctx)
	return errors.Join(err, d.api.maintenance(ctx, false), d.reload())
}

// reload gives every config a newer mtime: a gitlab-runner that was refused three
// times meanwhile would leave the section alone for an hour otherwise.
func (d *demo) reload() error {
	var all error
	for _, h := range d.hosts {
		now := time.Now()
		all = errors.Join(all, os.Chtimes(h.config(), now, now))
	}
	return all
}

func (d *demo) repair(ctx context.Context) error {
	d.say("The same for the repair: plan, apply, prove.")
	return d.fixShown(ctx)
}

func (d *demo) again(ctx context.Context) error {
	d.say("And doctor again:")
	if err := d.doctorShown(ctx); err != nil {
		return err
	}
	if err := d.compare(ctx, "doctor after fix", d.repaired()); err != nil {
		return err
	}
	return d.jobsRan(ctx)
}

func (d *demo) conclude(ctx context.Context, took time.Duration) error {
	if len(d.failed) > 0 {
		for _, f := range d.failed {
			fmt.Fprintf(d.Out, "NOT AS PROMISED: %s\n", f)
		}
		return fmt.Errorf("%d things were not as promised (seed %d, files in %s)", len(d.failed), d.Seed, d.Dir)
	}
	d.say("As promised: every planted cause was named, every section that could be repaired was, and a job ran on each (%s).",
		took.Round(100*time.Millisecond))
	fmt.Fprint(d.Out, `
For your own GitLab:
  export GITLAB_HOST=https://gitlab.example.com GITLAB_TOKEN=…   # read_api is enough to look
  rekey doctor                       # reads /etc/gitlab-runner/config.toml or ~/.gitlab-runner/config.toml
  rekey fix --dry-run                # shows what it would do; changes nothing
`)
	if d.Keep {
		d.say("The lab and the runners stay up until Ctrl-C. Files: %s", d.Dir)
		fmt.Fprintf(d.Out, "  export GITLAB_HOST=%s GITLAB_TOKEN=$(sed 's/.*\"admin_token\":\"\\([^\"]*\\)\".*/\\1/' %s)\n",
			d.lab.URL(), filepath.Join(d.Dir, "lab", "lab.json"))
		<-ctx.Done()
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.Color {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(d.Out, "\n%s\n", text)
}

func (d *demo) fail(format string, args ...any) {
	d.failed = append(d.failed, fmt.Sprintf(format, args...))
}
