package docker

import (
	"context"

	"github.com/moby/moby/client"

	"rekey"
	"rekey/internal/durable"
)

// Reload sends SIGHUP to process 1 of the container, which is gitlab-runner or, in
// the official image, hands it on; gitlab-runner then loads its config at once. It
// says what it did, or why nothing: a process 1 that is not known for gitlab-runner's
// gets no signal.
func (c *Container) Reload(ctx context.Context) (how string, err error) {
	if !c.Running || c.Command != "run" {
		return "no gitlab-runner runs in container " + c.Name, nil
	}
	bounded, stop := c.daemon.bounded(ctx)
	defer stop()
	err = durable.Call("docker.kill", func() error {
		_, err := c.daemon.client.ContainerKill(bounded, c.ID, client.ContainerKillOptions{Signal: "HUP"})
		return err
	})
	if err != nil {
		return "", c.daemon.denied(ctx, "POST /containers/"+c.Name+"/kill", err)
	}
	return "SIGHUP to container " + c.Name, nil
}

// Outside is where a config lies on the daemon's machine, if an edit there is one
// inside too. A file that is mounted by itself is none: the container would keep the
// old one, as an edit puts a new file in its place. name is a real path.
func (c *Container) Outside(name string) (path string, err error) {
	m := c.mountOf(name)
	switch {
	case m == nil:
		return "", rekey.Errorf(rekey.KindInvalid, "%s lies in container %s alone, and goes with it", name, c.Name).
			WithHint("make the container anew with a volume or a directory of this machine at /etc/gitlab-runner; `docker cp %s:%s .` takes the config out", c.Name, name)
	case m.Type == "tmpfs":
		return "", rekey.Errorf(rekey.KindInvalid, "%s lies in the memory of container %s", name, c.Name).WithHint("change what writes it there at the container's start")
	case m.Destination == name:
		return "", rekey.Errorf(rekey.KindInvalid, "%s is mounted into container %s as a single file: an edit puts a new file in its place, which the container would not see", name, c.Name).
			WithHint("mount its directory instead (-v /srv/gitlab-runner/config:/etc/gitlab-runner); gitlab-runner itself cannot save a token there either")
	}
	return c.Place(name), nil
}
