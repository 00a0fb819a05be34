//go:build linux

package docker_test

import (
	"os"
	"testing"

	"github.com/moby/moby/api/types/container"

	"rekey/internal/host/docker"
	"rekey/internal/host/docker/dockertest"
)

// daemon is a real dockerd: what is at stake is how it answers.
var daemon dockertest.Daemon

func TestMain(m *testing.M) {
	code := m.Run()
	daemon.Stop()
	os.Exit(code)
}

const image = dockertest.Image

func config(name string) string { return dockertest.Config(name, "http://127.0.0.1/", "") }

type realDaemon struct{ *dockertest.Daemon }

func real(t *testing.T) realDaemon {
	t.Helper()
	return realDaemon{daemon.Started(t)}
}

func (d realDaemon) open(t *testing.T) *docker.Daemon {
	t.Helper()
	return open(t, d.Socket())
}

func (d realDaemon) create(t *testing.T, name string, change func(*container.Config, *container.HostConfig)) *docker.Container {
	t.Helper()
	d.Create(t, name, change)
	return d.found(t, name)
}

// run is create, started.
func (d realDaemon) run(t *testing.T, name string, change func(*container.Config, *container.HostConfig)) *docker.Container {
	t.Helper()
	d.Run(t, name, change)
	return d.found(t, name)
}

func (d realDaemon) found(t *testing.T, name string) *docker.Container {
	t.Helper()
	c, err := d.open(t).Container(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
