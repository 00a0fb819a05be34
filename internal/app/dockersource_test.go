//go:build linux

package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/host/docker/dockertest"
	"rekey/internal/lab/labtest"
)

// TestDoctorLooksIntoContainers asks a real Docker daemon and a lab: what a
// container's gitlab-runner uses is read, judged and told once.
func TestDoctorLooksIntoContainers(t *testing.T) {
	t.Parallel()
	var daemon dockertest.Daemon
	d := daemon.Started(t)
	t.Cleanup(daemon.Stop)
	lab := labtest.Start(t, labtest.Options{Version: "18.11"})
	good := lab.Runner("instance", 0, labtest.M{"run_untagged": true})

	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(dockertest.Config("good", lab.URL, good.Token)+dockertest.Config("reference", lab.URL, "${RUNNER_TOKEN}")), 0o600); err != nil {
		t.Fatal(err)
	}
	shared := func(c *container.Config, h *container.HostConfig) {
		c.Env = []string{"RUNNER_TOKEN=" + good.Token}
		h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: "/etc/gitlab-runner", ReadOnly: true}}
	}
	d.Run(t, "first", shared)
	d.Create(t, "second", shared)
	d.Create(t, "gone", func(c *container.Config, _ *container.HostConfig) { c.Cmd = []string{"run", "-c", "/nowhere.toml"} })

	out := look(t, map[string]string{"DOCKER_HOST": d.Socket()}, app.DoctorInput{Hosts: app.Hosts{Addresses: []string{"docker://"}}, Configs: []string{file}})
	r := out.Report
	if got, want := places(r), []string{file, "docker://gone/nowhere.toml: docker://gone/nowhere.toml: /nowhere.toml in container gone does not exist"}; len(got) != 2 || got[0] != want[0] || !strings.HasPrefix(got[1], "docker://gone/nowhere.toml: ") {
		t.Errorf("got the configs %q, want this machine's file once, and that gone has none", got)
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool {
		return n == "docker://first/etc/gitlab-runner/config.toml is the same file as "+file+": it is told once"
	}) {
		t.Errorf("the notes do not say that the container has the same file: %q", r.Notes)
	}

	r = look(t, map[string]string{"DOCKER_HOST": d.Socket()}, app.DoctorInput{Hosts: app.Hosts{Addresses: []string{"docker://first"}}}).Report
	if len(r.Sections) != 2 || r.Sections[0].Verdict != rekey.Valid || r.Sections[1].Verdict != rekey.Valid || r.Sections[0].Config != "docker://first/etc/gitlab-runner/config.toml" || r.Sections[0].Host != "docker://first" {
		t.Errorf("got %+v, want both sections valid, the reference by the container's own variable", r.Sections)
	}
	r = look(t, map[string]string{"DOCKER_HOST": "unix:///nowhere/docker.sock"}, app.DoctorInput{Hosts: app.Hosts{Addresses: []string{"docker://"}}, Configs: []string{file}}).Report
	if got := places(r); len(got) != 2 || !strings.Contains(got[1], "/nowhere/docker.sock is not there") || r.Sections[0].Verdict != rekey.Valid {
		t.Errorf("got %q, want that the daemon is not there, and the other config judged all the same", got)
	}
}

// look is doctor with an environment.
func look(t *testing.T, env map[string]string, in app.DoctorInput) app.DoctorOutput {
	t.Helper()
	a := app.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "test")
	out, err := a.Doctor(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
