package lab_test

import (
	"fmt"
	"testing"
)

// TestLoseSecretsByOrder: no token matches any more, also after a restart; what decrypts
// answers 500; the administrator resets tokens and goes on.
func TestLoseSecretsByOrder(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "17.11", "self-managed")
	runner := r.create()
	admin := r.admin()
	registration := readInfo(t, r.dir).RegistrationTokens["instance"]
	var pat issued
	r.must(201, "POST", "/api/v4/users/1/personal_access_tokens", m{"name": "CANARY", "scopes": []string{"api"}}, &pat)
	var group struct{ ID int64 }
	r.must(201, "POST", "/api/v4/groups", m{"name": "team", "path": "team"}, &group)
	groupPath := fmt.Sprintf("/api/v4/groups/%d", group.ID)
	r.must(200, "GET", groupPath, nil, nil)
	r.must(200, "POST", "/-/rekey-lab/snapshots", m{"name": "before"}, nil)

	r.must(200, "POST", "/-/rekey-lab/lose_secrets", m{}, nil)
	lost := func(r *rehearsal) {
		t.Helper()
		r.wantVerify("a runner's token", runner.Token, 403)
		if got, _, text, _ := r.try("GET", "/api/v4/user", pat.Token, nil); got != 401 {
			t.Errorf("a user's token: got %d %s, want 401", got, text)
		}
		if got := r.admin(); got != admin {
			t.Error("lab.json names another administrator's token")
		}
		r.must(200, "GET", fmt.Sprintf("/api/v4/runners/%d", runner.ID), nil, nil)
		r.must(500, "GET", groupPath, nil, nil)
		if got, _, text, _ := r.try("POST", "/api/v4/runners", "", m{"token": registration}); got != 500 {
			t.Errorf("legacy registration: got %d %s, want 500", got, text)
		}
	}
	lost(r)
	r.stop()
	again := startRehearsal(t, r.dir, "", "")
	lost(again)

	// GitLab's own restore brings the database back, not the secrets.
	again.must(200, "POST", "/-/rekey-lab/snapshots/before/restore", m{}, nil)
	again.wantVerify("a runner's token after a restore without its secrets", runner.Token, 403)
	if got := again.admin(); got != admin {
		t.Error("lab.json names another administrator's token after a restore")
	}
	// Resetting, as after a real loss, repairs.
	var fresh issued
	again.must(201, "POST", fmt.Sprintf("/api/v4/runners/%d/reset_authentication_token", runner.ID), nil, &fresh)
	again.wantVerify("the reset token", fresh.Token, 200)
	again.must(201, "POST", "/api/v4/runners/reset_registration_token", nil, &fresh)
	if got, _, text, _ := again.try("POST", "/api/v4/runners", "", m{"token": fresh.Token}); got != 201 {
		t.Errorf("registration after a reset: got %d %s, want 201", got, text)
	}
	// Whoever kept the secrets gets all of it back.
	again.must(200, "POST", "/-/rekey-lab/snapshots/before/restore", m{"secrets": true}, nil)
	again.wantVerify("a runner's token after a restore with its secrets", runner.Token, 200)
	again.must(200, "GET", groupPath, nil, nil)
}
