package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asPeer makes this test binary the peer of the poll benchmark: a process of its
// own, as the lab is.
const asPeer = "REKEY_BENCH_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(asPeer) != "" {
		fmt.Fprintln(os.Stderr, servePeer())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// servePeer is the bare handler: it decodes the body of POST /jobs/request into
// the three fields that matter and answers that there is no job. It ends with its
// parent, whose pipe it reads.
func servePeer() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var poll struct {
			Token      string `json:"token"`
			SystemID   string `json:"system_id"`
			LastUpdate string `json:"last_update"`
		}
		if json.NewDecoder(r.Body).Decode(&poll) != nil || poll.Token == "" || poll.SystemID == "" || poll.LastUpdate == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("X-GitLab-Last-Update", poll.LastUpdate)
		w.WriteHeader(http.StatusNoContent)
	}))
}

// startPeer returns the address of a bare handler that lives until the benchmark ends.
func startPeer(b *testing.B) string {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asPeer+"=1")
	held, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = held.Close(); _ = cmd.Wait() })
	address, err := newLineReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("the peer said no address: %v", err)
	}
	return strings.TrimSpace(address)
}

// labProcess is a `rekey lab up` of its own, so that its memory is its own.
type labProcess struct {
	URL      string            `json:"url"`
	Admin    string            `json:"admin_token"`
	Register map[string]string `json:"registration_tokens"`
	PID      int               `json:"pid"`
}

// startLab serves a fresh lab until the benchmark ends. Registration tokens work.
func startLab(b *testing.B) *labProcess {
	dir := filepath.Join(b.TempDir(), "lab")
	cmd := exec.Command(binary(b), "lab", "up", "--data", dir, "--listen", "127.0.0.1:0", "--gitlab-version", "17.11", "--profile", "self-managed")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("lab up: %v: %s", err, said.String())
		}
	})
	if _, err := newLineReader(out).ReadString('\n'); err != nil {
		b.Fatalf("lab up: %v: %s", err, said.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	l := &labProcess{}
	if err := errors.Join(err, json.Unmarshal(text, l)); err != nil || l.URL == "" {
		b.Fatalf("lab.json: %v: %q", err, text)
	}
	l.PID = cmd.Process.Pid
	return l
}

// binary builds rekey as `make build` does, once.
func binary(b *testing.B) string {
	path, err := built()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rekey")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "rekey/cmd/rekey")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// resident is the memory of a running process in MB, now and at its peak, as
// Linux shows it; zeros elsewhere.
func resident(b *testing.B, pid int) (now, peak float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0
	}
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			now = kb / 1024
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			peak = kb / 1024
		}
	}
	return now, peak
}

// percentile of the sorted durations.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
