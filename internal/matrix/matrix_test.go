package matrix_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/internal/cli"
	"rekey/internal/matrix"
)

var (
	update = flag.Bool("update", false, "write docs/matrix.md")
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
				for i := range rows {
					t.Run(rows[i].Cause+"/"+rows[i].Name, func(t *testing.T) {
						g := shared
						if rows[i].Own { // a lab is opened, restored and closed
							g = matrix.Open(t, version, time.Now)
						}
						results := matrix.Run(t, g, rows[i].Scenario, doctor)
						report(t, rows[i].Scenario, results)
						mu.Lock()
						defer mu.Unlock()
						rows[i].Results[version] = results
					})
				}
			})
		}
	})
	if *only == "" && !t.Failed() {
		comparePage(t, matrix.Page(rows))
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
