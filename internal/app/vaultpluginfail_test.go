package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// clean wants no record at GitLab and nothing written down in Vault.
func (m *vaultMount) clean(when string) {
	m.t.Helper()
	if left := m.runners(); len(left) != 0 {
		m.t.Errorf("%s: records %v are left at GitLab, want none", when, left)
	}
	if wal, records := m.written("wal/"), m.written("record/"); len(wal)+len(records) != 0 {
		m.t.Errorf("%s: %q and %q are left in Vault, want nothing", when, wal, records)
	}
}

func TestVaultLeavesNothingWhereGitLabRefuses(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.fault(lab.Fault{Method: "POST", Path: "user/runners", Status: 403, Body: `{"message":"403 Forbidden - Insufficient permissions"}`})
	_, err := m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "Insufficient permissions", "Owner of the group")
	m.clean("after a 403")

	m.fault(lab.Fault{Method: "POST", Path: "user/runners", Status: 500, Body: `{"message":"500 Internal Server Error"}`})
	_, err = m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "500 Internal Server Error", "whether it was done is not known")
	if err := m.rollback(); err != nil {
		t.Errorf("rolling back: %v", err)
	}
	m.clean("after a 500")

	if a := m.lab.Call("DELETE", "personal_access_tokens/self", m.pat, nil); a.Status != http.StatusNoContent {
		t.Fatalf("revoking the user token: %d %s", a.Status, a.Body)
	}
	_, err = m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "GitLab refuses the user token")
	m.clean("after the user token was revoked")
}

// TestVaultDeletesARecordWhoseAnswerWasLost: at once where GitLab answers, else by
// the rollback, in this process or the next.
func TestVaultDeletesARecordWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	half := 12 // {"id":1,"tok
	for name, fault := range map[string]lab.Fault{
		"reset after the work": {Reset: true, AfterCommit: true},
		"500 after the work":   {Status: 500, AfterCommit: true},
		"broken off":           {Truncate: &half},
	} {
		fault.Method, fault.Path = "POST", "user/runners"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newVaultMount(t).configured(nil)
			m.fault(fault)
			_, err := m.do(logical.ReadOperation, "creds/docker", nil)
			m.refused(err, "is deleted again")
			m.clean("at once")
		})
		t.Run(name+", then silence", func(t *testing.T) {
			t.Parallel()
			m := newVaultMount(t).configured(nil)
			m.fault(fault)
			m.fault(lab.Fault{Name: "silent", Path: "runners/**", Status: 502, Times: 100})
			_, err := m.do(logical.ReadOperation, "creds/docker", nil)
			m.refused(err, "Vault deletes it")
			if n := len(m.runners0()); n != 1 || len(m.written("wal/")) != 1 {
				t.Fatalf("%d records and %d log entries, want one of each", n, len(m.written("wal/")))
			}
			m.refused(m.rollback(), "the server failed")
			if _, err := m.lab.Orders.ClearFaults("silent"); err != nil {
				t.Fatal(err)
			}
			m.restart()
			if err := m.rollback(); err != nil {
				t.Fatalf("rolling back: %v", err)
			}
			m.clean("after the rollback")
		})
	}
}

// runners0 is runners past the faults of the test: by the page of the group.
func (m *vaultMount) runners0() []int64 {
	m.t.Helper()
	var all []struct {
		ID int64 `json:"id"`
	}
	m.lab.Must(http.StatusOK, "GET", fmt.Sprintf("groups/%d/runners?type=group_type", m.group), nil, &all)
	var ids []int64
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestVaultSeesNothingYet: an answer that was lost before the work leaves the entry,
// for GitLab may still do it.
func TestVaultSeesNothingYet(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.fault(lab.Fault{Method: "POST", Path: "user/runners", Reset: true})
	_, err := m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "Vault deletes it")
	if len(m.written("wal/")) != 1 {
		t.Errorf("the log is %q, want the entry kept", m.written("wal/"))
	}
	if err := m.rollback(); err != nil {
		t.Errorf("rolling back what was not done: %v", err)
	}
	m.clean("after the rollback")
}

// TestVaultForgetsARequestThatNobodyWaitsFor: the token of a request that was given up
// reaches nobody.
func TestVaultForgetsARequestThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.fault(lab.Fault{Method: "POST", Path: "user/runners", Delay: "300ms"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := m.send(ctx, &logical.Request{Operation: logical.ReadOperation, Path: "creds/docker"}); err == nil {
		t.Error("a request that was given up got a token")
	}
	m.clean("afterwards")
}

func TestVaultKeepsToMaxRecords(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(fields{"max_records": 2})
	first := m.must(logical.ReadOperation, "creds/docker", nil)
	m.must(logical.ReadOperation, "creds/docker", nil)
	_, err := m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "has 2 runners, and max_records is 2")
	if _, err := m.lease(logical.RevokeOperation, first.Secret); err != nil {
		t.Fatal(err)
	}
	m.must(logical.ReadOperation, "creds/docker", nil)
	if n := len(m.runners()); n != 2 || len(m.written("wal/")) != 0 {
		t.Errorf("%d records and the log %q, want two and none", n, m.written("wal/"))
	}
}

// TestVaultTriesARevocationAgain: what GitLab does not do now is an error, which makes
// Vault come again.
func TestVaultTriesARevocationAgain(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	s := m.must(logical.ReadOperation, "creds/docker", nil).Secret
	m.fault(lab.Fault{Method: "DELETE", Path: "runners/*", Status: 503})
	if _, err := m.lease(logical.RevokeOperation, s); err == nil {
		t.Error("a revocation that GitLab did not do succeeded")
	}
	if _, err := m.lease(logical.RevokeOperation, s); err != nil {
		t.Errorf("the second try: %v", err)
	}
	m.clean("afterwards")
}

// TestVaultDeletesNoOtherRunner: neither that of another GitLab with the same id, nor
// one that got the id after a restore.
func TestVaultDeletesNoOtherRunner(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	s := m.must(logical.ReadOperation, "creds/docker", nil).Secret
	other := labtest.Start(t, labtest.Options{})
	move := fields{"url": other.URL, "token": other.Admin}
	_, err := m.do(logical.UpdateOperation, "config", move)
	m.refused(err, "cannot change", "1 runners of this mount are outstanding", "moved=true")
	_, err = m.do(logical.DeleteOperation, "config", nil)
	m.refused(err, "still needed")

	stranger := *s
	stranger.InternalData = map[string]any{}
	for k, v := range s.InternalData {
		stranger.InternalData[k] = v
	}
	stranger.InternalData["instance"] = "another"
	_, err = m.lease(logical.RevokeOperation, &stranger)
	m.refused(err, "belongs to another GitLab")
	stranger.InternalData["instance"] = s.InternalData["instance"]
	stranger.InternalData["marker"], stranger.InternalData["born"] = "rekey-vault-another", "1000000000"
	_, err = m.lease(logical.RevokeOperation, &stranger)
	m.refused(err, "may be another runner")
	if n := len(m.runners()); n != 1 {
		t.Fatalf("%d records, want the one that is leased", n)
	}

}

// TestVaultFollowsAGitLabThatMoved: the same one under another name keeps its leases.
func TestVaultFollowsAGitLabThatMoved(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	s := m.must(logical.ReadOperation, "creds/docker", nil).Secret
	moved := strings.Replace(m.lab.URL, "127.0.0.1", "localhost", 1)
	m.must(logical.UpdateOperation, "config", fields{"url": moved, "moved": true, "token": m.pat})
	if got := m.must(logical.ReadOperation, "config", nil).Data["url"]; got != moved {
		t.Errorf("the URL is %v, want %s", got, moved)
	}
	if _, err := m.lease(logical.RevokeOperation, s); err != nil {
		t.Errorf("revoking: %v", err)
	}
	m.clean("afterwards")
}

// TestVaultKnowsARecordWithOtherTags: by its birth where GitLab tells it (18.0), and
// else says what helps.
func TestVaultKnowsARecordWithOtherTags(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"17.11": false, "18.2": true} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			m := newVaultMountOf(t, version).configured(nil)
			s := m.must(logical.ReadOperation, "creds/docker", nil).Secret
			retag := func(tags ...string) {
				m.lab.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", m.runners()[0]), labtest.M{"tag_list": tags}, nil)
			}
			retag("mine")
			_, err := m.lease(logical.RevokeOperation, s)
			if known && err != nil {
				t.Errorf("revoking a record with other tags: %v", err)
			}
			if !known {
				m.refused(err, "may be another runner")
				retag("mine", s.InternalData["marker"].(string))
				if _, err := m.lease(logical.RevokeOperation, s); err != nil {
					t.Errorf("revoking it with its tag: %v", err)
				}
			}
			m.clean("afterwards")
		})
	}
}

// TestVaultSweepsWhatNoLeaseHolds: Vault ended between the engine's answer and the
// storing of the lease.
func TestVaultSweepsWhatNoLeaseHolds(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.must(logical.ReadOperation, "creds/docker", nil)
	m.advance(3 * time.Hour)
	if err := m.rollback(); err != nil || len(m.runners()) != 1 {
		t.Errorf("within the lease's time: %v and %d records, want the one", err, len(m.runners()))
	}
	m.advance(11 * time.Minute)
	if err := m.rollback(); err != nil {
		t.Errorf("sweeping: %v", err)
	}
	m.clean("after max_ttl")
}

// TestVaultLeaseEndsBeforeItsToken: where GitLab lets tokens expire, no lease outlives
// one.
func TestVaultLeaseEndsBeforeItsToken(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.lab.Setting(labtest.M{"group_runner_token_expiration_interval": 7200})
	resp := m.must(logical.ReadOperation, "creds/docker", nil)
	if resp.Secret.MaxTTL > 2*time.Hour || resp.Secret.MaxTTL < 119*time.Minute || resp.Data["expires_at"] == "" {
		t.Errorf("the lease is %v at most with a token until %v, want two hours", resp.Secret.MaxTTL, resp.Data["expires_at"])
	}
}
