package lab_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// TestUpkeep: stale managers go after a week, group runners only where the group
// prunes them and after three months, others never.
func TestUpkeep(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	pruning, keeping := l.Group("pruning", 0), l.Group("keeping", 0)
	l.Must(200, "PUT", fmt.Sprintf("groups/%d", pruning), labtest.M{"lab_allow_stale_runner_pruning": true}, nil)
	gone, kept, instance := l.Runner("group", pruning, nil), l.Runner("group", keeping, nil), l.Runner("instance", 0, nil)
	ask := func(r labtest.Issued, system string) int {
		return l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": system}).Status
	}
	ask(instance, "s_CANARYold000")
	run := func(want lab.Upkept) {
		t.Helper()
		if done, err := l.Upkeep(t.Context()); err != nil || done != want {
			t.Errorf("upkeep: got %+v %v, want %+v", done, err, want)
		}
	}
	run(lab.Upkept{})
	clock.advance(6 * 24 * time.Hour)
	ask(instance, "s_CANARYnew000")
	clock.advance(2 * 24 * time.Hour)
	run(lab.Upkept{Managers: 1})
	var managers []struct {
		SystemID string `json:"system_id"`
	}
	l.Must(200, "GET", fmt.Sprintf("runners/%d/managers", instance.ID), nil, &managers)
	if len(managers) != 1 || managers[0].SystemID != "s_CANARYnew000" {
		t.Errorf("managers: got %v, want the newer", managers)
	}
	clock.advance(90 * 24 * time.Hour)
	run(lab.Upkept{Managers: 1, Runners: 1})
	for r, want := range map[labtest.Issued]int{gone: 403, kept: 204, instance: 204} {
		if got := ask(r, "s_CANARYnew000"); got != want {
			t.Errorf("runner %d: got %d, want %d", r.ID, got, want)
		}
	}
}

// TestUpkeepInBatches: one run removes a thousand managers at most.
func TestUpkeepInBatches(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	r := l.Runner("instance", 0, nil)
	for i := range 1001 {
		if got := l.Call("POST", "runners/verify", "", labtest.M{"token": r.Token, "system_id": fmt.Sprintf("s_%d", i)}); got.Status != 200 {
			t.Fatalf("verify %d: got %d", i, got.Status)
		}
	}
	clock.advance(8 * 24 * time.Hour)
	for _, want := range []int64{1000, 1, 0} {
		if done, err := l.Upkeep(t.Context()); err != nil || done.Managers != want {
			t.Errorf("upkeep: got %+v %v, want %d managers", done, err, want)
		}
	}
}
