//go:build linux

package app_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/host/docker"
	"rekey/internal/host/docker/dockertest"
	"rekey/internal/lab/labtest"
)

// TestFixTheConfigOfAContainer edits the file that is mounted into it, and signals
// the process that runs in it; a config that no file of this machine is stays.
func TestFixTheConfigOfAContainer(t *testing.T) {
	t.Parallel()
	var daemon dockertest.Daemon
	d := daemon.Started(t)
	t.Cleanup(daemon.Stop)
	lab := labtest.Start(t, labtest.Options{Version: "18.11"})
	gone := lab.Runner("instance", 0, labtest.M{"run_untagged": true})
	lab.Must(204, "DELETE", "runners", labtest.M{"token": gone.Token}, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	text := dockertest.Config("gone", lab.URL, gone.Token)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bind := func(source, target string) func(*container.Config, *container.HostConfig) {
		return func(_ *container.Config, h *container.HostConfig) {
			h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: source, Target: target}}
		}
	}
	d.Run(t, "bound", bind(dir, "/etc/gitlab-runner"))
	d.Run(t, "alone", bind(file, "/etc/gitlab-runner/config.toml"))
	d.Run(t, "layer", nil)

	env := map[string]string{"DOCKER_HOST": d.Socket(), "GITLAB_TOKEN": lab.Admin, "GITLAB_HOST": lab.URL}
	fix := func(address string) (*app.Fix, error) {
		return app.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "test").Fix(t.Context(), app.FixInput{
			DoctorInput: app.DoctorInput{Hosts: app.Hosts{Addresses: []string{address}}}, State: app.StateInput{Dir: filepath.Join(dir, "state")},
			SeparateRecord: true, Record: app.RecordInput{Scope: rekey.ScopeInstance, Tags: []string{"deploy"}}})
	}
	for address, want := range map[string]string{"docker://alone": "as a single file", "docker://layer": "goes with it", "docker://": "must be said", "docker://nobody": "no container"} {
		if _, err := fix(address); err == nil || !strings.Contains(err.Error(), want) || rekey.HintOf(err) == "" {
			t.Errorf("%s: got %v (%s), want it refused: %s", address, err, rekey.HintOf(err), want)
		}
	}
	f, err := fix("docker://bound")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plan, err := f.Plan(t.Context())
	if err != nil || len(plan.Targets) != 1 || plan.Targets[0].Config != file || !strings.Contains(stepText(plan.Targets[0], rekey.StepReload), "container bound") {
		t.Fatalf("got %+v (%v), want this machine's file, loaded by a signal to the container", plan, err)
	}
	results, err := f.Apply(t.Context(), plan)
	if err != nil || len(results) != 1 || results[0].Status != rekey.StatusVerified {
		t.Fatalf("got %+v (%v), want verified", results, err)
	}
	if after, err := os.ReadFile(file); err != nil || strings.Contains(string(after), gone.Token) || !strings.Contains(string(after), "glrt-") {
		t.Errorf("the file is %s (%v), want a new token in it", after, err)
	}
	logged(t, d, "bound", "Configuration loaded")
}

func stepText(t rekey.Target, k rekey.StepKind) string {
	for _, s := range t.Steps {
		if s.Kind == k {
			return s.Text
		}
	}
	return ""
}

// logged waits until a container has written a line.
func logged(t *testing.T, d *dockertest.Daemon, name, want string) {
	t.Helper()
	client, err := docker.Open(docker.Options{Getenv: func(name string) string { return map[string]string{"DOCKER_HOST": d.Socket()}[name] }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.Container(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := c.Log(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(in)
		_ = in.Close()
		if strings.Contains(string(text), want) {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the container wrote %q, want %q", text, want)
		case <-tick.C:
		}
	}
}
