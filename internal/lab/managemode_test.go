package lab_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/internal/lab"
)

const readOnlyBody = `{"message":"You cannot perform write operations on a read-only instance"}`

// TestReadOnlyAndMaintenance: both refuse writes with a 403 that says nothing of the
// token. Maintenance can be ended through GitLab's own API, read-only cannot.
func TestReadOnlyAndMaintenance(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "18.11", "")
	runner := r.create()
	refused := func(mode string) {
		t.Helper()
		for _, path := range []string{"/api/v4/jobs/request", "/api/v4/runners/verify", "/api/v4/user/runners"} {
			if got, _, text, err := r.try("POST", path, r.admin(), m{"token": runner.Token}); got != 403 || text != readOnlyBody {
				t.Errorf("%s: POST %s: got %d %s %v, want 403", mode, path, got, text, err)
			}
		}
		r.must(200, "GET", fmt.Sprintf("/api/v4/runners/%d", runner.ID), nil, nil)
	}
	r.must(200, "PUT", "/-/rekey-lab/maintenance", lab.Maintenance{Enabled: true, Message: "upgrade"}, nil)
	refused("maintenance")
	r.must(200, "PUT", "/api/v4/application/settings", m{"maintenance_mode": false}, nil)
	r.wantVerify("after maintenance", runner.Token, 200)

	r.must(200, "PUT", "/-/rekey-lab/read_only", m{"enabled": true}, nil)
	refused("read-only")
	if got, _, text, _ := r.try("PUT", "/api/v4/application/settings", r.admin(), m{"maintenance_mode": false}); got != 403 || text != readOnlyBody {
		t.Errorf("settings while read-only: got %d %s, want 403", got, text)
	}
	r.stop()
	r = startRehearsal(t, r.dir, "", "")
	refused("read-only after a restart")
	var state lab.State
	r.must(200, "GET", "/-/rekey-lab/", nil, &state)
	if !state.ReadOnly || state.Maintenance.Enabled || state.Version != "18.11.0" {
		t.Errorf("state: got %+v", state)
	}
	if !strings.Contains(r.StartLine(), "read-only") {
		t.Errorf("start line %q does not say read-only", r.StartLine())
	}
	r.must(200, "PUT", "/-/rekey-lab/read_only", m{"enabled": false}, nil)
	r.wantVerify("after read-only", runner.Token, 200)
}

// TestManagementIsGuarded: nothing but the administrator's token of lab.json opens
// it, and bad orders are refused with a reason.
func TestManagementIsGuarded(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "")
	var pat issued
	r.must(201, "POST", "/api/v4/users/1/personal_access_tokens", m{"name": "CANARY", "scopes": []string{"api"}}, &pat)
	for _, path := range []string{"", "/", "/clock", "/nothing"} {
		for _, token := range []string{"", "glpat-CANARY00000000000001", pat.Token} {
			if got, _, text, err := r.try("GET", "/-/rekey-lab"+path, token, nil); got != 401 && path != "" || strings.Contains(text, r.admin()) {
				t.Errorf("GET %s: got %d %s %v, want 401", path, got, text, err)
			}
		}
	}
	r.must(404, "GET", "/-/rekey-lab/nothing", nil, nil)
	for path, body := range map[string]any{
		"/upgrade": m{"versoin": "18.0"}, "/clock/advance": m{"by": "soon"}, "/faults": m{"path": "jobs/request"}, "/snapshots": []int{1},
	} {
		var refused lab.ManageError
		r.must(400, "POST", "/-/rekey-lab"+path, body, &refused)
		if refused.Message == "" {
			t.Errorf("POST %s: no reason", path)
		}
	}
}
