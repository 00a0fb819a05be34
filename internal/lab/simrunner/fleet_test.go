package simrunner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/lab/simrunner"
)

// roll notes which system ids asked with which token.
type roll struct {
	mu   sync.Mutex
	seen map[string]map[string]int
	full chan struct{}
	want int
}

func (r *roll) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var poll struct {
		Token    string `json:"token"`
		SystemID string `json:"system_id"`
	}
	_ = json.NewDecoder(req.Body).Decode(&poll)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[poll.Token] == nil {
		r.seen[poll.Token] = map[string]int{}
	}
	r.seen[poll.Token][poll.SystemID]++
	total := 0
	for _, ids := range r.seen {
		total += len(ids)
	}
	if total == r.want {
		select {
		case <-r.full:
		default:
			close(r.full)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestFleet: every process is a manager of its own of every section, the same ones
// at the next start.
func TestFleet(t *testing.T) {
	t.Parallel()
	const count = 50
	config := filepath.Join(t.TempDir(), "config.toml")
	var before map[string]map[string]int
	for range 2 {
		r := &roll{seen: map[string]map[string]int{}, full: make(chan struct{}), want: 2 * count}
		server := httptest.NewServer(r)
		text := "concurrent = 4\ncheck_interval = 1\n"
		for _, name := range []string{"A", "B"} {
			text += fmt.Sprintf("[[runners]]\n  url = %q\n  token = \"glrt-CANARY00000000000%s\"\n  executor = \"shell\"\n", server.URL, name)
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := simrunner.NewFleet(simrunner.Options{Config: config, Now: time.Now}, count)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		select {
		case <-r.full:
		case <-ctx.Done():
			t.Fatalf("after a minute %d sections were seen", len(r.seen))
		}
		f.Drain()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		stop()
		server.Close()
		for token, ids := range r.seen {
			if len(ids) != count {
				t.Errorf("%.8s…: got %d system ids, want %d", token, len(ids), count)
			}
			for id := range ids {
				if !regexp.MustCompile(`^[rs]_[0-9a-zA-Z]{12}$`).MatchString(id) {
					t.Errorf("%q is no system id", id)
				}
				if before != nil && before[token][id] == 0 {
					t.Errorf("%q was not there at the first start", id)
				}
			}
		}
		if got := f.Stats(); got.Polls < 2*count || len(got.Sections) != 2 || got.Sections[0].Polls+got.Sections[1].Polls != got.Polls {
			t.Errorf("stats: got %+v", got)
		}
		before = r.seen
	}
}

func TestFleetCount(t *testing.T) {
	t.Parallel()
	for _, count := range []int{0, -1, simrunner.MaxFleet + 1} {
		if _, err := simrunner.NewFleet(simrunner.Options{Config: filepath.Join(t.TempDir(), "config.toml"), Now: time.Now}, count); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%d: got %v, want an invalid error", count, err)
		}
	}
}
