package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/diagnose"
	"rekey/internal/host"
	"rekey/internal/host/docker"
)

// logPatience bounds the reading of one container's or pod's log.
const logPatience = 10 * time.Second

// dockerSource returns what docker://[NAME[/path/to/config.toml]][?context=NAME]
// names, unopened: without a name every container that runs gitlab-runner.
func (a *App) dockerSource(address string) (controller.Source, error) {
	rest, query, err := splitAddress(address, "context")
	if err != nil {
		return controller.Source{}, err
	}
	name, config, _ := strings.Cut(rest, "/")
	if config != "" {
		config = "/" + config
	}
	named := "docker://" + name
	return controller.Source{Name: named, Open: func(ctx context.Context) ([]controller.Source, error) {
		d, err := docker.Open(docker.Options{Context: query.Get("context"), Home: a.env("HOME", "USERPROFILE"), Getenv: func(name string) string { return a.env(name) }})
		if err != nil {
			return nil, err
		}
		found, err := containers(ctx, d, name)
		if err != nil {
			_ = d.Close()
			return nil, err
		}
		var sources []controller.Source
		for _, c := range found {
			sources = append(sources, a.containerSource(ctx, d, c, config))
		}
		sources[len(sources)-1].Close = func() { _ = d.Close() } // they are read in this order
		return sources, nil
	}}, nil
}

// splitAddress takes an address apart behind its scheme; only the options named
// may be in its query.
func splitAddress(address string, options ...string) (rest string, query url.Values, err error) {
	_, rest, _ = strings.Cut(address, "://")
	rest, text, _ := strings.Cut(rest, "?")
	query, err = url.ParseQuery(text)
	if err == nil {
		for key := range query {
			if !strings.Contains(" "+strings.Join(options, " ")+" ", " "+key+" ") {
				err = fmt.Errorf("it has no option %q", key)
			}
		}
	}
	if err != nil {
		return "", nil, rekey.Errorf(rekey.KindInvalid, "%q is no host: %w", address, err).WithHint("its options are ?%s=…", strings.Join(options, "=… and "))
	}
	return strings.TrimSuffix(rest, "/"), query, nil
}

func containers(ctx context.Context, d *docker.Daemon, name string) ([]*docker.Container, error) {
	if name != "" {
		c, err := d.Container(ctx, name)
		return []*docker.Container{c}, err
	}
	all, err := d.Runners(ctx)
	if err == nil && len(all) == 0 {
		err = rekey.Errorf(rekey.KindNotFound, "no container of the Docker daemon at %s runs gitlab-runner", d).
			WithHint("name the one that is meant: `rekey doctor --host docker://NAME`; `docker ps -a` lists them")
	}
	return all, err
}

func (a *App) containerSource(ctx context.Context, d *docker.Daemon, c *docker.Container, config string) controller.Source {
	if config == "" {
		config = c.Config
	}
	h := &containerHost{ctx: ctx, daemon: d, container: c, local: host.Local(a.Now), read: map[string]docker.File{}}
	s := controller.Source{Name: "docker://" + c.Name, Host: h, Getenv: c.Getenv, Paths: []string{config}, ReadFile: h.tlsFile}
	if !c.Running {
		s.Notes = append(s.Notes, fmt.Sprintf("container %s does not run (%s): its gitlab-runner asks for no jobs", c.Name, c.State))
	}
	if !c.Started.IsZero() {
		s.Logs = []controller.Log{{Name: c.LogCommand(), Patience: logPatience, Open: func(ctx context.Context) (io.ReadCloser, error) {
			return c.Log(ctx, a.Now().Add(-24*time.Hour))
		}}}
	}
	return s
}

// containerHost is controller.Host in a container. What was read of a file is kept
// for what is said of it.
type containerHost struct {
	ctx       context.Context // of the reading of the source
	daemon    *docker.Daemon
	container *docker.Container
	local     host.Host

	mu   sync.Mutex
	read map[string]docker.File
}

// Read returns a config's bytes.
func (h *containerHost) Read(path string) ([]byte, error) {
	f, err := h.container.Read(h.ctx, path)
	if err != nil {
		return nil, err
	}
	if len(f.Data) == 0 {
		return nil, &rekey.Error{Kind: rekey.KindInvalid, Err: host.ErrEmpty, Msg: path + " is empty",
			Hint: "a write cut short by a full disk or a crash leaves it so: put a backup in its place and give it a new mtime"}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read[path] = f
	return f.Data, nil
}

// SystemID returns the system id beside the config, or why there is none.
func (h *containerHost) SystemID(path string) (rekey.SystemID, string) {
	return h.container.SystemID(h.ctx, path)
}

// File says what there is to see of a config beside its text.
func (h *containerHost) File(path string) diagnose.File {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.read[path]
	if !ok {
		return diagnose.File{Path: path}
	}
	file := diagnose.File{Path: path, Identity: h.identity(f), Generated: host.GeneratedBy(f.Data), ReadOnly: h.container.ReadOnly(f.RealPath), ModTime: f.ModTime}
	if path == "/etc/gitlab-runner/config.toml" {
		file.Standard = string(host.SystemMode)
	}
	return file
}

// identity is that of the file on this machine where the mount leads to it, which
// is so when the same text stands there with the same time: the daemon may be
// another machine's. Else it is told by the daemon's own words.
func (h *containerHost) identity(f docker.File) string {
	place := h.container.Place(f.RealPath)
	if place == "" {
		return ""
	}
	if here, err := h.local.Read(place); err == nil && bytes.Equal(here.Data, f.Data) && here.ModTime.Truncate(time.Second).Equal(f.ModTime.Truncate(time.Second)) {
		return h.local.FactOf(place, nil).Identity
	}
	return h.daemon.String() + " " + place
}

// Processes returns the container's gitlab-runner while it runs.
func (h *containerHost) Processes(paths []string) ([]diagnose.Process, string) {
	c := h.container
	if !c.Running || c.Command != "run" {
		return nil, ""
	}
	p := diagnose.Process{Name: "gitlab-runner run", Config: c.Config, From: c.ConfigFrom, Started: c.Started}
	for _, path := range paths {
		if path == c.Config {
			p.Uses = append(p.Uses, path)
		}
	}
	return []diagnose.Process{p}, ""
}

// tlsFile reads a TLS file of a section. The official image also trusts the one CA
// file that its entrypoint knows.
func (h *containerHost) tlsFile(name string) ([]byte, error) {
	f, err := h.container.Read(h.ctx, name)
	if rekey.KindOf(err) == rekey.KindNotFound && path.Base(path.Dir(name)) == "certs" {
		f, err = h.container.Read(h.ctx, h.trusted())
	}
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		err = errors.Join(err, fs.ErrNotExist)
	}
	return f.Data, err
}

func (h *containerHost) trusted() string {
	if name, ok := h.container.Getenv("CA_CERTIFICATES_PATH"); ok && name != "" {
		return name
	}
	return "/etc/gitlab-runner/certs/ca.crt"
}
