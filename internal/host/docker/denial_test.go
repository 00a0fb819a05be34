package docker_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/docker"
)

// answers is what a server that is no daemon, or lets nothing through, says. The
// texts are those of dockerd 20.10 with an authorization plugin, and of HAProxy
// as Tecnativa's docker-socket-proxy runs it.
func answers(t *testing.T, status int, contentType, body string) string {
	t.Helper()
	path := socketPath(t)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s was sent: every request is a GET or a HEAD", r.Method, r.URL.Path)
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	})}
	l := listen(t, path)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + path
}

func TestADenialNamesTheRight(t *testing.T) {
	t.Parallel()
	const proxied = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
	for _, tt := range []struct {
		name    string
		address string
		kind    rekey.Kind
		text    string
		hint    string
	}{
		{"an authorization plugin", answers(t, 403, "application/json", `{"message":"authorization denied by plugin opa: not for you"}`),
			rekey.KindDenied, "refuses GET /containers/json (403): authorization denied by plugin opa: not for you", "an authorization plugin must allow GET on /containers/json"},
		{"a proxy before the socket", answers(t, 403, "text/html", proxied),
			rekey.KindDenied, "(403): 403 Forbidden Request forbidden by administrative rules.", "CONTAINERS=1"},
		{"no credentials", answers(t, 401, "application/json", `{"message":"client certificate required"}`),
			rekey.KindDenied, "asks for credentials (401) for GET /containers/json: client certificate required", "DOCKER_CERT_PATH"},
		{"a daemon in trouble", answers(t, 500, "application/json", `{"message":"layer store is broken"}`),
			rekey.KindUnavailable, "failed: layer store is broken", "journalctl -u docker"},
		{"no socket", "unix:///nowhere/docker.sock", rekey.KindNotFound, "/nowhere/docker.sock is not there", "podman.sock"},
		{"nobody listens", "unix://" + abandoned(t), rekey.KindUnavailable, "is there, but no Docker daemon listens on it", "systemctl start docker"},
		{"no machine", "tcp://127.0.0.1:1", rekey.KindUnavailable, "the Docker daemon at tcp://127.0.0.1:1 (DOCKER_HOST) cannot be reached", "2376 TLS"},
	} {
		_, err := open(t, tt.address).Runners(t.Context())
		if err == nil || rekey.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) || !strings.Contains(rekey.HintOf(err), tt.hint) {
			t.Errorf("%s: got %v (%s; hint %q), want %q of kind %s with the hint %q", tt.name, err, rekey.KindOf(err), rekey.HintOf(err), tt.text, tt.kind, tt.hint)
		}
	}
}

// abandoned is a socket whose listener has gone.
func abandoned(t *testing.T) string {
	t.Helper()
	path := socketPath(t)
	l := listen(t, path)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	return path
}

func TestADaemonThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	listen(t, path) // it accepts by the kernel's hand and never answers
	d, err := docker.Open(docker.Options{Patience: 50 * time.Millisecond, Getenv: func(name string) string {
		return map[string]string{"DOCKER_HOST": "unix://" + path}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Runners(t.Context())
	if rekey.KindOf(err) != rekey.KindUnavailable || !strings.Contains(err.Error(), "did not answer GET /containers/json within 50ms") {
		t.Errorf("got %v, want that it did not answer within 50ms", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := d.Runners(ctx); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v, want that it was interrupted", err)
	}
}

// open is a Daemon at a socket.
func open(t *testing.T, address string) *docker.Daemon {
	t.Helper()
	d, err := docker.Open(docker.Options{Home: t.TempDir(), Patience: time.Minute, Getenv: func(name string) string {
		return map[string]string{"DOCKER_HOST": address}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// socketPath is short: the path of a socket has little room.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
