package docker

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"rekey"
)

// denied words what stood in the way of a request, and what would open it. asked
// is the route, "GET /containers/json".
func (d *Daemon) denied(ctx context.Context, asked string, err error) error {
	switch {
	case ctx.Err() != nil && context.Cause(ctx) == context.Canceled:
		return rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return rekey.Errorf(rekey.KindUnavailable, "the Docker daemon at %s did not answer %s within %s", d, asked, d.patience).
			WithHint("see whether `docker version` answers; a daemon that hangs is restarted with `systemctl restart docker` when no job runs")
	case errdefs.IsUnauthorized(err):
		return rekey.Errorf(rekey.KindDenied, "the Docker API at %s asks for credentials (401) for %s: %s", d, asked, said(err)).
			WithHint("give the client certificate that it wants: DOCKER_CERT_PATH with ca.pem, cert.pem and key.pem, or a docker context that holds them")
	case errdefs.IsPermissionDenied(err):
		return rekey.Errorf(rekey.KindDenied, "the Docker API at %s refuses %s (403): %s", d, asked, said(err)).
			WithHint("an authorization plugin must allow GET on /containers/json, /containers/*/json, /containers/*/archive and /containers/*/logs; a docker-socket-proxy needs CONTAINERS=1")
	case client.IsErrConnectionFailed(err):
		return d.unreachable(err)
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s at %s failed: %s", asked, d, said(err)).WithHint("see whether `docker ps` works, and the daemon's log: `journalctl -u docker`")
}

// unreachable tells a socket that is not there from one that is closed to this
// user. The client library drops what the system said, so the socket is tried once
// more; nothing is sent on it.
func (d *Daemon) unreachable(err error) error {
	path, isSocket := strings.CutPrefix(d.endpoint.host, "unix://")
	if !isSocket {
		return rekey.Errorf(rekey.KindUnavailable, "the Docker daemon at %s (%s) cannot be reached: %s", d, d.endpoint.from, said(err)).
			WithHint("check DOCKER_HOST or `docker context ls`; 2375 speaks plain HTTP, 2376 TLS (DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH)")
	}
	connection, dialErr := net.DialTimeout("unix", path, time.Second)
	if dialErr == nil {
		_ = connection.Close()
		return rekey.Errorf(rekey.KindUnavailable, "what listens on %s does not speak as a Docker daemon: %s", path, said(err)).WithHint("see `docker -H %s version`", d)
	}
	switch {
	case errors.Is(dialErr, fs.ErrPermission):
		return rekey.Errorf(rekey.KindDenied, "%s may not be opened by this user", path).
			WithHint("run rekey with sudo, or as a member of the group docker (`sudo usermod -aG docker $USER`, then log in again): that group is as powerful as root")
	case errors.Is(dialErr, fs.ErrNotExist):
		return rekey.Errorf(rekey.KindNotFound, "%s is not there (it is named by %s): no Docker daemon runs here, or it listens elsewhere", path, d.endpoint.from).
			WithHint("start it (`systemctl start docker`), or name it: DOCKER_HOST=unix:///run/user/$UID/docker.sock for a rootless one, unix:///run/podman/podman.sock for Podman")
	case errors.Is(dialErr, syscall.ECONNREFUSED):
		return rekey.Errorf(rekey.KindUnavailable, "%s is there, but no Docker daemon listens on it", path).WithHint("start it: `systemctl start docker`")
	}
	return rekey.Errorf(rekey.KindUnavailable, "the Docker daemon at %s cannot be reached: %w", d, dialErr)
}

// said is what the daemon, or what stands before it, said: its text in one line,
// without the library's words and without HTML.
func said(err error) string {
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	var plain strings.Builder
	tag := false
	for _, r := range text {
		switch {
		case r == '<':
			tag = true
		case r == '>' && tag:
			tag = false
			plain.WriteByte(' ')
		case !tag:
			plain.WriteRune(r)
		}
	}
	const most = 300
	line := strings.Join(strings.Fields(plain.String()), " ")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
