package ssh_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/durable"
	"rekey/internal/host/ssh/sshtest"
)

// A copy that cannot be removed may hold a token: it is told of, and nothing goes on.
func TestTellsOfACopyThatStays(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	config := write(t, filepath.Join(t.TempDir(), "config.toml"), after)
	stale := write(t, filepath.Join(filepath.Dir(config), durable.SwapName("config.toml", []byte(before), []byte(after))), before)
	s.Tool(t, "rm", `echo "rm: cannot remove: Operation not permitted" >&2; exit 1`)
	h := change(t, s)
	defer h.Close()
	if _, err := h.Lock(config); rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(err.Error(), stale) || !strings.Contains(rekey.HintOf(err), "rm ") {
		t.Errorf("got %v (%s), want the copy named, and what removes it", err, rekey.HintOf(err))
	}
	s.Tool(t, "rm", `exec /bin/rm "$@"`)
	locked(t, h, config)
	holds(t, config, after)
}
