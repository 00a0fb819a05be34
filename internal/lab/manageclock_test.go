package lab_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rekey/internal/lab"
)

// TestClockAdvance: expiry, status, contact times and the Date header move without
// waiting, over a restart too.
func TestClockAdvance(t *testing.T) {
	t.Parallel()
	r := startRehearsal(t, t.TempDir(), "18.11", "")
	r.must(200, "PUT", "/api/v4/application/settings", m{"runner_token_expiration_interval": 4 * 24 * 3600}, nil)
	expiring := r.create()
	r.must(200, "PUT", "/api/v4/application/settings", m{"runner_token_expiration_interval": nil}, nil)
	lasting := r.create()
	start := r.clock.Now()
	look := func() (string, time.Time, time.Time) {
		t.Helper()
		var shown struct {
			Status      string
			ContactedAt time.Time `json:"contacted_at"`
		}
		header := r.must(200, "GET", fmt.Sprintf("/api/v4/runners/%d", lasting.ID), nil, &shown)
		date, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			t.Fatal(err)
		}
		return shown.Status, shown.ContactedAt, date
	}
	want := func(what, status string, contacted, date time.Duration) {
		t.Helper()
		s, c, d := look()
		if s != status || !c.Equal(start.Add(contacted)) || !d.Equal(start.Add(date)) {
			t.Errorf("%s: got %s, contact %s, date %s after the start; want %s, %s, %s", what, s, c.Sub(start), d.Sub(start), status, contacted, date)
		}
	}
	removed := int64(0)
	advance := func(by, offset string) {
		t.Helper()
		var now lab.Advanced
		r.must(200, "POST", "/-/rekey-lab/clock/advance", m{"by": by}, &now)
		removed += now.Removed.Managers
		if now.Offset != offset {
			t.Errorf("advance by %s: got offset %s, want %s", by, now.Offset, offset)
		}
	}
	r.wantVerify("expiring", expiring.Token, 200)
	r.wantVerify("lasting", lasting.Token, 200)
	want("at first", "online", 0, 0)
	advance("3h", "3h0m0s")
	want("after 3 h", "offline", 0, 3*time.Hour)
	advance("5d", "123h0m0s")
	r.wantVerify("expired", expiring.Token, 403)
	r.wantVerify("lasting", lasting.Token, 200)
	want("after a contact", "online", 123*time.Hour, 123*time.Hour)
	r.stop()
	r = startRehearsal(t, r.dir, "", "")
	want("after a restart", "online", 123*time.Hour, 123*time.Hour)
	advance("1w", "291h0m0s")
	want("after a week", "stale", 123*time.Hour, 291*time.Hour)
	if removed != 2 {
		t.Errorf("stale managers removed: got %d, want 2: the one of each runner", removed)
	}
	var now lab.ClockState
	r.must(200, "DELETE", "/-/rekey-lab/clock", nil, &now)
	if now.Offset != "0s" || !now.Now.Equal(start) {
		t.Errorf("reset: got %+v", now)
	}
	r.wantVerify("no longer expired", expiring.Token, 200)
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5d": 120 * time.Hour, "1d12h": 36 * time.Hour, "2w": 336 * time.Hour, "1w1d1h": 193 * time.Hour, "90m": 90 * time.Minute, "0s": 0,
	} {
		if got, err := lab.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-5d", "5", "1h5d", "1.5d", "5days", "65536d", "-1h", "5d-1h", " 5d"} {
		if got, err := lab.ParseDuration(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}
