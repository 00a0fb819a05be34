package matrix_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey/internal/matrix"
)

// TestTheTableIsWhole: each cause is planted in two ways at least in each version in
// which it can be, healthy and two at once are there, and each cell is written.
func TestTheTableIsWhole(t *testing.T) {
	t.Parallel()
	names, ways, pairs := map[string]bool{}, map[string]map[string]int{}, 0
	for _, s := range matrix.Scenarios() {
		if names[s.Name] {
			t.Errorf("two scenarios are called %q", s.Name)
		}
		names[s.Name] = true
		if strings.Contains(s.Cause, " + ") {
			pairs++
		}
		if ways[s.Cause] == nil {
			ways[s.Cause] = map[string]int{}
		}
		for _, version := range matrix.Versions {
			for _, who := range []matrix.Who{matrix.Alone, matrix.WithToken} {
				cell, ok := s.Expected(version, who)
				if !ok {
					t.Errorf("%s, %s: nothing is written for GitLab %s %s", s.Cause, s.Name, version, who)
				}
				if _, na := cell.NotApplicable(); !na && who == matrix.WithToken {
					ways[s.Cause][version]++
				}
				wantSound(t, s, cell)
			}
		}
	}
	if len(matrix.Causes) != 28 {
		t.Errorf("got %d causes, want 28", len(matrix.Causes))
	}
	for _, cause := range append([]string{matrix.Healthy}, matrix.Causes...) {
		most := 0
		for version, n := range ways[cause] {
			most = max(most, n)
			if n == 1 {
				t.Errorf("%s is planted in one way only in GitLab %s, want two", cause, version)
			}
		}
		if most < 2 {
			t.Errorf("%s is planted in %d ways, want two", cause, most)
		}
	}
	if pairs < 2 {
		t.Errorf("got %d rows of two causes at once, want some", pairs)
	}
}

// wantSound wants of a cell that names causes that it names the planted ones, and
// no surety where it allows several.
func wantSound(t *testing.T, s matrix.Scenario, c matrix.Cell) {
	t.Helper()
	if _, na := c.NotApplicable(); na || c.Answer == "unknown" || s.Cause == matrix.Healthy {
		return
	}
	for cause := range strings.SplitSeq(s.Cause, " + ") {
		if !strings.Contains(c.Answer, cause+" ") && !strings.Contains(s.Cause, " + ") {
			t.Errorf("%s, %s: %q does not name what is planted", s.Cause, s.Name, c.Answer)
		}
	}
	if !slices.Contains([]string{"valid", "invalid", "unknown", ""}, c.Verdict) { // a job has no section, and no verdict
		t.Errorf("%s, %s: %q is no verdict", s.Cause, s.Name, c.Verdict)
	}
	if strings.Contains(c.Answer, "|") && !strings.Contains(c.Answer, "possible") {
		t.Errorf("%s, %s: %q allows several answers, none of them merely possible", s.Cause, s.Name, c.Answer)
	}
}

// TestEveryCauseHasAPage: the slugs are those of the pages.
func TestEveryCauseHasAPage(t *testing.T) {
	t.Parallel()
	for _, cause := range matrix.Causes {
		if _, err := os.Stat(filepath.Join("..", "..", "docs", "findings", cause+".md")); err != nil {
			t.Errorf("%s: %v", cause, err)
		}
	}
}
