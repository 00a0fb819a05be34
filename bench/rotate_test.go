package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

const rotated = 1_000

// BenchmarkRotateInPlace lets the real binary reset the tokens of one config's
// sections, plan and proof included, against a lab in this process.
func BenchmarkRotateInPlace(b *testing.B) {
	for b.Loop() {
		l := labtest.Start(b, labtest.Options{Version: "18.7"})
		config := writeConfig(b, l, rotated)
		state := filepath.Join(b.TempDir(), "state")
		cmd := exec.Command(binary(b), "rotate", "--due", "--max-age", "1h", "--yes", "--strategy", "in-place", "--config", config, "--state-dir", state,
			"--rps", "0", "--proof-wait", "0s", "--recheck-after", "0s")
		cmd.Env = append(os.Environ(), "GITLAB_HOST="+l.URL, "GITLAB_TOKEN="+l.Admin)
		var out bytes.Buffer
		cmd.Stdout = &out
		began := time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatalf("rotate: %v\n%s", err, out.Bytes()[:min(out.Len(), 3000)])
		}
		took := time.Since(began)
		if n := bytes.Count(out.Bytes(), []byte("✔")); n != rotated {
			b.Fatalf("%d rotations ended well, want %d", n, rotated)
		}
		b.ReportMetric(rotated/took.Seconds(), "rotations/s")
		b.ReportMetric(float64(maxRSS(cmd.ProcessState))/1024, "MB")
		fmt.Fprintf(os.Stderr, "%d in-place rotations in %s\n", rotated, took.Round(time.Millisecond))
	}
}
