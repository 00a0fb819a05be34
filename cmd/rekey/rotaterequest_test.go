package main_test

import (
	"fmt"
	"testing"
)

// mostRequests is what an overlap of one project's runner may ask of GitLab, from
// the creation of the second record to the deletion of the first.
const mostRequests = 9

// TestAnOverlapTakesFewRequests counts at the lab what the real binary asks, the
// plan's own questions taken off.
func TestAnOverlapTakesFewRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "18.8")
	w.binary = binary
	a := attempt{scenario: overlap, world: w, what: "counted"}
	a.canary = true // a gitlab-runner works with the config
	a.begin()
	stop := a.poll()
	args := []string{"rotate", "broken", "--config", w.config, "--rps", "0"}
	plan := w.counted(append(args, "--dry-run"))
	all := w.counted(append(args, "--yes"))
	stop()
	a.inspect()
	if all-plan > mostRequests {
		t.Errorf("the overlap took %d requests beside the plan's %d, want %d at most", all-plan, plan, mostRequests)
	}
	fmt.Printf("overlap of one project's runner: %d requests, and %d for the plan\n", all-plan, plan)
}

// counted runs the command and returns how many requests of rekey came.
func (w *world) counted(args []string) int {
	w.t.Helper()
	w.front.begin(nil)
	if e := w.run(false, 0, "", args...); e.code != 0 {
		w.t.Fatalf("%v", e)
	}
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	return w.front.asked
}
