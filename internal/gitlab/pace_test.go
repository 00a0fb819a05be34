package gitlab

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// paced lets workers send count requests, each of which takes latency, and returns
// the moments at which they were sent.
func paced(t *testing.T, b *Budget, workers, count int, latency time.Duration, answer func(n int) (int, http.Header)) []time.Duration {
	t.Helper()
	var (
		mu   sync.Mutex
		sent []time.Duration
		next atomic.Int64
		wait sync.WaitGroup
	)
	began := time.Now()
	for range workers {
		wait.Go(func() {
			for int(next.Add(1)) <= count {
				if err := b.Wait(t.Context(), nil); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				sent = append(sent, time.Since(began))
				n := len(sent)
				mu.Unlock()
				_ = sleep(t.Context(), latency) // the bubble's clock
				b.Observe(answer(n))
			}
		})
	}
	wait.Wait()
	return sent
}

func fine(int) (int, http.Header) { return http.StatusOK, http.Header{} }

// TestTheBudgetIsSaturatedAndNotExceeded: over any prefix of the run no more than
// the budget is sent, and over the whole run not less than 95 % of it.
func TestTheBudgetIsSaturatedAndNotExceeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rps     float64
		count   int
		latency time.Duration
	}{{0.5, 20, 3 * time.Second}, {1, 60, 20 * time.Millisecond}, {10, 600, 300 * time.Millisecond}, {200, 2000, 20 * time.Millisecond}, {1000, 5000, 20 * time.Millisecond}} {
		t.Run(strconv.FormatFloat(c.rps, 'g', -1, 64), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sent := paced(t, NewBudget(c.rps, time.Now), 128, c.count, c.latency, fine)
				for i, at := range sent {
					if allowed := 1 + c.rps*(at+time.Microsecond).Seconds(); float64(i+1) > allowed+1e-6 {
						t.Fatalf("%d requests within %s, want at most %.2f at %g a second", i+1, at, allowed, c.rps)
					}
				}
				took := sent[len(sent)-1].Seconds()
				if achieved := float64(c.count-1) / took; achieved < 0.95*c.rps {
					t.Errorf("%.2f requests a second over %d, want at least 95 %% of %g", achieved, c.count, c.rps)
				}
			})
		})
	}
}

// TestOurOwnPaceIsNotGitLabsSilence: a question that waits for its turn longer than
// GitLab may be silent is asked all the same.
func TestOurOwnPaceIsNotGitLabsSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := NewBudget(1, time.Now), time.Now()
		var wait sync.WaitGroup
		for range 61 {
			wait.Go(func() {
				if err := b.Wait(t.Context(), within(5*time.Second, time.Now)); err != nil {
					t.Errorf("after %s: %v, want a turn", time.Since(began), err)
				}
			})
		}
		wait.Wait()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("61 requests at 1 a second took %s, want 1m", took)
		}
	})
}

// TestAGivenUpGitLabIsNotQueuedFor: nothing waits for a turn that it could not use.
func TestAGivenUpGitLabIsNotQueuedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(0.01, time.Now)
		bound := within(time.Second, time.Now)
		_, stop := bound(t.Context())
		_ = sleep(t.Context(), 2*time.Second) // GitLab's silence
		stop()
		began := time.Now()
		if err := b.Wait(t.Context(), bound); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 0 {
			t.Errorf("Wait = %v after %s, want DeadlineExceeded at once", err, time.Since(began))
		}
		if b.Done() != 0 {
			t.Errorf("%d requests were let through, want 0", b.Done())
		}
	})
}

// TestAPauseHoldsThoseWhoQueue: who waits for a turn while GitLab asks for a pause
// sits the pause out too.
func TestAPauseHoldsThoseWhoQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := paced(t, NewBudget(10, time.Now), 32, 100, 10*time.Millisecond, func(n int) (int, http.Header) {
			if n == 20 {
				return http.StatusTooManyRequests, header("Retry-After", "30")
			}
			return http.StatusOK, http.Header{}
		})
		var during int
		for _, at := range sent {
			if at > 1920*time.Millisecond && at < 31*time.Second {
				during++
			}
		}
		if during > 0 {
			t.Errorf("%d requests were sent during the pause, want none", during)
		}
		for i := range sent[:len(sent)-1] {
			if i >= 20 && sent[i+1]-sent[i] < 50*time.Millisecond {
				t.Fatalf("requests %d and %d are %s apart, want no burst after the pause", i, i+1, sent[i+1]-sent[i])
			}
		}
	})
}

// TestAWindowIsNotOverrun: a GitLab that allows 60 requests a minute is not asked a
// 61st time within one, whatever our own budget is.
func TestAWindowIsNotOverrun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu     sync.Mutex
			window int64
			used   int
			most   int
		)
		answer := func(int) (int, http.Header) {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			if w := now.Unix() / 60; w != window {
				window, used = w, 0
			}
			used++
			most = max(most, used)
			h := header("Date", now.UTC().Format(http.TimeFormat), "RateLimit-Reset", strconv.FormatInt((window+1)*60, 10),
				"RateLimit-Remaining", strconv.Itoa(max(0, 60-used)))
			if used > 60 {
				return http.StatusTooManyRequests, h
			}
			return http.StatusOK, h
		}
		began := time.Now()
		paced(t, NewBudget(50, time.Now), 8, 200, 20*time.Millisecond, answer)
		if most > 60+8 { // eight were under way before the first answer told
			t.Errorf("%d requests in one window of 60, want at most 68", most)
		}
		if took := time.Since(began); took > 6*time.Minute {
			t.Errorf("200 requests took %s, want them within six windows", took)
		}
	})
}

func TestTheLongestPauseIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudgets(10, time.Now)
		if got := b.Pause(); got != 0 {
			t.Errorf("nobody asked for a pause: %s, want 0", got)
		}
		b.For("https://a").Observe(http.StatusTooManyRequests, header("Retry-After", "7"))
		b.For("https://b").Observe(http.StatusTooManyRequests, header("Retry-After", "40"))
		_ = sleep(t.Context(), 10*time.Second)
		if got := b.Pause(); got != 30*time.Second {
			t.Errorf("Pause = %s, want the 30s that are left", got)
		}
	})
}
