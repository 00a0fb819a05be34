package lab_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestE2EPythonGitLab runs testdata/python_gitlab.py with every python that has
// python-gitlab: the one named by PYTHON, the first on PATH, the system's.
func TestE2EPythonGitLab(t *testing.T) {
	t.Parallel()
	var ran []string
	for _, python := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		out, err := exec.Command(python, "-c", "import gitlab; print(gitlab.__version__)").Output()
		library := strings.TrimSpace(string(out))
		if err != nil || slices.Contains(ran, library) {
			continue
		}
		ran = append(ran, library)
		t.Logf("python-gitlab %s (%s)", library, python)
		for _, version := range e2eVersions {
			t.Run(library+"/"+version, func(t *testing.T) {
				t.Parallel()
				pythonGitLab(t, python, version)
			})
		}
	}
	if len(ran) == 0 {
		t.Skip("python-gitlab was not there: no python3 imports gitlab (Debian: python3-gitlab); nothing was tested with it")
	}
}

func pythonGitLab(t *testing.T, python, version string) {
	t.Helper()
	l := labtest.Start(t, labtest.Options{Version: version, Profile: "self-managed"})
	cmd := exec.CommandContext(t.Context(), python, "testdata/python_gitlab.py")
	cmd.Env = append(os.Environ(), "LAB_URL="+l.URL, "LAB_TOKEN="+l.Admin, "LAB_REGISTRATION="+l.Info.RegistrationTokens["instance"], "LAB_VERSION="+l.Info.Version, "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
