package main_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rekey/internal/lab/labtest"
)

// systemd is a notification socket.
type systemd struct {
	mu   sync.Mutex
	said string
}

func newSystemd(t *testing.T) (*systemd, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	s := &systemd{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.said += string(buf[:n]) + "\n"
			s.mu.Unlock()
		}
	})
	t.Cleanup(func() { _ = conn.Close(); reading.Wait() })
	return s, path
}

func (s *systemd) heard(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.said, text)
}

// TestAgentAsAService: ready after its first look, a watchdog, health that turns when the
// store stays away, metrics, a look on SIGHUP, an end on SIGTERM, and no token anywhere.
func TestAgentAsAService(t *testing.T) {
	t.Parallel()
	lab := labtest.Start(t, labtest.Options{Version: "18.8"})
	notified, socket := newSystemd(t)
	h := newAgentHost(t, "", "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=3000000")
	one := labRunner(lab, "one")
	h.sections(lab.URL, one)
	h.start("--interval", "1s", "--listen", "127.0.0.1:0")
	h.until("ready", func() bool { return notified.heard("READY=1\nSTATUS=1 of 1 sections in step") })
	h.until("the watchdog is fed", func() bool { return notified.heard("WATCHDOG=1") })
	status, text := h.fetch("/healthz")
	var health struct {
		Healthy  bool
		Sections []struct{ Name, State, Ref string }
	}
	must(t, json.Unmarshal([]byte(text), &health))
	if status != http.StatusOK || !health.Healthy || len(health.Sections) != 1 || health.Sections[0].State != "in_step" || health.Sections[0].Name != "one" {
		t.Errorf("health is %d %s, want one section in step", status, text)
	}
	if got := h.secret("get", "one", ""); got != one.token {
		t.Errorf("the store holds another token than the config")
	}

	// The store's key is gone for longer than three intervals.
	key := filepath.Join(h.dir, "state", "secret")
	must(t, os.Rename(key, key+"-away"))
	h.until("unhealthy", func() bool { status, _ := h.fetch("/healthz"); return status == http.StatusServiceUnavailable })
	_, text = h.fetch("/healthz")
	if !strings.Contains(text, `"degraded"`) || !strings.Contains(text, `"why"`) {
		t.Errorf("unhealthy without a reason: %s", text)
	}
	h.until("the status is told", func() bool { return notified.heard("STATUS=0 of 1 sections in step, the store is away for 1") })
	must(t, os.Rename(key+"-away", key))
	must(t, h.cmd.Process.Signal(syscall.SIGHUP))
	h.until("healthy again", func() bool { status, _ := h.fetch("/healthz"); return status == http.StatusOK })

	_, metrics := h.fetch("/metrics")
	for _, want := range []string{`rekey_agent_sections{state="in_step"} 1`, "rekey_agent_pushed_total 1", "rekey_agent_section_in_step{config=", "# TYPE rekey_agent_store_errors_total counter"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s:\n%s", want, metrics)
		}
	}
	if code := h.kill(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM ends it with %d, want 0", code)
	}
	if !notified.heard("STOPPING=1") {
		t.Errorf("systemd was not told of the end")
	}
	agreed, err := os.ReadFile(filepath.Join(h.dir, "state", "agent", "agreed.json"))
	must(t, err)
	for name, text := range map[string]string{"log": h.logged(), "health": text, "metrics": metrics, "memory": string(agreed), "notification": notified.said} {
		if strings.Contains(text, one.token) || strings.Contains(text, one.token[5:]) {
			t.Errorf("the %s holds a token:\n%s", name, text)
		}
	}
}
