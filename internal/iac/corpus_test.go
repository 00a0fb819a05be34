package iac_test

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/iac"
)

// corpusVariable names a folder with real files and INDEX.tsv, which says line by
// line what an audit should find.
const corpusVariable = "REKEY_CORPUS"

// known are the expectations that findings answer; the others say that there is
// nothing to find.
var known = map[string]iac.Slug{
	"LEGACY": iac.Legacy, "HARDCODED": iac.Hardcoded, "SERVER_LEGACY": iac.ServerLegacy,
	"GLRT_IN_LEGACY_FIELD": iac.RunnerInLegacy, "LEGACY_ARGS": iac.LegacyArgs, "TOKEN_IN_LOG": iac.TokenInLog,
}

type expectation struct {
	file, verdict, path string
	lines               map[iac.Slug][]int
}

func readCorpus(t *testing.T) (string, []expectation) {
	t.Helper()
	dir := os.Getenv(corpusVariable)
	if dir == "" {
		t.Skipf("*** NO CORPUS: set %s to a folder with INDEX.tsv and files/, or run `make corpus CORPUS=DIR` ***", corpusVariable)
	}
	index, err := os.Open(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Skipf("*** NO CORPUS: %v ***", err)
	}
	defer index.Close()
	r := csv.NewReader(index)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var all []expectation
	for _, row := range rows[1:] {
		e := expectation{file: row[column["file"]], verdict: row[column["verdict"]], path: row[column["path"]], lines: map[iac.Slug][]int{}}
		for part := range strings.SplitSeq(row[column["expected"]], ";") {
			code, lines, _ := strings.Cut(strings.TrimSpace(part), "@")
			slug, ok := known[code]
			for n := range strings.SplitSeq(lines, ",") {
				if line, err := strconv.Atoi(n); err == nil && ok {
					e.lines[slug] = append(e.lines[slug], line)
				}
			}
		}
		all = append(all, e)
	}
	return dir, all
}

// tally counts, for one slug, lines that were expected, found, and found elsewhere.
type tally struct{ expected, hit, outside int }

// TestCorpus measures the audit on real files: every line that must be flagged is,
// with its slug; of the findings of warning and above at most one in twenty stands
// elsewhere, and none in a file that must not be flagged.
func TestCorpus(t *testing.T) {
	t.Parallel()
	dir, all := readCorpus(t)
	tallies := map[iac.Slug]*tally{}
	for _, slug := range known {
		tallies[slug] = &tally{}
	}
	grave, outside := 0, 0
	for _, e := range all {
		raw, err := os.ReadFile(filepath.Join(dir, "files", e.file))
		if err != nil {
			t.Fatal(err)
		}
		found := map[iac.Slug][]int{}
		var report []string
		for _, f := range iac.Examine(e.file, raw, iac.Target{}) {
			found[f.Slug] = append(found[f.Slug], f.Line)
			if !f.Severity.AtLeast(rekey.Warning) {
				continue
			}
			grave++
			if !slices.Contains(slices.Concat(mapValues(e.lines)...), f.Line) {
				outside++
				if tallies[f.Slug] == nil {
					tallies[f.Slug] = &tally{}
				}
				tallies[f.Slug].outside++
				report = append(report, fmt.Sprintf("extra %s@%d (%s)", f.Slug, f.Line, f.Evidence))
				if e.verdict == "must-not-flag" {
					t.Errorf("%s:%d: %s %s, want nothing in this file", e.file, f.Line, f.Severity, f.Slug)
				}
			}
		}
		hits, expected := 0, 0
		for slug, lines := range e.lines {
			for _, line := range lines {
				expected++
				tallies[slug].expected++
				if slices.Contains(found[slug], line) {
					hits++
					tallies[slug].hit++
				} else {
					report = append(report, fmt.Sprintf("missed %s@%d", slug, line))
					t.Errorf("%s:%d: no %s, want one", e.file, line, slug)
				}
			}
		}
		t.Logf("%-14s %d of %d expected %s %s", e.verdict, hits, expected, e.file, strings.Join(report, ", "))
	}
	slugs := make([]iac.Slug, 0, len(tallies))
	for slug := range tallies {
		slugs = append(slugs, slug)
	}
	slices.SortFunc(slugs, func(a, b iac.Slug) int { return cmp.Compare(a, b) })
	for _, slug := range slugs {
		c := tallies[slug]
		t.Logf("%-36s recall %s  precision %s  (%d expected, %d found there, %d elsewhere)", slug, percent(c.hit, c.expected), percent(c.hit, c.hit+c.outside), c.expected, c.hit, c.outside)
	}
	t.Logf("%d findings of warning or above, %d outside the expected lines (%s)", grave, outside, percent(outside, grave))
	if outside*20 > grave {
		t.Errorf("%d of %d findings of warning or above stand outside the expected lines, want at most 5 %%", outside, grave)
	}
}

func percent(n, of int) string {
	if of == 0 {
		return "  -  "
	}
	return fmt.Sprintf("%4.0f%%", 100*float64(n)/float64(of))
}

func mapValues(m map[iac.Slug][]int) [][]int {
	var all [][]int
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
