package app_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// issued is a lease with the time that Vault notes beside it.
func (m *vaultMount) issued() *logical.Secret {
	m.t.Helper()
	s := m.must(logical.ReadOperation, "creds/docker", nil).Secret
	s.IssueTime = m.clock()
	return s
}

// sweeps wants this many records at GitLab after a sweep.
func (m *vaultMount) sweeps(when string, want int) {
	m.t.Helper()
	if err := m.rollback(); err != nil {
		m.t.Errorf("%s: sweeping: %v", when, err)
	}
	if n := len(m.runners()); n != want {
		m.t.Errorf("%s: %d records at GitLab after the sweep, want %d", when, n, want)
	}
}

// TestVaultSweepSparesALeaseWhoseRenewalWasRefused: the engine agrees to a renewal that
// Vault then refuses, "past the max TTL, cannot renew", and the lease stays as it was.
func TestVaultSweepSparesALeaseWhoseRenewalWasRefused(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(fields{"ttl": "20h", "max_ttl": "20h"})
	s := m.issued()
	m.must(logical.UpdateOperation, "roles/docker", fields{"ttl": "1h", "max_ttl": "1h"})
	m.advance(2 * time.Hour)
	if _, err := m.lease(logical.RenewOperation, s); err != nil {
		t.Fatalf("renewing: %v", err)
	}
	m.sweeps("at once", 1)
	m.advance(18 * time.Hour)
	m.sweeps("at the lease's end", 1)
	m.advance(11 * time.Minute)
	m.sweeps("after the lease's end", 0)
	m.clean("afterwards")
}

// TestVaultSweepGoesByVaultsClock: GitLab's, an hour behind, tells nothing of a lease.
func TestVaultSweepGoesByVaultsClock(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.advance(time.Hour)
	s := m.issued()
	m.must(logical.UpdateOperation, "roles/docker", fields{"max_ttl": "5h"})
	if _, err := m.lease(logical.RenewOperation, s); err != nil {
		t.Fatalf("renewing: %v", err)
	}
	m.advance(5 * time.Hour)
	m.sweeps("at the end of the time that was renewed", 1)
	m.advance(11 * time.Minute)
	m.sweeps("after it", 0)
}

// TestVaultSweepEndsARevocationThatFailed: Vault tries a few times, then once a day.
func TestVaultSweepEndsARevocationThatFailed(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]lab.Fault{
		"GitLab fails":     {Path: "runners/**", Status: 503, Times: 100},
		"GitLab is silent": {Path: "runners/**", Delay: "10s", Times: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newVaultMount(t).configured(nil)
			s := m.issued()
			kept := m.issued()
			outage.Name = "outage"
			m.fault(outage)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := m.send(ctx, &logical.Request{Operation: logical.RevokeOperation, Path: "creds/docker", Secret: s}); err == nil {
				t.Error("a revocation that GitLab did not do succeeded")
			}
			if _, err := m.lab.Orders.ClearFaults("outage"); err != nil {
				t.Fatal(err)
			}
			_, err := m.lease(logical.RenewOperation, s)
			m.refused(err, "is being deleted", "creds/docker")
			m.sweeps("when GitLab is back", 1)
			if _, err := m.lease(logical.RevokeOperation, s); err != nil {
				t.Errorf("Vault's next try: %v", err)
			}
			if _, err := m.lease(logical.RenewOperation, kept); err != nil {
				t.Errorf("renewing the lease that nobody revoked: %v", err)
			}
		})
	}
}

// TestVaultSweepWaitsForATag: a revocation that was refused because the runner may be
// another's does not make its record one that no lease holds.
func TestVaultSweepWaitsForATag(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	s := m.issued()
	m.retag(m.runners()[0], "mine")
	_, err := m.lease(logical.RevokeOperation, s)
	m.refused(err, "may be another runner")
	m.sweeps("at once", 1)
	if len(m.written("record/")) != 1 {
		t.Error("the record is forgotten, want it kept while its lease lives")
	}
	m.retag(m.runners()[0], "mine", s.InternalData["marker"].(string))
	if _, err := m.lease(logical.RevokeOperation, s); err != nil {
		t.Errorf("revoking it with its tag: %v", err)
	}
	m.clean("afterwards")
}

func (m *vaultMount) retag(id int64, tags ...string) {
	m.t.Helper()
	m.lab.Must(http.StatusOK, "PUT", fmt.Sprintf("runners/%d", id), labtest.M{"tag_list": tags}, nil)
}

// gaveUp wants the record out of Vault's storage, told once, and the runner that has
// its id left at GitLab.
func (m *vaultMount) gaveUp(sweep func() error) {
	m.t.Helper()
	for range 2 {
		if err := sweep(); err != nil {
			m.t.Errorf("the register's end: %v", err)
		}
		m.advance(11 * time.Minute)
	}
	if wal, records := m.written("wal/"), m.written("record/"); len(wal)+len(records) != 0 {
		m.t.Errorf("%q and %q are left in Vault, want nothing", wal, records)
	}
	if n := len(m.runners()); n != 1 {
		m.t.Errorf("%d runners at GitLab, want the other one left alone", n)
	}
	if n := m.logged("gave up a record"); n != 1 {
		m.t.Errorf("the log tells it %d times, want once", n)
	}
	m.must(logical.DeleteOperation, "config", nil)
}

// TestVaultGivesUpARecordWhoseIDIsAnothers: the lease was given up by force, and GitLab,
// restored from a backup, gave the id to another runner.
func TestVaultGivesUpARecordWhoseIDIsAnothers(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	s := m.issued()
	m.retag(m.runners()[0], "anothers")
	m.advance(3 * time.Hour)
	m.sweeps("within the lease's time", 1)
	if len(m.written("record/")) != 1 {
		t.Error("the record was given up within the lease's time")
	}
	m.advance(11 * time.Minute)

	var copied struct {
		ID int64 `json:"id"`
	}
	m.lab.Must(http.StatusCreated, "POST", "user/runners", labtest.M{"runner_type": "group_type", "group_id": m.group, "tag_list": []any{s.InternalData["marker"]}}, &copied)
	m.refused(m.rollback(), "may be another runner", fmt.Sprintf("runner %d has the tag", copied.ID))
	if n := len(m.runners()); n != 2 {
		t.Fatalf("%d runners, want the other one and the one that somebody gave the tag", n)
	}
	m.lab.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", copied.ID), nil, nil)
	m.advance(11 * time.Minute)
	m.gaveUp(m.rollback)
}

// TestVaultRollbackGivesUpARecordWhoseIDIsAnothers: likewise where the creation was
// interrupted once the id was known.
func TestVaultRollbackGivesUpARecordWhoseIDIsAnothers(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	half := 12 // {"id":1,"tok
	m.fault(lab.Fault{Method: "POST", Path: "user/runners", Truncate: &half})
	m.fault(lab.Fault{Name: "silent", Path: "runners/**", Status: 502, Times: 100})
	_, err := m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "Vault deletes it")
	if _, err := m.lab.Orders.ClearFaults("silent"); err != nil {
		t.Fatal(err)
	}
	m.retag(m.runners()[0], "anothers")
	m.restart()
	m.gaveUp(m.rollback)
}
