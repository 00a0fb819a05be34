package matrix

import (
	"fmt"
	"net/http"
	"time"

	"rekey/internal/lab/labtest"
)

// The hosts of the scenarios.
const (
	thisHost  = "s_0123456789ab"
	otherHost = "s_ba9876543210"
)

// age is how old records are that have been at work for a while.
const age = 40 * 24 * time.Hour

// Before is the time so long ago, by the machine's clock and to the second.
func (w *World) Before(by time.Duration) time.Time {
	return w.back.clock().Add(-by).Truncate(time.Second)
}

// Made makes a runner that takes any job, so that nothing else is to be said of
// it, some time ago.
func (w *World) Made(scope string, owner int64, attributes labtest.M) (made labtest.Issued) {
	w.T.Helper()
	all := labtest.M{"run_untagged": true, "description": "a runner of the matrix"}
	for k, v := range attributes {
		all[k] = v
	}
	w.Ago(age, func() { made = w.Runner(scope, owner, all) })
	return made
}

// Planted is the section of a record, as gitlab-runner wrote it.
func (w *World) Planted(r labtest.Issued) Section {
	s := Section{Name: "planted", ID: r.ID, Token: r.Token, Obtained: w.Before(age)}
	if at, err := time.Parse(time.RFC3339, r.ExpiresAt); err == nil {
		s.Expires = at
	}
	return s
}

// Delete deletes the record.
func (w *World) Delete(r labtest.Issued) {
	w.T.Helper()
	w.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", r.ID), nil, nil)
}

// Reset resets the record's token as somebody in the page does, and returns the
// new one.
func (w *World) Reset(r labtest.Issued) labtest.Issued {
	w.T.Helper()
	made := labtest.Issued{}
	w.Must(http.StatusCreated, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), labtest.M{}, &made)
	made.ID = r.ID
	return made
}

// Poll asks for a job as the gitlab-runner of a host does, which shows it online.
func (w *World) Poll(token, systemID, version string) {
	w.T.Helper()
	a := w.Call("POST", "jobs/request", "", labtest.M{"token": token, "system_id": systemID,
		"info": labtest.M{"name": "gitlab-runner", "version": version, "platform": "linux", "architecture": "amd64", "executor": "shell"}})
	if a.Status != http.StatusNoContent {
		w.T.Fatalf("poll for a job: got %d %s, want 204", a.Status, a.Body)
	}
}
