package lab

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// openTestLab opens a lab without a listener, for tests that look inside.
func openTestLab(t testing.TB, major, minor int) *Server {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Version: v(major, minor), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close lab: %v", err)
		}
	})
	return s
}

// TestTotalsEnd: above 10,000 rows a list says only whether there is a next page.
func TestTotalsEnd(t *testing.T) {
	t.Parallel()
	s := openTestLab(t, 18, 11)
	add := func(count int) {
		t.Helper()
		err := s.write(t.Context(), func(x *tx) error {
			return x.exec(`INSERT INTO runners (runner_type, active, locked, run_untagged, access_level, tags, token_digest, registration_type, creation_state, created_at, updated_at)
				WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
				SELECT 'instance_type', 1, 0, 1, 'not_protected', '[]', randomblob(16), 'authenticated_user', 'started', 0, 0 FROM n`, count)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), get, "http://lab.example/api/v4/runners/all?per_page=1", nil)
		r.Header.Set("Private-Token", s.adminToken)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	add(countLimit)
	if w := list(); w.Header().Get("X-Total") != "10000" || !strings.Contains(w.Header().Get("Link"), `rel="last"`) {
		t.Errorf("at 10,000: X-Total %q, Link %q, want both totals and last", w.Header().Get("X-Total"), w.Header().Get("Link"))
	}
	add(1)
	w := list()
	if h := w.Header(); h.Get("X-Total") != "" || h.Get("X-Total-Pages") != "" || strings.Contains(h.Get("Link"), `rel="last"`) || h.Get("X-Next-Page") != "2" {
		t.Errorf("above: got %v, want a next page and no totals", h)
	}
}
