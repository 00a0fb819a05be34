package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/lab/labtest"
)

// fix opens a dry run on one config with that token.
func (w *world) fix(token string, in app.FixInput) (*app.Fix, error) {
	w.t.Helper()
	dir := w.t.TempDir()
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("[[runners]]\n  name = \"one\"\n  url = %q\n  token = %q\n  executor = \"shell\"\n", w.URL, token)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".runner_system_id"), []byte("s_0123456789ab"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	in.Configs, in.DryRun, in.State.Dir = []string{config}, true, filepath.Join(dir, "state")
	return app.New(func(string) (string, bool) { return "", false }, "test").Fix(w.t.Context(), in)
}

func TestAPlanWithoutTouchSendsNoRunnerToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.7")
	record := w.Runner("instance", 0, labtest.M{"run_untagged": true})
	for _, noTouch := range []bool{false, true} {
		carried := 0
		w.on(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("Runner-Token") != "" || strings.HasSuffix(r.URL.Path, "/verify") {
				w.mu.Lock()
				carried++
				w.mu.Unlock()
			}
			next.ServeHTTP(rw, r)
		})
		f, err := w.fix(" "+record.Token, app.FixInput{DoctorInput: app.DoctorInput{NoTouch: noTouch}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		plan, err := f.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		n := carried
		w.mu.Unlock()
		switch left := len(plan.Left) == 1 && strings.Contains(plan.Left[0].Reason, "--no-touch"); {
		case noTouch && (n != 0 || !left || len(plan.Targets) != 0):
			t.Errorf("--no-touch: %d requests carried a runner token, and the plan is %+v, want none and the section left alone for that reason", n, plan)
		case !noTouch && (n == 0 || len(plan.Targets) != 1):
			t.Errorf("without --no-touch: %d requests and %+v, want the cleaned token asked about and planned", n, plan)
		}
	}
}

func TestAGivenTokenIsNotTakenWithoutTouch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.7")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("glrt-CANARYgivengivengiv\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := w.fix("glrt-CANARYdeaddeaddead00", app.FixInput{TokenFile: file, DoctorInput: app.DoctorInput{NoTouch: true}})
	if err == nil || rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("got %v, want a mistake of the command line", err)
	}
}
