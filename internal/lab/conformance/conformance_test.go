package conformance_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab"
	"rekey/internal/lab/conformance"
	"rekey/internal/lab/labtest"
)

// testedVersions are those at whose edges rows differ.
var testedVersions = []string{"15.11", "16.11", "17.0", "17.11", "18.1", "18.11", "19.3"}

var allCases = slices.Concat(conventionCases, scopeCases, envelopeCases, pageCases, registerCases, runnerTokenCases, requestCases, jobCases, traceCases,
	createCases, runnerListCases, runnerCases, assignmentCases, settingCases, supportCases, tokenCases, timelineCases, lifecycleCases)

// pending are rows whose case fails, with the reason; the case says when that is over.
var pending = map[string]string{}

// unserved are rows for which the lab has no occasion.
var unserved = map[string]string{
	"1.1-oauth":             "the lab gives out no OAuth tokens",
	"3.2-two-phase-bound":   "the lab has one writer: nobody loses a race",
	"3.4-download-redirect": "the lab has no object store",
	"4.2-auditor":           "the lab has no auditors",
	"4.4-old-tags":          "no version that the lab can be lets a runner have more than fifty tags",
	"7.2-version-0":         "the lab has the flag off, as GitLab by default",
	"7.4-shown-on-the-page": "it is no answer of the API; the page has tests of its own",
	"1.2-fine-grained":      "GitLab makes such tokens in its pages alone",
	"1.3-resource-lock":     "the lab has one writer: nobody holds a lock that another could meet",
	"3.1-race":              "the lab has one writer: nobody loses a race",
	"3.3-locked":            "the lab has one writer: nobody holds a lock that another could meet",
	"2.7-executor-unknown":  "no answer of GitLab's API shows a manager's executor",
	"3.1-unserialisable":    "the lab can serialise every job that it plans",
}

func ledger(t *testing.T) conformance.Ledger {
	t.Helper()
	table, err := conformance.Table()
	if err != nil {
		t.Fatal(err)
	}
	l := conformance.Ledger{Table: table, Pending: pending, Unserved: unserved}
	for _, text := range testedVersions {
		l.Tested = append(l.Tested, version(t, text))
	}
	for _, c := range allCases {
		l.Claims = append(l.Claims, c.claims()...)
	}
	return l
}

func version(t *testing.T, text string) rekey.Version {
	t.Helper()
	v, err := rekey.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryRowHasACase: whatever is known is looked at, and nothing is asserted
// that is not.
func TestEveryRowHasACase(t *testing.T) {
	t.Parallel()
	l := ledger(t)
	for _, fault := range l.Faults() {
		t.Error(fault)
	}
	fmt.Println(l.Summary())
	for _, excuses := range []map[string]string{pending, unserved} {
		for _, id := range slices.Sorted(maps.Keys(excuses)) {
			fmt.Printf("  %s: %s\n", id, excuses[id])
		}
	}
}

// TestLabConforms runs every case at the edges of its rows.
func TestLabConforms(t *testing.T) {
	t.Parallel()
	l := ledger(t)
	rows := map[string]conformance.Row{}
	for _, r := range l.Table {
		rows[r.ID] = r
	}
	shared := map[string]*labtest.Lab{}
	for _, v := range testedVersions {
		shared[v] = labtest.Start(t, labtest.Options{Version: v, Profile: lab.ProfileSelfManaged})
	}
	for _, c := range allCases {
		t.Run(c.ids[0], func(t *testing.T) {
			t.Parallel()
			failed := false
			for i, text := range testedVersions {
				run := c.at(l, rows, l.Tested[i])
				if run == nil {
					continue
				}
				notes := c.look(t, shared, text, run)
				failed = failed || len(notes) > 0
				for _, note := range notes {
					if c.awaited() == "" {
						t.Errorf("%s: %s", text, note)
					}
				}
			}
			if reason := c.awaited(); !failed && reason != "" {
				t.Errorf("it holds: take it from the pending ones (%s)", reason)
			}
		})
	}
}

// awaited is why the case is known to fail, "" where it must hold.
func (c testCase) awaited() string {
	for _, id := range c.ids {
		if reason := pending[id]; reason != "" {
			return reason
		}
	}
	return ""
}

// at is what to look for in a version: nil for nothing.
func (c testCase) at(l conformance.Ledger, rows map[string]conformance.Row, v rekey.Version) func(*world) {
	var run func(*world)
	for _, id := range c.ids {
		inside, outside := l.Edges(rows[id])
		switch {
		case slices.Contains(inside, v):
			return c.run
		case slices.Contains(outside, v):
			run = c.outside
		}
	}
	return run
}

// look runs one case on one version, and returns what was wrong.
func (c testCase) look(t *testing.T, shared map[string]*labtest.Lab, text string, run func(*world)) []string {
	t.Helper()
	w := &world{version: version(t, text), witness: &witness{TB: t}}
	if c.alone {
		profile := c.profile
		if profile == "" {
			profile = lab.ProfileSelfManaged
		}
		w.clock = &clock{at: time.Now().Truncate(time.Second)} // so that edges are exact
		w.options = labtest.Options{Version: text, Profile: profile, Dir: t.TempDir(), Now: w.clock.now}
		w.Lab = labtest.Start(t, w.options).For(w.witness)
	} else {
		w.Lab = shared[text].For(w.witness)
	}
	done := make(chan struct{})
	go func() { // a failed request ends the goroutine, as it would end a test
		defer close(done)
		run(w)
	}()
	<-done
	return w.notes
}

// witness notes failures instead of failing the test: those of pending rows are
// expected.
type witness struct {
	testing.TB
	notes []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	runtime.Goexit()
}

func (w *witness) Fatal(args ...any) { w.Fatalf("%s", fmt.Sprint(args...)) }
