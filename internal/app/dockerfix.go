package app

import (
	"bytes"
	"context"
	"strings"
	"time"

	"rekey"
	"rekey/internal/host"
	"rekey/internal/host/docker"
)

// contained is a config of this machine that a container's gitlab-runner uses.
type contained struct {
	path      string
	container *docker.Container
	close     func()
}

// containedIn finds the file of this machine that is the config of the container that
// an address names. The daemon may be another machine's: the text and the time of
// the two must be equal.
func (a *App) containedIn(ctx context.Context, address string) (contained, error) {
	rest, query, err := splitAddress(address, "context")
	if err != nil {
		return contained{}, err
	}
	name, config, given := strings.Cut(rest, "/")
	if name == "" {
		return contained{}, rekey.Errorf(rekey.KindInvalid, "which container is meant must be said").WithHint("name it, as --host docker://gitlab-runner; `rekey doctor --host docker://` shows them")
	}
	d, err := docker.Open(docker.Options{Context: query.Get("context"), Home: a.env("HOME", "USERPROFILE"), Getenv: func(name string) string { return a.env(name) }})
	if err != nil {
		return contained{}, err
	}
	found := contained{close: func() { _ = d.Close() }}
	if found.container, err = d.Container(ctx, name); err == nil {
		if config = "/" + config; !given {
			config = found.container.Config
		}
		found.path, err = a.outside(ctx, found.container, config)
	}
	if err != nil {
		found.close()
	}
	return found, err
}

func (a *App) outside(ctx context.Context, c *docker.Container, config string) (string, error) {
	inside, err := c.Read(ctx, config)
	if err != nil {
		return "", err
	}
	path, err := c.Outside(inside.RealPath)
	if err != nil {
		return "", err
	}
	here, err := host.Local(a.Now).Read(path)
	switch {
	case rekey.KindOf(err) == rekey.KindDenied && err != nil:
		return "", err
	case err != nil || !bytes.Equal(here.Data, inside.Data) || !here.ModTime.Truncate(time.Second).Equal(inside.ModTime.Truncate(time.Second)):
		return "", rekey.Errorf(rekey.KindInvalid, "%s of container %s does not lie on this machine", config, c.Name).
			WithHint("run the same command with --config %s in place of --host on the machine of the Docker daemon, then `docker kill -s HUP %s`", path, c.Name)
	}
	return path, nil
}

// contain takes the containers among the hosts and puts their files among the
// configs.
func (f *Fix) contain(ctx context.Context) error {
	var rest []string
	for _, address := range f.in.Hosts.Addresses {
		if !strings.HasPrefix(address, "docker://") {
			rest = append(rest, address)
			continue
		}
		c, err := f.app.containedIn(ctx, address)
		if err != nil {
			return err
		}
		f.closers = append(f.closers, c.close)
		f.in.Configs = append(f.in.Configs, c.path)
		f.host.containers[c.path] = c.container
	}
	if f.in.Hosts.Addresses = rest; len(rest) > 0 && len(f.in.Configs) > 0 {
		return rekey.Errorf(rekey.KindInvalid, "releases in a cluster go by themselves").WithHint("name this machine's configs and containers in another call")
	}
	return nil
}
