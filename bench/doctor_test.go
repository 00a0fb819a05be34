// Package bench measures rekey beside its peers, in one run on one machine, and
// reports ratios. It owns no code of the product and asserts no time.
package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

const (
	sections = 10_000
	latency  = 20 * time.Millisecond
)

// BenchmarkDoctor lets rekey doctor and gitlab-runner verify check the same file
// against the same server, 20 ms away. GITLAB_RUNNER names the peer.
func BenchmarkDoctor(b *testing.B) {
	for _, version := range []string{"17.11", "18.7"} {
		b.Run("lab-"+version, func(b *testing.B) { doctor(b, version) })
	}
}

func doctor(b *testing.B, version string) {
	l := labtest.Start(b, labtest.Options{Version: version, Fault: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(latency): // the distance
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	}})
	config := writeConfig(b, l, sections)
	for b.Loop() {
		took, rss := checked(b, config, sections, 0)
		b.ReportMetric(took.Seconds(), "doctor-s")
		b.ReportMetric(float64(rss)/1024, "doctor-MB")
		peer := os.Getenv("GITLAB_RUNNER")
		if peer == "" {
			b.Log("no gitlab-runner in GITLAB_RUNNER: no ratio")
			continue
		}
		peer = strings.Fields(peer)[0]
		began := time.Now()
		if out, err := exec.Command(peer, "verify", "--config", config).CombinedOutput(); err != nil {
			b.Fatalf("verify: %v: %s", err, out[:min(len(out), 500)])
		}
		verify := time.Since(began)
		b.ReportMetric(verify.Seconds(), "verify-s")
		b.ReportMetric(float64(verify)/float64(took), "times-faster")
	}
}

// checked runs doctor with a budget of rps requests a second, 0 for none, and
// returns how long it took and its peak memory in KiB.
func checked(b *testing.B, config string, sections, rps int) (time.Duration, int64) {
	cmd := exec.Command(binary(b), "doctor", "--config", config, "--rps", strconv.Itoa(rps), "-o", "json")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("doctor: %v", err)
	}
	took := time.Since(began)
	var report struct{ Summary struct{ Valid int } }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Summary.Valid != sections {
		b.Fatalf("doctor: %v, %d valid sections, want %d", err, report.Summary.Valid, sections)
	}
	return took, maxRSS(cmd.ProcessState)
}

// writeConfig makes one record per section, so that no answer is like another.
func writeConfig(b *testing.B, l *labtest.Lab, sections int) string {
	var text strings.Builder
	text.WriteString("concurrent = 1\ncheck_interval = 0\n")
	type issued struct {
		ID    int64
		Token string
	}
	made := make([]issued, sections)
	slots := make(chan struct{}, 64)
	errs := make(chan error, sections)
	for i := range made {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			a := l.Call(http.MethodPost, "user/runners", l.Admin, map[string]any{"runner_type": "instance_type"})
			errs <- json.Unmarshal([]byte(a.Body), &made[i])
		}()
	}
	for range made {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	for i, r := range made {
		fmt.Fprintf(&text, "\n[[runners]]\n  name = \"r%d\"\n  url = %q\n  id = %d\n  token = %q\n  token_obtained_at = 2026-01-01T00:00:00Z\n  token_expires_at = 0001-01-01T00:00:00Z\n  executor = \"shell\"\n", i, l.URL, r.ID, r.Token)
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".runner_system_id"), []byte("r_0123456789ab"), 0o600); err != nil {
		b.Fatal(err)
	}
	return config
}
