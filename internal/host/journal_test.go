package host

import (
	"context"
	"io"
	"strings"
	"testing"
)

// TestJournalIsBoundedByItsContext holds that neither a missing journalctl nor one
// that is stopped keeps the caller waiting.
func TestJournalIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	in, err := Host{}.Journal(ctx)
	if err != nil {
		if !strings.Contains(err.Error(), "journalctl") {
			t.Errorf("got %v, want journalctl named", err)
		}
		return
	}
	_, _ = io.Copy(io.Discard, in)
	if err := in.Close(); err == nil || !strings.Contains(err.Error(), "journalctl") {
		t.Errorf("a journal that was broken off: got %v, want an error that names journalctl", err)
	}
}
