package docker

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rekey"
	"rekey/internal/host"
)

// Container is one container as the daemon describes it. Its environment is kept
// for Getenv alone. Its methods may be used concurrently.
type Container struct {
	Name    string
	ID      string // the first twelve digits
	Image   string // as it was named when the container was made
	State   string // "running", "exited", …
	Running bool
	Started time.Time // of the last start, zero before the first
	Command string    // gitlab-runner's, "run"; "" when its arguments show none
	// Config is the config in force, or that would be, in the container's file
	// system; ConfigFrom is "--config", "CONFIG_FILE" or "default".
	Config, ConfigFrom string

	daemon *Daemon
	user   string
	tty    bool
	frozen bool // its own file system is read-only
	env    []string
	mounts []container.MountPoint
}

// Runners returns the containers that run gitlab-runner, or did before they
// stopped, the running ones first, each by name. Jobs' containers are none.
func (d *Daemon) Runners(ctx context.Context) ([]*Container, error) {
	all, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	var found []*Container
	for _, summary := range all {
		if !maybeRunner(summary) {
			continue
		}
		c, err := d.inspect(ctx, summary.ID)
		if errdefs.IsNotFound(err) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, d.denied(ctx, "GET /containers/"+nameOf(summary)+"/json", err)
		}
		if c.runsRunner() {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *Container) int {
		if a.Running != b.Running {
			if a.Running {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return found, nil
}

// Container returns the container of that name or id, whatever it runs. The error
// for one that is not there lists those that are.
func (d *Daemon) Container(ctx context.Context, name string) (*Container, error) {
	c, err := d.inspect(ctx, name)
	switch {
	case err == nil:
		return c, nil
	case errdefs.IsNotFound(err):
		return nil, d.noSuch(ctx, name)
	}
	return nil, d.denied(ctx, "GET /containers/"+name+"/json", err)
}

func (d *Daemon) noSuch(ctx context.Context, name string) error {
	e := rekey.Errorf(rekey.KindNotFound, "the Docker daemon at %s has no container %q", d, name)
	all, err := d.list(ctx)
	switch {
	case err != nil:
		return e.WithHint("see `docker ps -a`")
	case len(all) == 0:
		return e.WithHint("it has no container at all: DOCKER_HOST or `docker context use` names another daemon")
	}
	const most = 10
	var there, runners []string
	for _, s := range all {
		there = append(there, nameOf(s))
		if maybeRunner(s) {
			runners = append(runners, nameOf(s))
		}
	}
	if len(runners) > 0 {
		return e.WithHint("those that may run gitlab-runner: %s", strings.Join(runners[:min(most, len(runners))], ", "))
	}
	return e.WithHint("there are %s", strings.Join(there[:min(most, len(there))], ", "))
}

func (d *Daemon) list(ctx context.Context) ([]container.Summary, error) {
	bounded, stop := d.bounded(ctx)
	defer stop()
	all, err := d.client.ContainerList(bounded, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, d.denied(ctx, "GET /containers/json", err)
	}
	return all.Items, nil
}

func nameOf(s container.Summary) string {
	if len(s.Names) > 0 {
		return strings.TrimPrefix(s.Names[0], "/")
	}
	return s.ID[:min(12, len(s.ID))]
}

// jobLabel is on every container that gitlab-runner's docker executor makes.
const jobLabel = "com.gitlab.gitlab-runner."

// maybeRunner leaves out what is certainly no runner. An image whose tag was moved
// to a newer one is listed by its digest, so that only inspecting tells.
func maybeRunner(s container.Summary) bool {
	for label := range s.Labels {
		if strings.HasPrefix(label, jobLabel) {
			return false
		}
	}
	return strings.HasPrefix(s.Image, "sha256:") || !strings.ContainsAny(s.Image, "/:") || host.RunnerImage(s.Image) || strings.Contains(s.Command, "gitlab-runner")
}

// runsRunner: its image or its arguments are gitlab-runner's, and what it does is
// to run for good; one that registered and ended is none.
func (c *Container) runsRunner() bool {
	return c.Command == "run" || c.Command == "" && host.RunnerImage(c.Image)
}

func (d *Daemon) inspect(ctx context.Context, name string) (*Container, error) {
	bounded, stop := d.bounded(ctx)
	defer stop()
	answer, err := d.client.ContainerInspect(bounded, name, client.ContainerInspectOptions{})
	if err != nil {
		return nil, err
	}
	raw := answer.Container
	c := &Container{daemon: d, Name: strings.TrimPrefix(raw.Name, "/"), ID: raw.ID[:min(12, len(raw.ID))], mounts: raw.Mounts}
	if raw.State != nil {
		c.State, c.Running = string(raw.State.Status), raw.State.Running
		c.Started, _ = time.Parse(time.RFC3339Nano, raw.State.StartedAt)
		if c.Started.Year() <= 1 {
			c.Started = time.Time{}
		}
	}
	if raw.HostConfig != nil {
		c.frozen = raw.HostConfig.ReadonlyRootfs
	}
	arguments := append([]string{raw.Path}, raw.Args...)
	workdir := ""
	if raw.Config != nil {
		c.Image, c.user, c.tty, c.env, workdir = raw.Config.Image, raw.Config.User, raw.Config.Tty, raw.Config.Env, raw.Config.WorkingDir
	}
	c.findConfig(ctx, arguments, workdir)
	return c, nil
}

// Getenv looks a variable of the container's environment up.
func (c *Container) Getenv(name string) (string, bool) {
	for _, e := range slices.Backward(c.env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// findConfig decides which config is in force, as gitlab-runner itself does: the
// flag, CONFIG_FILE, else the standard place of the user it runs as.
func (c *Container) findConfig(ctx context.Context, arguments []string, workdir string) {
	config := ""
	isRunner := host.RunnerImage(c.Image) || slices.ContainsFunc(arguments, func(a string) bool { return strings.Contains(a, "gitlab-runner") })
	if isRunner {
		c.Command, config = host.Arguments(words(arguments))
	}
	c.Config, c.ConfigFrom = config, "--config"
	if c.Config == "" {
		c.Config, _ = c.Getenv("CONFIG_FILE")
		c.ConfigFrom = "CONFIG_FILE"
	}
	if c.Config == "" {
		c.Config, c.ConfigFrom = c.standard(ctx), "default"
	}
	if !path.IsAbs(c.Config) {
		c.Config = path.Join("/", workdir, c.Config)
	}
	c.Config = path.Clean(c.Config)
}

// words splits the one argument of a `sh -c`.
func words(arguments []string) []string {
	var all []string
	for _, a := range arguments {
		if strings.Contains(a, "gitlab-runner ") {
			all = append(all, strings.Fields(a)...)
			continue
		}
		all = append(all, a)
	}
	return all
}

// standard is where gitlab-runner looks for the config by itself, which depends on
// the user of its process: `--user` of its arguments is that of the jobs.
func (c *Container) standard(ctx context.Context) string {
	const system = "/etc/gitlab-runner/config.toml"
	user, _, _ := strings.Cut(c.user, ":")
	if user == "" || user == "root" || user == "0" {
		return system
	}
	home, _ := c.Getenv("HOME")
	if home == "" {
		home = c.homeOf(ctx, user)
	}
	if home == "" {
		return system
	}
	return path.Join(home, ".gitlab-runner", "config.toml")
}

// homeOf reads the container's own list of users.
func (c *Container) homeOf(ctx context.Context, user string) string {
	f, err := c.Read(ctx, "/etc/passwd")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(f.Data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) >= 6 && (fields[0] == user || fields[2] == user) {
			return fields[5]
		}
	}
	return ""
}
