package lab_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// TestAbandonedRequestsLeaveNothingStale breaks off requests in the middle, as a
// client that is killed does: what is committed after that is what everybody
// reads.
func TestAbandonedRequestsLeaveNothingStale(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{})
	for range 40 {
		l.Runner("instance", 0, nil)
	}
	for round := range 5 {
		abandon(t, l)
		made := l.Runner("instance", 0, labtest.M{"description": "new"})
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() {
				if a := l.Call("GET", fmt.Sprintf("runners/%d", made.ID), l.Admin, nil); a.Status != http.StatusOK {
					t.Errorf("round %d: GET of the runner just made: got %d, want 200", round, a.Status)
				}
			})
		}
		wait.Wait()
	}
}

// abandon sends requests that end before their answer.
func abandon(t *testing.T, l *labtest.Lab) {
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(20_000))*time.Microsecond)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/api/v4/runners/all?per_page=100", nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Private-Token", l.Admin)
			if answer, err := http.DefaultTransport.RoundTrip(r); err == nil {
				_ = answer.Body.Close()
			}
		})
	}
	wait.Wait()
}
