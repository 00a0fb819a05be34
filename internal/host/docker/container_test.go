//go:build linux

package docker_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"rekey"
	"rekey/internal/host"
	"rekey/internal/host/docker"
	"rekey/internal/host/docker/dockertest"
)

func TestRunnersAreFoundAmongOtherContainers(t *testing.T) {
	t.Parallel()
	d := real(t)
	d.run(t, "found-running", nil)
	d.create(t, "found-stopped", nil)
	d.create(t, "found-by-command", func(c *container.Config, _ *container.HostConfig) {
		c.Image, c.Entrypoint, c.Cmd = dockertest.OtherName, []string{"/usr/bin/gitlab-runner"}, []string{"run"}
	})
	d.create(t, "lost-registered", func(c *container.Config, _ *container.HostConfig) {
		c.Cmd = []string{"register", "--non-interactive", "--token", "glrt-CANARYARG"}
	})
	d.create(t, "lost-job", func(c *container.Config, _ *container.HostConfig) {
		c.Labels = map[string]string{"com.gitlab.gitlab-runner.managed": "true"}
	})
	d.create(t, "lost-shop", func(c *container.Config, _ *container.HostConfig) {
		c.Image, c.Entrypoint, c.Cmd = dockertest.OtherName, []string{"/usr/sbin/nginx"}, []string{"run"}
	})
	all, err := d.open(t).Runners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		if strings.HasPrefix(c.Name, "found-") || strings.HasPrefix(c.Name, "lost-") {
			names = append(names, c.Name)
		}
	}
	if want := []string{"found-running", "found-by-command", "found-stopped"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	i := slices.IndexFunc(all, func(c *docker.Container) bool { return c.Name == "found-running" })
	if c := all[i]; !c.Running || c.State != "running" || c.Started.IsZero() || c.Image != image {
		t.Errorf("got %+v, want a running container with its start", c)
	}
}

func TestTheConfigInForce(t *testing.T) {
	t.Parallel()
	d := real(t)
	for _, tt := range []struct {
		name       string
		change     func(*container.Config)
		path, from string
	}{
		{"default", func(*container.Config) {}, "/etc/gitlab-runner/config.toml", "default"},
		{"flag", func(c *container.Config) { c.Cmd = []string{"run", "--config", "/data/linked.toml"} }, "/data/linked.toml", "--config"},
		{"shell", func(c *container.Config) {
			c.Entrypoint, c.Cmd = []string{"/bin/sh", "-c", "exec gitlab-runner run -c /data/c.toml"}, nil
		}, "/data/c.toml", "--config"},
		{"relative", func(c *container.Config) { c.Cmd, c.WorkingDir = []string{"run", "-c=c.toml"}, "/data" }, "/data/c.toml", "--config"},
		{"variable", func(c *container.Config) { c.Env = []string{"CONFIG_FILE=/data/linked.toml"} }, "/data/linked.toml", "CONFIG_FILE"},
		{"flag-over-variable", func(c *container.Config) {
			c.Env, c.Cmd = []string{"CONFIG_FILE=/x"}, []string{"run", "--config=/y"}
		}, "/y", "--config"},
		{"user-of-passwd", func(c *container.Config) { c.User = "1500:0" }, "/srv/ci/.gitlab-runner/config.toml", "default"},
		{"user-with-home", func(c *container.Config) { c.User, c.Env = "999", []string{"HOME=/home/gitlab-runner"} }, "/home/gitlab-runner/.gitlab-runner/config.toml", "default"},
		{"root-by-number", func(c *container.Config) { c.User = "0:0" }, "/etc/gitlab-runner/config.toml", "default"},
	} {
		c := d.create(t, "force-"+tt.name, func(c *container.Config, _ *container.HostConfig) { tt.change(c) })
		if c.Config != tt.path || c.ConfigFrom != tt.from {
			t.Errorf("%s: got %s by %s, want %s by %s", tt.name, c.Config, c.ConfigFrom, tt.path, tt.from)
		}
	}
}

func TestAStoppedContainersFilesAreRead(t *testing.T) {
	t.Parallel()
	c := real(t).create(t, "read-stopped", nil)
	for _, name := range []string{"/etc/gitlab-runner/config.toml", "/data/linked.toml"} {
		f, err := c.Read(t.Context(), name)
		if err != nil || string(f.Data) != config("image") || f.RealPath != "/etc/gitlab-runner/config.toml" || f.ModTime.Unix() != 1_700_000_000 {
			t.Errorf("Read(%s) = %d bytes, real path %s, %s, %v; want the image's config", name, len(f.Data), f.RealPath, f.ModTime, err)
		}
	}
	if id, problem := c.SystemID(t.Context(), c.Config); id != "r_CANARYimage1" {
		t.Errorf("the system id is %q (%s), want r_CANARYimage1", id, problem)
	}
	if id, problem := c.SystemID(t.Context(), "/data/linked.toml"); id != "" || !strings.Contains(problem, "/data/.runner_system_id does not exist in container read-stopped") {
		t.Errorf("got system id %q and problem %q, want none and that the file is not there", id, problem)
	}
}

func TestAFileOnAMount(t *testing.T) {
	t.Parallel()
	d := real(t)
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := put("config.toml", config("mounted"))
	bind := func(source, target string, readOnly bool) func(*container.Config, *container.HostConfig) {
		return func(_ *container.Config, h *container.HostConfig) {
			h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly}}
		}
	}
	volume := func(_ *container.Config, h *container.HostConfig) {
		h.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "gitlab-runner-config", Target: "/etc/gitlab-runner"}}
	}
	frozen := func(_ *container.Config, h *container.HostConfig) { h.ReadonlyRootfs = true }
	for _, tt := range []struct {
		name     string
		change   func(*container.Config, *container.HostConfig)
		text     string
		readOnly string
		place    string
	}{
		{"dir", bind(dir, "/etc/gitlab-runner", false), config("mounted"), "", file},
		{"file", bind(file, "/etc/gitlab-runner/config.toml", false), config("mounted"), "", file},
		{"file-read-only", bind(file, "/etc/gitlab-runner/config.toml", true), config("mounted"), "mounted read-only into container mount-file-read-only", file},
		{"volume", volume, config("image"), "", filepath.Join(d.Data(), "volumes/gitlab-runner-config/_data/config.toml")},
		{"layer", nil, config("image"), "", ""},
		{"frozen", frozen, config("image"), "the file system of container mount-frozen is read-only", ""},
	} {
		c := d.run(t, "mount-"+tt.name, tt.change)
		f, err := c.Read(t.Context(), c.Config)
		if err != nil || string(f.Data) != tt.text {
			t.Errorf("%s: got %d bytes, %v; want those of the mount", tt.name, len(f.Data), err)
		}
		if got := c.ReadOnly(f.RealPath); got != tt.readOnly && (tt.readOnly == "" || !strings.Contains(got, tt.readOnly)) {
			t.Errorf("%s: read-only because %q, want %q", tt.name, got, tt.readOnly)
		}
		if got := c.Place(f.RealPath); got != tt.place {
			t.Errorf("%s: its place is %q, want %q", tt.name, got, tt.place)
		}
	}
}

func TestWhatIsNoConfigIsSaid(t *testing.T) {
	t.Parallel()
	d := real(t)
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "directory.toml"), 0o700),
		syscall.Mkfifo(filepath.Join(dir, "pipe.toml"), 0o600),
		os.WriteFile(filepath.Join(dir, "large.toml"), nil, 0o600),
		os.Truncate(filepath.Join(dir, "large.toml"), host.MaxConfig+1),
	); err != nil {
		t.Fatal(err)
	}
	c := d.create(t, "odd", func(_ *container.Config, h *container.HostConfig) {
		h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: "/odd"}}
		h.Tmpfs = map[string]string{"/fleeting": ""}
	})
	for _, tt := range []struct {
		path string
		kind rekey.Kind
		text string
		hint string
	}{
		{"/odd/directory.toml", rekey.KindInvalid, "/odd/directory.toml in container odd is a directory", "bind mount of a file that does not exist"},
		{"/odd/pipe.toml", rekey.KindInvalid, "is not a regular file", ""},
		{"/odd/large.toml", rekey.KindInvalid, "is larger than 64 MiB", "hardly a config.toml"},
		{"/odd/none.toml", rekey.KindNotFound, "/odd/none.toml in container odd does not exist", "the container does not run (created)"},
		{"/data/gone.toml", rekey.KindNotFound, "/nowhere/config.toml (/data/gone.toml leads there) in container odd does not exist", ""},
		{"/data/round.toml", rekey.KindInvalid, "symbolic links lead in a circle", "docker exec odd ls -l"},
	} {
		_, err := c.Read(t.Context(), tt.path)
		if err == nil || rekey.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) || !strings.Contains(rekey.HintOf(err), tt.hint) {
			t.Errorf("%s: got %v (%s; hint %q), want %q of kind %s with the hint %q", tt.path, err, rekey.KindOf(err), rekey.HintOf(err), tt.text, tt.kind, tt.hint)
		}
	}
}

func TestAContainersEnvironmentIsForReferencesAlone(t *testing.T) {
	t.Parallel()
	c := real(t).create(t, "environment", func(c *container.Config, _ *container.HostConfig) {
		c.Env = []string{"RUNNER_TOKEN=glrt-CANARYENV", "EMPTY="}
	})
	if v, ok := c.Getenv("RUNNER_TOKEN"); v != "glrt-CANARYENV" || !ok {
		t.Errorf("Getenv(RUNNER_TOKEN) = %v, %v; want its value", len(v), ok)
	}
	if v, ok := c.Getenv("EMPTY"); v != "" || !ok {
		t.Errorf("Getenv(EMPTY) = %q, %v; want that it is set and empty", v, ok)
	}
	if _, ok := c.Getenv("NONE"); ok {
		t.Error("Getenv(NONE) is set, want that it is not")
	}
}

func TestNoSuchContainerListsThoseThere(t *testing.T) {
	t.Parallel()
	d := real(t)
	d.create(t, "there", nil)
	_, err := d.open(t).Container(t.Context(), "not-there")
	if rekey.KindOf(err) != rekey.KindNotFound || !strings.Contains(rekey.HintOf(err), "there") {
		t.Errorf("got %v (hint %q), want not found with the name of the one that is there", err, rekey.HintOf(err))
	}
}
