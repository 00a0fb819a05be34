package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lanesOfDemos demonstrations run at once: most of each is waiting for polls.
const lanesOfDemos = 4

// TestDemoSeeds runs the demonstration, which compares by itself what doctor and
// fix say with what it planted, and ends with 0 only when all is as promised.
func TestDemoSeeds(t *testing.T) {
	t.Parallel()
	seeds := 20
	if testing.Short() {
		seeds = 3
	}
	for lane := range lanesOfDemos {
		t.Run("lane "+strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			for seed := lane + 1; seed <= seeds; seed += lanesOfDemos {
				demonstrate(t, seed)
			}
		})
	}
}

func demonstrate(t *testing.T, seed int) {
	home, begin := t.TempDir(), time.Now()
	demonstrated := mortal
	if seed <= lanesOfDemos { // races are looked for in these
		demonstrated = binary
	}
	e := execute(t, demonstrated, []string{"HOME=" + home, "TMPDIR=" + home}, "", "lab", "demo", "--seed", strconv.Itoa(seed))
	took := time.Since(begin).Round(100 * time.Millisecond)
	if e.code != 0 {
		t.Fatalf("seed %d: %v", seed, e)
	}
	fmt.Printf("demo seed %2d: %s (%s)\n", seed, polling(e.stdout), took)
}

// polling returns the line of the demonstration that says what was planted.
func polling(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "runner hosts are polling") {
			return strings.TrimSpace(line)
		}
	}
	return "it did not say what it planted"
}
