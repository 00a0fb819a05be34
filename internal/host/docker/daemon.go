package docker

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"rekey"
)

// Options say which daemon is asked.
type Options struct {
	Getenv  func(name string) string // required
	Home    string                   // of the user, for the docker command's config
	Context string                   // of the docker command; "" for the one in force
	// Patience bounds one request; 0: 10 s.
	Patience time.Duration
}

// Daemon is a Docker daemon. Its methods may be used concurrently.
type Daemon struct {
	client   *client.Client
	endpoint endpoint
	patience time.Duration
}

// Open prepares to ask the daemon; no request is sent yet.
func Open(o Options) (*Daemon, error) {
	e, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if address, ok := strings.CutPrefix(e.host, "ssh://"); ok {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s names the daemon at ssh://%s, which rekey does not reach by itself", e.from, address).
			WithHint("forward its socket, `ssh -nNT -L $HOME/docker.sock:/var/run/docker.sock %s`, and set DOCKER_HOST=unix://$HOME/docker.sock", sshTarget(address))
	}
	options := []client.Opt{client.WithHost(e.host), client.WithUserAgent("rekey")}
	if e.ca != "" || e.cert != "" {
		options = append(options, client.WithTLSClientConfig(e.ca, e.cert, e.key))
	}
	if version := o.Getenv("DOCKER_API_VERSION"); version != "" {
		options = append(options, client.WithAPIVersion(version))
	}
	c, err := client.New(options...)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the Docker daemon that %s names cannot be asked: %w", e.from, err).WithHint("see `docker context ls` and DOCKER_HOST")
	}
	d := &Daemon{client: c, endpoint: e, patience: o.Patience}
	if d.patience <= 0 {
		d.patience = 10 * time.Second
	}
	return d, nil
}

// Close lets go of the connections.
func (d *Daemon) Close() error { return d.client.Close() }

// String names the daemon for people.
func (d *Daemon) String() string { return d.endpoint.host }

func (d *Daemon) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.patience)
}

// sshTarget is what the ssh command takes of an ssh:// address.
func sshTarget(address string) string {
	host, _, _ := strings.Cut(address, "/")
	if before, port, ok := strings.Cut(host, ":"); ok {
		return "-p " + port + " " + before
	}
	return host
}
