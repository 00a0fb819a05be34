package gitlab

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// slowest is the rate in requests per second below which 429s do not push.
const slowest = 0.5

// Budget paces all requests to one GitLab. It adapts to what the server says:
// RateLimit-Remaining and RateLimit-Reset spread the rest of a window,
// Retry-After and 429 stop everybody, and the rate recovers with each answer.
// It is safe for concurrent use.
type Budget struct {
	now        func() time.Time
	configured rate.Limit

	mu      sync.Mutex
	limiter *rate.Limiter
	paused  time.Time // no request before
	strikes int       // 429s in a row, for those that do not say how long
	started time.Time // of the first request
	done    int64
}

// NewBudget allows rps requests per second, 0 for no limit of our own. now is
// the clock of pauses and estimates.
func NewBudget(rps float64, now func() time.Time) *Budget {
	limit := rate.Inf
	if rps > 0 {
		limit = rate.Limit(rps)
	}
	return &Budget{now: now, configured: limit, limiter: rate.NewLimiter(limit, burst(limit))}
}

// burst lets a tenth of a second's worth go at once.
func burst(limit rate.Limit) int {
	if limit == rate.Inf {
		return 1
	}
	return max(1, int(limit/10))
}

// PausedError says that GitLab asked for a pause that does not fit the caller's
// deadline; nothing was sent.
type PausedError struct{ For time.Duration }

// Error names the pause.
func (e *PausedError) Error() string {
	return fmt.Sprintf("GitLab asks to wait %s, longer than the time given", e.For.Round(time.Second))
}

// Wait blocks until a request may be sent. It fails at once with *PausedError
// when a pause does not fit ctx's deadline, with context.DeadlineExceeded when
// our own pace does not, and with ctx's error when it ends.
func (b *Budget) Wait(ctx context.Context) error {
	for {
		pause := b.pause()
		if pause <= 0 {
			break
		}
		if deadline, ok := ctx.Deadline(); ok && deadline.Sub(b.now()) < pause {
			return &PausedError{For: pause}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	b.mu.Lock()
	limiter := b.limiter
	b.mu.Unlock()
	if err := limiter.Wait(ctx); err != nil {
		return cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done == 0 {
		b.started = b.now()
	}
	b.done++
	return nil
}

func (b *Budget) pause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused.Sub(b.now())
}

// Observe takes an answer's status and headers into account and returns the
// pause that a 429 asks for, else 0.
func (b *Budget) Observe(status int, header http.Header) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if status == http.StatusTooManyRequests {
		return b.strike(now, header)
	}
	b.strikes = 0
	if left, reset, ok := window(header, now); ok && reset > 0 {
		b.spread(now, left, reset)
		return 0
	}
	b.recover()
	return 0
}

// strike stops everybody, and halves the rate once per pause: the other
// requests in flight meet the same wall and must not halve it again.
func (b *Budget) strike(now time.Time, header http.Header) time.Duration {
	wait, told := retryAfter(header, now)
	if !told {
		wait = min(time.Second<<min(b.strikes, 6), time.Minute)
	}
	if b.paused.Before(now) {
		b.strikes++
		current := b.limiter.Limit()
		if current == rate.Inf {
			current = b.observed(now)
		}
		b.setLimit(now, max(slowest, current/2))
	}
	if until := now.Add(wait); until.After(b.paused) {
		b.paused = until
	}
	return wait
}

// spread makes what is left of a window last until its reset; a tenth is kept
// for others who share it.
func (b *Budget) spread(now time.Time, left float64, reset time.Duration) {
	if left < 1 {
		if until := now.Add(reset); until.After(b.paused) {
			b.paused = until
		}
		return
	}
	b.setLimit(now, min(b.configured, max(slowest, rate.Limit(0.9*left/reset.Seconds()))))
}

// recover grows the rate by a twentieth up to what was configured.
func (b *Budget) recover() {
	current := b.limiter.Limit()
	if current == b.configured {
		return
	}
	grown := current * 1.05
	if grown >= b.configured || grown > 5000 {
		grown = b.configured
	}
	b.setLimit(b.now(), grown)
}

func (b *Budget) setLimit(now time.Time, limit rate.Limit) {
	if limit == b.limiter.Limit() {
		return
	}
	if b.limiter.Limit() == rate.Inf {
		b.limiter = rate.NewLimiter(limit, burst(limit))
		return
	}
	b.limiter.SetLimitAt(now, limit)
	b.limiter.SetBurstAt(now, burst(limit))
}

// observed is the rate so far, requests per second.
func (b *Budget) observed(now time.Time) rate.Limit {
	elapsed := now.Sub(b.started).Seconds()
	if b.done == 0 || elapsed <= 0 {
		return rate.Limit(max(1, b.done))
	}
	return rate.Limit(float64(b.done) / max(elapsed, 1))
}

// Done returns how many requests were let through.
func (b *Budget) Done() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// ETA estimates how long remaining more requests take, pauses included; 0 when
// nothing was sent yet and no rate is set.
func (b *Budget) ETA(remaining int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if remaining <= 0 {
		return 0
	}
	now := b.now()
	perSecond := float64(b.limiter.Limit())
	if elapsed := now.Sub(b.started).Seconds(); b.done > 1 && elapsed > 0 {
		perSecond = min(perSecond, float64(b.done)/elapsed)
	}
	estimate := max(0, b.paused.Sub(now))
	if b.limiter.Limit() != rate.Inf || b.done > 1 {
		estimate += time.Duration(float64(remaining) / perSecond * float64(time.Second))
	}
	return estimate
}

// Budgets holds one Budget per GitLab, whoever asks. It is safe for concurrent
// use; a nil Budgets is not.
type Budgets struct {
	rps float64
	now func() time.Time

	mu sync.Mutex
	of map[string]*Budget
}

// NewBudgets gives each GitLab rps requests per second, 0 for no limit.
func NewBudgets(rps float64, now func() time.Time) *Budgets {
	return &Budgets{rps: rps, now: now, of: map[string]*Budget{}}
}

// For returns the budget of the GitLab at base, the same one for every spelling
// of its URL.
func (b *Budgets) For(base string) *Budget {
	key := serverKey(base)
	if key == "" {
		key = base
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[key] == nil {
		b.of[key] = NewBudget(b.rps, b.now)
	}
	return b.of[key]
}

// Done sums the requests let through to all GitLabs.
func (b *Budgets) Done() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sum int64
	for _, budget := range b.of {
		sum += budget.Done()
	}
	return sum
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
