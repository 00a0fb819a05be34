//go:build linux

// Package dockertest gives tests a real Docker daemon: dockerd, started for root
// with its own directory and socket and without a network, and an image whose
// gitlab-runner is played by a program that logs and waits.
package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Daemon is a dockerd that is started when a test first asks for it. The zero value
// is one that was not started. A test package has one, and stops it in TestMain.
type Daemon struct {
	Client *client.Client

	once    sync.Once
	problem string
	dir     string
	cmd     *exec.Cmd
}

// The names of the image: it lies out like the official one as far as it matters.
const (
	Image     = "gitlab/gitlab-runner:stand-in"
	OtherName = "shop/web:1"
)

// Started starts the daemon once. Without dockerd the test is skipped, in CI it
// fails.
func (d *Daemon) Started(t *testing.T) *Daemon {
	t.Helper()
	d.once.Do(func() {
		d.problem = "its image could not be made"
		d.problem = d.start(t)
	})
	if d.problem == "" {
		return d
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no Docker daemon in CI: %s", d.problem)
	}
	t.Skipf("SKIPPED, AND NOTHING ELSE TRIES IT: a real Docker daemon: %s (as root, with Debian's docker.io)", d.problem)
	return nil
}

func (d *Daemon) start(t *testing.T) string {
	path, err := exec.LookPath("dockerd")
	switch {
	case err != nil:
		return "dockerd is not installed"
	case os.Geteuid() != 0:
		return "dockerd needs root"
	}
	if d.dir, err = os.MkdirTemp("", "dockerd"); err != nil {
		return err.Error()
	}
	at := func(name string) string { return filepath.Join(d.dir, name) }
	log, err := os.Create(at("log"))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = log.Close() }()
	d.cmd = exec.Command(path, "--host", d.Socket(), "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid"),
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return err.Error()
	}
	if d.Client, err = client.New(client.WithHost(d.Socket())); err != nil {
		return err.Error()
	}
	if !d.answers() {
		said, _ := os.ReadFile(at("log"))
		return "dockerd does not come up: " + string(said[max(0, len(said)-2000):])
	}
	d.load(t)
	return ""
}

// Data is where the daemon keeps what is its own, volumes among it.
func (d *Daemon) Data() string { return filepath.Join(d.dir, "data") }

// Socket is the daemon's address, as DOCKER_HOST has it.
func (d *Daemon) Socket() string { return "unix://" + filepath.Join(d.dir, "docker.sock") }

func (d *Daemon) answers() bool {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := d.Client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// Stop ends the daemon, if it was started, with all its containers.
func (d *Daemon) Stop() {
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	if d.Client != nil && d.problem == "" {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		all, _ := d.Client.ContainerList(ctx, client.ContainerListOptions{All: true})
		for _, c := range all.Items {
			_, _ = d.Client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		}
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
	_ = os.RemoveAll(d.dir)
}

// standIn plays gitlab-runner in the image: it logs a line on each stream and waits.
// It goes by the name of the official image's init, so that no process of this
// machine looks like a gitlab-runner to another test.
const standIn = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	load := make(chan os.Signal, 1)
	signal.Notify(load, syscall.SIGHUP)
	go func() {
		for range load {
			fmt.Fprintln(os.Stderr, "Configuration loaded")
		}
	}()
	fmt.Fprintln(os.Stderr, "Starting multi-runner from /etc/gitlab-runner/config.toml...  builds=0 max_builds=0")
	fmt.Fprintln(os.Stdout, "104 <nil>")
	fmt.Fprintln(os.Stderr, "ERROR: Checking for jobs... forbidden                runner=CANARYabc status=POST http://127.0.0.1/api/v4/jobs/request: 403 Forbidden")
	<-end
}
`

// load makes the image. It lies out like the official one as far as it matters.
func (d *Daemon) load(t *testing.T) {
	t.Helper()
	source := filepath.Join(d.dir, "standin.go")
	if err := os.WriteFile(source, []byte(standIn), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(d.dir, "standin"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(d.dir, "standin"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"usr/bin/dumb-init":                                    string(program),
		"etc/passwd":                                           "root:x:0:0::/root:/bin/sh\nci:x:1500:1500::/srv/ci:/bin/sh\n",
		"etc/gitlab-runner/config.toml":                        Config("image", "http://127.0.0.1/", ""),
		"etc/gitlab-runner/.runner_system_id":                  "r_CANARYimage1\n",
		"etc/gitlab-runner/certs/gitlab.test.crt":              "a certificate\n",
		"srv/ci/.gitlab-runner/config.toml":                    Config("of ci", "http://127.0.0.1/", ""),
		"data/linked.toml -> ../etc/gitlab-runner/config.toml": "",
		"data/gone.toml -> /nowhere/config.toml":               "",
		"data/round.toml -> square.toml":                       "",
		"data/square.toml -> round.toml":                       "",
	}
	ctx := t.Context()
	in, err := d.Client.ImageImport(ctx, client.ImageImportSource{Source: archive(t, files), SourceName: "-"}, Image,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/usr/bin/dumb-init", "/entrypoint"]`, `CMD ["run", "--user=gitlab-runner", "--working-directory=/home/gitlab-runner"]`}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Client.ImageTag(ctx, client.ImageTagOptions{Source: Image, Target: OtherName}); err != nil {
		t.Fatal(err)
	}
}

// Config is a config.toml with one section; token "" is one that no GitLab knows.
func Config(name, url, token string) string {
	if token == "" {
		token = fmt.Sprintf("glrt-CANARY%012d", len(name))
	}
	return fmt.Sprintf("[[runners]]\n  name = %q\n  url = %q\n  token = %q\n", name, url, token)
}

func archive(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, content := range files {
		h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg, ModTime: time.Unix(1_700_000_000, 0)}
		if link, target, ok := strings.Cut(name, " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = link, target, tar.TypeSymlink
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// Create makes a container, removed with the test. It is that of the image as it is
// but for the change, which may be nil.
func (d *Daemon) Create(t *testing.T, name string, change func(*container.Config, *container.HostConfig)) {
	t.Helper()
	c, h := &container.Config{Image: Image}, &container.HostConfig{NetworkMode: "none"}
	if change != nil {
		change(c, h)
	}
	made, err := d.Client.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: c, HostConfig: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = d.Client.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true})
	})
}

// Run is Create, started.
func (d *Daemon) Run(t *testing.T, name string, change func(*container.Config, *container.HostConfig)) {
	t.Helper()
	d.Create(t, name, change)
	if _, err := d.Client.ContainerStart(t.Context(), name, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
}
