package secretstoretest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rekey/internal/testport"
)

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := testport.Free()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// program runs a server until the test ends, and waits until url answers that it is well.
func program(t *testing.T, url, path string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	if err := answering(t.Context(), url); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%s: %v\n%s", path, err, said[max(0, len(said)-2000):])
	}
}

func answering(ctx context.Context, url string) error {
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a server of the test's own
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s", url)
		case <-tick.C:
		}
	}
}

// missing skips a test for the lack of a real product, and says so.
func missing(t *testing.T, what, how string) {
	t.Helper()
	t.Skipf("NOT TRIED AGAINST %s: %s", what, how)
}

// Moto starts the emulator of AWS and returns its address. MOTO_SERVER names the
// program, else it is looked for on PATH.
func Moto(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MOTO_SERVER")
	if path == "" {
		path, _ = exec.LookPath("moto_server")
	}
	if path == "" {
		missing(t, "Secrets Manager", "install moto's server (Debian: python3-moto) or name it in MOTO_SERVER")
	}
	port := freePort(t)
	url := "http://127.0.0.1:" + port
	program(t, url+"/moto-api/", path, "-H", "127.0.0.1", "-p", port)
	return url
}
