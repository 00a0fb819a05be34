package lab_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestE2EGlab runs glab, where it is on PATH: api, variable, ci.
func TestE2EGlab(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("glab")
	if err != nil {
		t.Skip("glab was not there: not on PATH (Debian from trixie on: glab); nothing was tested with it")
	}
	said, _ := exec.Command(path, "--version").Output()
	t.Logf("%s", strings.TrimSpace(string(said)))
	for _, version := range e2eVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := newGlab(t, path, labtest.Start(t, labtest.Options{Version: version}))
			g.want("api version", `"version":"`+version, "api", "version")
			g.want("api user/runners", `"token":"glrt-`, "api", "user/runners", "--method", "POST", "--raw-field", "runner_type=instance_type", "--raw-field", "tag_list=e2e")
			g.want("api runners/all", `"runner_type":"instance_type"`, "api", "runners/all?tag_list=e2e")
			g.want("variable set", "", "variable", "set", "KEY", "CANARYvalue", "--repo", "acme/web")
			g.want("variable get", "CANARYvalue", "variable", "get", "KEY", "--repo", "acme/web")
			g.want("variable list", "KEY", "variable", "list", "--repo", "acme/web")
			g.want("variable delete", "", "variable", "delete", "KEY", "--repo", "acme/web")
			g.want("ci run", "", "ci", "run", "--branch", "main", "--repo", "acme/web")
			g.want("ci list", "main", "ci", "list", "--repo", "acme/web")
		})
	}
}

type glab struct {
	t    *testing.T
	path string
	env  []string
	dir  string
}

// newGlab sets the lab up and writes the configuration that `glab auth login` would.
func newGlab(t *testing.T, path string, l *labtest.Lab) *glab {
	t.Helper()
	group := l.Group("acme", 0)
	project, _ := l.Project("web", group)
	l.CIConfig(project, e2eConfig)
	host := strings.TrimPrefix(l.URL, "http://")
	dir := t.TempDir()
	config := fmt.Sprintf("host: %[1]s\ncheck_update: false\nhosts:\n    %[1]s:\n        token: %[2]s\n        api_host: %[1]s\n        api_protocol: http\n        git_protocol: http\n", host, l.Admin)
	if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "GLAB_CONFIG_DIR="+dir, "GITLAB_HOST=http://"+host, "GITLAB_TOKEN="+l.Admin, "NO_PROMPT=1", "NO_COLOR=1", "GLAB_SEND_TELEMETRY=0")
	return &glab{t, path, env, dir}
}

func (g *glab) want(what, text string, args ...string) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), g.path, args...)
	cmd.Env, cmd.Dir = g.env, g.dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), text) {
		g.t.Errorf("glab %s: %v: got %s, want %q in it", what, err, out, text)
	}
}
