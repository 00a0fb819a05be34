package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestE2EVaultPluginRunner: an unmodified gitlab-runner registers with what a real
// Vault issues and runs a job; the end of the lease deletes the record.
func TestE2EVaultPluginRunner(t *testing.T) {
	runners := e2eRunners(t)
	eachVault(t, func(t *testing.T, v *e2eVault) { leasedToRunners(t, v, runners) })
}

func leasedToRunners(t *testing.T, v *e2eVault, runners []e2eRunner) {
	l := e2eLabUp(t)
	v.must("POST", "gitlab/config", labtest.M{"url": l.URL, "token": l.Admin}, nil)
	v.must("POST", "gitlab/roles/e2e", labtest.M{"scope": "project", "owner": "acme/web", "tags": "e2e", "ttl": "10m", "max_ttl": "1h"}, nil)
	for _, r := range runners {
		if !r.version.AtLeast(15, 11) {
			continue // --token glrt- is not understood before
		}
		t.Run(e2eName(r, "17.11"), func(t *testing.T) {
			var creds e2eCreds
			v.must("GET", "gitlab/creds/e2e", nil, &creds)
			config := filepath.Join(t.TempDir(), "config.toml")
			r.must(t, config, "register", "--non-interactive", "--url", creds.Data.URL, "--token", creds.Data.Token, "--executor", "shell", "--name", "vault")
			r.run(t, config)
			l.jobRuns("e2e", creds.Data.ID)
			v.must("PUT", "sys/leases/revoke", labtest.M{"lease_id": creds.Lease, "sync": true}, nil)
			if _, err := l.try("GET", fmt.Sprintf("runners/%d", creds.Data.ID), nil); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("runner %d after its lease was revoked: got %v, want 404", creds.Data.ID, err)
			}
			if out, err := r.command(t, config, "verify"); err == nil {
				t.Errorf("gitlab-runner verify after the lease was revoked: got success, want its refusal\n%s", out)
			}
		})
	}
}
