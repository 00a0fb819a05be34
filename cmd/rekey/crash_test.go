package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// lanes is how many labs a scenario is tried on at once; canaries mostly wait.
const lanes, lanesOfCanaries = 2, 4

// TestCrashAtEveryPoint kills the real binary at every named point of a repair, gives the command again, and holds what it came to against the
// promises of inspect. Every third resumption is killed too.
func TestCrashAtEveryPoint(t *testing.T) {
	t.Parallel()
	all := scenarios()
	scores := make([]score, len(all))
	t.Run("scenarios", func(t *testing.T) {
		for i, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				killEverywhere(t, s, &scores[i])
			})
		}
	})
	var total, converged int64
	fmt.Printf(strings.ReplaceAll(crashRow, "d", "s"), "strategy", "points", "killed", "converged")
	for i, s := range all {
		n := &scores[i]
		fmt.Printf(crashRow, s.name, n.points, n.killed.Load(), n.converged.Load())
		total, converged = total+n.killed.Load(), converged+n.converged.Load()
	}
	fmt.Printf("crash points: %d killed, %d converged, in %d scenarios\n", total, converged, len(all))
}

// crashRow is a row of the table: the points that an undisturbed run passes, and what
// came of the kills.
const crashRow = "%-34s %8d %8d %10d\n"

// score is what came of one scenario's kills.
type score struct {
	points            int
	killed, converged atomic.Int64
}

// killEverywhere kills the scenario at each of its points, in lanes that end after
// it returns.
func killEverywhere(t *testing.T, s scenario, n *score) {
	passed := undisturbed(t, s, newWorld(t, s.version))
	n.points = len(passed)
	first, lanes := 1, lanes
	if s.late {
		first = 1 + lastIndex(passed, "replace.forget.dir.sync:after")
	}
	if s.canary {
		lanes = lanesOfCanaries
	}
	t.Logf("%d points:\n%s", len(passed), table(passed))
	numbers := chosen(passed, first, len(s.name))
	if os.Getenv("REKEY_CRASH_EVERY") == "" {
		switch {
		case s.rare:
			numbers = some(numbers, 8)
		case strings.Contains(s.name, ","): // a variant of a strategy that is killed at each of its names
			numbers = some(numbers, len(numbers)/2)
		}
	}
	for lane := range lanes {
		t.Run("lane "+strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s.version)
			for i := lane; i < len(numbers); i += lanes {
				n.killed.Add(1)
				if killAt(s, w, numbers[i], passed[numbers[i]-1]) {
					n.converged.Add(1)
				}
			}
		})
	}
}

// chosen returns the numbers of the points to kill at, from first on: each name
// once, which of its occurrences turns with the scenario, and every occurrence
// where REKEY_CRASH_EVERY is set, as `make crash` does.
func chosen(passed []string, first, turn int) []int {
	every := os.Getenv("REKEY_CRASH_EVERY") != ""
	at := map[string][]int{}
	var numbers []int
	for n := first; n <= len(passed); n++ {
		at[passed[n-1]] = append(at[passed[n-1]], n)
		if every {
			numbers = append(numbers, n)
		}
	}
	if every {
		return numbers
	}
	for _, places := range at {
		numbers = append(numbers, places[turn%len(places)])
	}
	slices.Sort(numbers)
	return numbers
}

// some keeps about n of the numbers, evenly spread.
func some(numbers []int, n int) []int {
	var kept []int
	for i := 0; i < len(numbers); i += max(1, len(numbers)/n) {
		kept = append(kept, numbers[i])
	}
	return kept
}

func lastIndex(list []string, name string) int {
	for i, s := range slices.Backward(list) {
		if s == name {
			return i
		}
	}
	return 0
}

// undisturbed runs the scenario to its end and returns the points it passed.
func undisturbed(t *testing.T, s scenario, w *world) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "points")
	a := &attempt{scenario: s, world: w, what: "undisturbed"}
	a.begin()
	defer a.poll()()
	e := a.run(s.bare, 0, log, a.args()...)
	if s.finish != nil && e.code == 0 || s.agent && e.code != 0 {
		a.bring(false)
		e = a.resume(0)
	}
	if e.code != 0 && !over(e) {
		t.Fatalf("undisturbed: %v", e)
	}
	a.inspect()
	if t.Failed() {
		t.FailNow()
	}
	return points(t, log)
}

// killAt kills the command at point n, resumes it, and reports whether it came to
// the end that inspect wants.
func killAt(s scenario, w *world, n int, name string) bool {
	a := &attempt{scenario: s, world: w, what: fmt.Sprintf("killed at %d %s", n, name)}
	a.begin()
	defer a.poll()()
	first := a.run(s.bare, n, "", a.args()...)
	if !first.killed() {
		a.errorf("it was not killed: %v", first)
		return false
	}
	if n%3 == 0 && !a.complete() {
		a.what += fmt.Sprintf(", resumed and killed at %d", 1+n/3)
		a.bring(false)
		if second := a.resume(1 + n/3); !second.killed() && second.code != 0 && !over(second) {
			a.errorf("the resumption, not killed: %v", second)
		}
	}
	a.settle(first)
	return !a.failed
}

// table counts the points by name, in the order in which they first come.
func table(passed []string) string {
	var order []string
	count := map[string]int{}
	for _, name := range passed {
		if count[name]++; count[name] == 1 {
			order = append(order, name)
		}
	}
	var b strings.Builder
	for _, name := range order {
		fmt.Fprintf(&b, "%4d × %s\n", count[name], name)
	}
	return b.String()
}
