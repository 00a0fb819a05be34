package main_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2EOverlap rotates 100 sections of unmodified gitlab-runners under load. Older
// ones send no system id, so that who uses a record cannot be told, and rotate
// leaves it alone.
func TestE2EOverlap(t *testing.T) {
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(15, 8) {
			continue
		}
		t.Run(e2eName(r, "18.8"), func(t *testing.T) {
			w := newLoad(t, 98, 3, 10, 4*time.Second) // one of the records is held by three sections
			w.host = func(ctx context.Context, config string) { r.serve(ctx, t, config) }
			w.throughout("gitlab-runner " + r.version.String())
		})
	}
}

// serve is `gitlab-runner run` until ctx ends.
func (r e2eRunner) serve(ctx context.Context, t *testing.T, config string) {
	cmd := exec.CommandContext(ctx, r.path, "run", "--config", config, "--working-directory", filepath.Dir(config))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	if n := strings.Count(out.String(), "forbidden"); n > 0 {
		t.Errorf("%s was refused %d times:\n%s", filepath.Base(r.path), n, out.Bytes()[:min(out.Len(), 4000)])
	}
}
