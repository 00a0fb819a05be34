package gitlab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
)

// TestMain logs the crash points of all tests: the plan of durable is read from
// the environment once per process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rekey-gitlab-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Setenv("REKEY_CRASH_LOG", filepath.Join(dir, "points"))
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func TestEveryChangePassesCrashPoints(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{createPath: {201, `{"id":1,"token":"glrt-CANARYaaaaaaaaaaaaaa"}`, nil}, "POST " + verifyPath: {200, `{"id":1}`, nil}})
	c, seal := testClient(t, f.URL), func([]byte) error { return nil }
	_, _ = c.CreateRunner(t.Context(), instanceRunner(), seal)
	_, _ = c.ResetRunner(t.Context(), 1, seal)
	_, _ = c.UpdateRunner(t.Context(), 1, rekey.RunnerEdit{Tags: &[]string{"a"}})
	_ = c.DeleteRunner(t.Context(), 1)
	_ = c.AssignProject(t.Context(), "1", 1)
	_ = c.UnassignProject(t.Context(), "1", 1)
	_, _ = c.CreatePipeline(t.Context(), "1", "main", nil)
	_ = c.CancelPipeline(t.Context(), "1", 1)
	probe(t, f.URL)
	raw, err := os.ReadFile(os.Getenv("REKEY_CRASH_LOG"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"create", "create.read", "reset", "reset.read", "update", "delete", "assign", "unassign", "pipeline", "cancel", "verify"} {
		for _, side := range []string{":before\n", ":after\n"} {
			if !strings.Contains(string(raw), " gitlab."+name+side) {
				t.Errorf("no crash point gitlab.%s%q was passed", name, side)
			}
		}
	}
}
