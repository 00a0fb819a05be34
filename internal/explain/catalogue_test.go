package explain_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/explain"
)

// sample is one line of testdata/lines.txt.
type sample struct {
	row     int
	id      string
	bearing explain.Bearing
	line    string
}

func samples(t testing.TB) []sample {
	t.Helper()
	data, err := os.ReadFile("testdata/lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []sample
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimRight(line, "\n"), " ", 4)
		if len(parts) < 4 || parts[0] == "#" {
			continue
		}
		row, err := strconv.Atoi(parts[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, sample{row, parts[1], explain.Bearing(parts[2]), parts[3]})
	}
	return list
}

func TestEveryLineInItsOwnWords(t *testing.T) {
	t.Parallel()
	c := explain.New()
	for _, s := range samples(t) {
		e, ok := c.Explain(s.line)
		if got, want := fmt.Sprint(ok, e.Row, " ", e.ID, " ", e.Bearing), fmt.Sprint(true, s.row, " ", s.id, " ", s.bearing); got != want {
			t.Errorf("%s\n got %s\nwant %s", s.line, got, want)
		}
		if strings.Contains(e.Line, "CANARY1234") {
			t.Errorf("%s: shows a token", e.Line)
		}
	}
}

func TestEveryRowOfTheCatalogueHasALine(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for _, s := range samples(t) {
		seen[s.row] = true
	}
	for row := 1; row <= 50; row++ {
		if !seen[row] {
			t.Errorf("row %d has no line in testdata/lines.txt", row)
		}
	}
}

// TestEveryLineInEveryDress puts each line into each format and behind each
// collector's prefix.
func TestEveryLineInEveryDress(t *testing.T) {
	t.Parallel()
	c := explain.New()
	for _, s := range samples(t) {
		for name, dress := range dresses {
			line, worn := dress(s.line)
			if !worn {
				continue
			}
			if e, ok := c.Explain(line); !ok || e.ID != s.id || e.Row != s.row {
				t.Errorf("%s: %q\n got %d %s (%v), want %d %s", name, line, e.Row, e.ID, ok, s.row, s.id)
			}
		}
	}
}

func TestOrdinaryLinesAreNotExplained(t *testing.T) {
	t.Parallel()
	c := explain.New()
	for _, line := range []string{
		"", " ", "{}", "=", "null", "status=", "error=something", "status=running", "level=error", `{"level":"error"}`, `{"msg":""}`,
		"Runtime platform                                    arch=amd64 os=linux pid=7 revision=436955cb version=15.11.1",
		"listen_address not defined, metrics & debug endpoints disabled  builds=0 max_builds=1",
		"[session_server].listen_address not defined, session endpoints disabled  builds=0",
		"Initializing executor providers                     builds=0 max_builds=1",
		"Created missing unique system ID                    system_id=s_0123456789ab",
		"Added job to processing list                        builds=1 job=281 max_builds=1 project=2 repo_url=https://gitlab.example.com/g/p.git time_in_queue_seconds=1",
		"Nov 22 11:54:01 host sshd[12]: Failed password for root from 192.0.2.1 port 22 ssh2",
		"nginx: 2026/11/22 11:54:01 [error] 403 upstream prematurely closed connection",
		"I checked for jobs and it was forbidden to me",
		"Our job failed: nobody knows why",
		"the artifacts were uploaded to the coordinator",
	} {
		if e, ok := c.Explain(line); ok {
			t.Errorf("%q: got %d %s, want it not recognised", line, e.Row, e.ID)
		}
	}
}

func TestCausesAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	known := diagnose.Planned()
	for _, e := range diagnose.Registry() {
		known = append(known, e.Cause)
	}
	c := explain.New()
	for _, s := range samples(t) {
		e, _ := c.Explain(s.line)
		seen := map[rekey.Cause]bool{}
		for _, cause := range e.Causes {
			if !slices.Contains(known, cause) || seen[cause] {
				t.Errorf("%s: cause %s is not in the registry, or twice", e.ID, cause)
			}
			seen[cause] = true
		}
		if e.Bearing == explain.OnToken && len(e.Causes) == 0 {
			t.Errorf("%s: a token problem without a cause", e.ID)
		}
		for name, text := range map[string]string{"means": e.Means, "remedy": e.Remedy, "next": e.Next, "versions": e.Versions} {
			if text == "" {
				t.Errorf("%s: no %s", e.ID, name)
			}
		}
	}
}

func TestFieldsAreThoseOfTheLine(t *testing.T) {
	t.Parallel()
	want := explain.Fields{Level: "error", Runner: "y1_rnE34d", RunnerName: "docker runner", Status: "POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden",
		URL: "https://gitlab.example.com/api/v4/jobs/request", CorrelationID: "01HXYZ"}
	c := explain.New()
	for _, line := range []string{
		"ERROR: Checking for jobs... forbidden     correlation_id=01HXYZ runner=y1_rnE34d runner_name=docker runner status=POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden",
		`time="2026-11-22T13:04:28Z" level=error msg="Checking for jobs... forbidden" correlation_id=01HXYZ runner=y1_rnE34d runner_name="docker runner" status="POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden"`,
		`{"correlation_id":"01HXYZ","level":"error","msg":"Checking for jobs... forbidden","runner":"y1_rnE34d","runner_name":"docker runner","status":"POST https://gitlab.example.com/api/v4/jobs/request: 403 Forbidden"}`,
	} {
		if e, _ := c.Explain(line); e.Fields != want {
			t.Errorf("%s\n got %+v\nwant %+v", line, e.Fields, want)
		}
	}
}
