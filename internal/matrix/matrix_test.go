package matrix_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/internal/cli"
	"rekey/internal/matrix"
)

var (
	update = flag.Bool("update", false, "write docs/matrix.md")
	full   = flag.Bool("full", false, "every fault on top of every scenario in every version, for both lookers")
	only   = flag.String("only", "", "only the scenarios whose cause or name holds this; the page is not compared")
)

// doctor is the command itself, in this process.
func doctor(args []string, env map[string]string) ([]byte, []byte) {
	var out, said bytes.Buffer
	cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &said,
		Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	return out.Bytes(), said.Bytes()
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	rows := chosen()
	var mu sync.Mutex
	t.Run("versions", func(t *testing.T) {
		for _, version := range matrix.Versions {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				shared := matrix.Open(t, version, time.Now)
				var running sync.WaitGroup
				defer running.Wait()
				tell := func(wrong string) { t.Error(wrong) }
				for i := range rows {
					t.Run(rows[i].Cause+"/"+rows[i].Name, func(t *testing.T) {
						if s := rows[i]; s.Lacking != nil && s.Lacking() != "" {
							lacking(t, s.Lacking())
						}
						g := shared
						if rows[i].Own { // a lab is opened, restored and closed
							g = matrix.Open(t, version, time.Now)
						}
						results := matrix.Run(t, g, rows[i].Scenario, doctor)
						report(t, rows[i].Scenario, results)
						disturb(t, g, rows[i].Scenario, i, results, &running, tell)
						mu.Lock()
						defer mu.Unlock()
						rows[i].Results[version] = results
					})
				}
			})
		}
	})
	if *only == "" && !t.Failed() && !slices.ContainsFunc(rows, func(r matrix.Row) bool { return len(r.Results) < len(matrix.Versions) }) {
		comparePage(t, matrix.Page(rows))
	}
}

// lacking says what the machine cannot plant. CI must be able to: the page is not
// compared otherwise.
func lacking(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("in CI that is a failure: %s", why)
	}
	t.Skipf("*** NOT PLANTED, AND docs/matrix.md NOT COMPARED: %s ***", why)
}

// disturb puts the faults on top: in a GitLab before and one after the probe that
// writes nothing, for one looker each; all with -full.
func disturb(t *testing.T, g *matrix.GitLab, s matrix.Scenario, row int, results map[matrix.Who]matrix.Result, running *sync.WaitGroup, tell func(string)) {
	t.Helper()
	if s.Own || !*full && g.Version != "17.11" && g.Version != "18.11" {
		return
	}
	var faults []matrix.Fault
	for i, o := range matrix.Overlays {
		for j, who := range []matrix.Who{matrix.Alone, matrix.WithToken} {
			before, seen := results[who]
			if seen && before.NA == "" && len(before.Wrong) == 0 && (*full || (row+i+j)%2 == 0) {
				faults = append(faults, matrix.Fault{Overlay: o, Who: who})
			}
		}
	}
	if len(faults) > 0 {
		matrix.Disturb(t, g, s, faults, results, doctor, running, tell)
	}
}

func chosen() []matrix.Row {
	var rows []matrix.Row
	for _, s := range matrix.Scenarios() {
		if strings.Contains(s.Cause+"/"+s.Name, *only) {
			rows = append(rows, matrix.Row{Scenario: s, Results: map[string]map[matrix.Who]matrix.Result{}})
		}
	}
	return rows
}

func report(t *testing.T, s matrix.Scenario, results map[matrix.Who]matrix.Result) {
	t.Helper()
	for who, r := range results {
		for _, wrong := range r.Wrong {
			t.Errorf("%s, %s: %s", s.Name, who, wrong)
		}
		if len(r.Wrong) > 0 && testing.Verbose() {
			t.Logf("%s", r.Raw)
		}
	}
}

func comparePage(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "matrix.md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + got)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("docs/matrix.md is not what this run gives (%v): run `make matrix` and look at the difference", err)
	}
}
