package bench

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/internal/iac"
)

// auditTree names the tree that is searched; without it the Go module cache is.
const auditTree = "REKEY_BENCH_TREE"

// gitleaksPath names a gitleaks, which is then measured too. Its rules for GitLab
// are the ones that it has by itself.
const gitleaksPath = "GITLEAKS"

var gitleaksRules = []string{"gitlab-pat", "gitlab-runner-authentication-token", "gitlab-runner-authentication-token-routable", "gitlab-rrt", "gitlab-ptt", "gitlab-cicd-job-token", "gitlab-deploy-token"}

// BenchmarkAudit measures `rekey audit` beside ripgrep with the same literals, turn
// by turn on the same files with a warm cache, and beside gitleaks where one is
// named. The ratio is the median of the rounds.
func BenchmarkAudit(b *testing.B) {
	tree, rekey := searchTree(b), binary(b)
	rg, err := exec.LookPath("rg")
	if err != nil {
		b.Skip("ripgrep (rg) is not on PATH")
	}
	literals := filepath.Join(b.TempDir(), "literals")
	if err := os.WriteFile(literals, []byte(strings.Join(iac.Literals(), "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	files, size := measureTree(b, tree)
	b.Logf("%s: %d files, %d MB", tree, files, size>>20)
	search := []string{rg, "-uu", "--no-messages", "--files-with-matches", "--fixed-strings", "--file", literals, tree}
	audit := []string{rekey, "audit", "--no-ignore", "-o", "json", tree}
	timed(b, search) // warms the cache
	for b.Loop() {
		var ratios []float64
		var ours, theirs, oursCPU time.Duration
		var peak int64
		for range 5 {
			t := timed(b, search)
			o := timed(b, audit)
			ratios = append(ratios, o.wall.Seconds()/t.wall.Seconds())
			ours, theirs, oursCPU, peak = ours+o.wall, theirs+t.wall, oursCPU+o.cpu, max(peak, o.peak)
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "×ripgrep")
		b.ReportMetric(ours.Seconds()/5, "s/audit")
		b.ReportMetric(theirs.Seconds()/5, "s/ripgrep")
		b.ReportMetric(float64(peak>>10), "MB")
		if gitleaks := os.Getenv(gitleaksPath); gitleaks != "" {
			args := []string{gitleaks, "dir", "--no-banner", "--exit-code", "0", "--log-level", "error"}
			for _, rule := range gitleaksRules {
				args = append(args, "--enable-rule", rule)
			}
			t := timed(b, append(args, tree))
			b.ReportMetric(t.wall.Seconds(), "s/gitleaks")
			b.ReportMetric(t.wall.Seconds()/(ours.Seconds()/5), "×faster-than-gitleaks")
			b.ReportMetric(t.cpu.Seconds()/(oursCPU.Seconds()/5), "×less-CPU-than-gitleaks")
		}
	}
}

func searchTree(b *testing.B) string {
	b.Helper()
	if tree := os.Getenv(auditTree); tree != "" {
		return tree
	}
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		b.Skipf("no module cache: %v", err)
	}
	return string(bytes.TrimSpace(out))
}

func measureTree(b *testing.B, tree string) (files int, size int64) {
	b.Helper()
	err := filepath.WalkDir(tree, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files, size = files+1, size+info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return files, size
}

// spent is what one run of a command took. Its processor time says the same on an
// idle machine and beside other work; its peak is in KiB.
type spent struct {
	wall, cpu time.Duration
	peak      int64
}

// timed runs a command. Status 1 of ripgrep and 3 of rekey are answers.
func timed(b *testing.B, args []string) spent {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if code := cmd.ProcessState.ExitCode(); err != nil && code != 1 && code != 3 {
		b.Fatalf("%s: %v: %s", fmt.Sprint(args[:2]), err, &complaint)
	}
	return spent{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), maxRSS(cmd.ProcessState)}
}
