package gitlab

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestBudgetPaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10, time.Now)
		start := time.Now()
		var wg sync.WaitGroup
		for range 21 {
			wg.Go(func() {
				if err := b.Wait(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("21 requests at 10 a second took %s, want 2s", took)
		}
		if b.Done() != 21 {
			t.Errorf("Done() = %d, want 21", b.Done())
		}
		if got := b.ETA(100); got < 9*time.Second || got > 11*time.Second {
			t.Errorf("ETA(100) = %s, want about 10s", got)
		}
	})
}

func TestUnlimitedBudgetDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, start := NewBudget(0, time.Now), time.Now()
		for range 1000 {
			if err := b.Wait(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			b.Observe(http.StatusOK, header())
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %s, want 0", took)
		}
	})
}

func TestRetryAfterPausesEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100, time.Now)
		if got := b.Observe(http.StatusTooManyRequests, header("Retry-After", "7")); got != 7*time.Second {
			t.Errorf("Observe = %s, want 7s", got)
		}
		var paused *PausedError
		if err := b.Wait(t.Context(), within(3*time.Second, time.Now)); !errors.As(err, &paused) || paused.For != 7*time.Second {
			t.Errorf("Wait with 3s = %v, want a PausedError of 7s at once", err)
		}
		start := time.Now()
		if err := b.Wait(t.Context(), nil); err != nil || time.Since(start) != 7*time.Second {
			t.Errorf("Wait = %v after %s, want nil after 7s", err, time.Since(start))
		}
		if got, want := b.limit, rate.Limit(50); got != want {
			t.Errorf("rate after a 429 = %v, want %v", got, want)
		}
		for range 30 {
			b.Observe(http.StatusOK, header())
		}
		if got, want := b.limit, rate.Limit(100); got != want {
			t.Errorf("rate after 30 good answers = %v, want %v again", got, want)
		}
	})
}

func TestManyRefusalsOfOneWallHalveOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100, time.Now)
		for range 64 {
			b.Observe(http.StatusTooManyRequests, header("Retry-After", "5"))
		}
		if got, want := b.limit, rate.Limit(50); got != want {
			t.Errorf("rate = %v, want %v", got, want)
		}
	})
}

func TestWindowIsSpreadByTheServersClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := time.Now().Add(3 * time.Hour) // our clock is slow
		h := header("Date", server.UTC().Format(http.TimeFormat), "RateLimit-Remaining", "100",
			"RateLimit-Reset", strconv.FormatInt(server.Add(60*time.Second).Unix(), 10))
		b := NewBudget(0, time.Now)
		b.Observe(http.StatusOK, h)
		if got, want := b.limit, rate.Limit(1.5); got != want {
			t.Errorf("rate = %v, want %v: 90 of 100 over 60 s", got, want)
		}
		h.Set("RateLimit-Remaining", "0")
		b.Observe(http.StatusOK, h)
		start := time.Now()
		if err := b.Wait(t.Context(), nil); err != nil || time.Since(start) < 60*time.Second || time.Since(start) > 61*time.Second {
			t.Errorf("Wait = %v after %s, want nil after the window of 60s", err, time.Since(start))
		}
	})
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		h    http.Header
		want time.Duration
		told bool
	}{
		{header("Retry-After", "12"), 12 * time.Second, true},
		{header("Retry-After", "-3"), 0, true},
		{header("Retry-After", "99999999999999"), longestPause, true},
		{header("Retry-After", now.Add(9*time.Second).Format(http.TimeFormat)), 9 * time.Second, true},
		{header("RateLimit-ResetTime", now.Add(8*time.Second).Format(http.TimeFormat)), 8 * time.Second, true},
		{header("RateLimit-Reset", strconv.FormatInt(now.Unix()+30, 10)), 30 * time.Second, true},
		{header("Retry-After", "soon"), 0, false},
		{header(), 0, false},
	} {
		if got, told := retryAfter(c.h, now); got != c.want || told != c.told {
			t.Errorf("retryAfter(%v) = %s, %v, want %s, %v", c.h, got, told, c.want, c.told)
		}
	}
}

func TestBudgetsAreOnePerGitLab(t *testing.T) {
	t.Parallel()
	b := NewBudgets(5, time.Now)
	if b.For("https://h/ci/") != b.For("https://H:443") {
		t.Error("two spellings of one GitLab have two budgets, want one")
	}
	if b.For("https://h/a") == b.For("https://h/b") {
		t.Error("two GitLabs share a budget, want one each")
	}
}
