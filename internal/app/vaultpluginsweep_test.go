package app_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
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
