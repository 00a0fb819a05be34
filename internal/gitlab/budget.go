package gitlab

import (
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

	turn chan struct{} // held by the one in front of the queue

	mu       sync.Mutex
	limit    rate.Limit
	next     time.Time // when the next place in the pace is
	paused   time.Time // no request before
	server   time.Time // the last Date of the server's, read at serverAt
	serverAt time.Time
	strikes  int       // 429s in a row, for those that do not say how long
	started  time.Time // of the first request
	done     int64
}

// NewBudget allows rps requests per second, 0 for no limit of our own. now is
// the clock of pauses and estimates.
func NewBudget(rps float64, now func() time.Time) *Budget {
	limit := rate.Inf
	if rps > 0 {
		limit = rate.Limit(rps)
	}
	return &Budget{now: now, configured: limit, limit: limit, turn: make(chan struct{}, 1)}
}

// catchUp is how late a request may come and still have its place in the pace, so
// that a busy machine loses nothing; what was not used for longer is gone.
const catchUp = 100 * time.Millisecond

// PausedError says that GitLab asked for a pause that does not fit the caller's
// deadline; nothing was sent.
type PausedError struct{ For time.Duration }

// Error names the pause.
func (e *PausedError) Error() string {
	return fmt.Sprintf("GitLab asks to wait %s, longer than the time given", e.For.Round(time.Second))
}

// Bound bounds a wait for GitLab: it returns a context that ends when GitLab has
// been silent for too long, and what to call when the wait is over. Waiting for
// our own pace is never under it. A nil Bound bounds nothing.
type Bound func(context.Context) (context.Context, context.CancelFunc)

func (b Bound) of(ctx context.Context) (context.Context, context.CancelFunc) {
	if b == nil {
		return ctx, func() {}
	}
	return b(ctx)
}

// over is bound's error when nothing is left of it: nobody should queue for a
// GitLab that was given up.
func (b Bound) over(ctx context.Context) error {
	ctx, stop := b.of(ctx)
	defer stop()
	return ctx.Err()
}

// within is a Bound of d in all, over however many waits; 0 bounds nothing.
func within(d time.Duration, now func() time.Time) Bound {
	if d <= 0 {
		return nil
	}
	left := d
	return func(ctx context.Context) (context.Context, context.CancelFunc) {
		began := now()
		ctx, cancel := context.WithTimeout(ctx, left)
		return ctx, sync.OnceFunc(func() { cancel(); left -= now().Sub(began) })
	}
}

// Wait blocks until a request may be sent. It fails at once with *PausedError
// when a pause that GitLab asked for does not fit bound, with
// with ctx's error, or bound's, when that ended before it would have its turn.
func (b *Budget) Wait(ctx context.Context, bound Bound) error {
	for {
		if err := bound.over(ctx); err != nil {
			return err
		}
		if err := b.sitOut(ctx, bound); err != nil {
			return err
		}
		if err := b.queue(ctx); err != nil {
			return err
		}
		if b.enter() {
			return nil
		}
	}
}

// sitOut waits for the pause that GitLab asked for.
func (b *Budget) sitOut(ctx context.Context, bound Bound) error {
	pause := b.pause()
	if pause <= 0 {
		return nil
	}
	ctx, stop := bound.of(ctx)
	defer stop()
	for ; pause > 0; pause = b.pause() {
		if deadline, ok := ctx.Deadline(); ok && deadline.Sub(b.now()) < pause {
			return &PausedError{For: pause}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// queue waits for a place in our own pace. Only the one in front looks at the
// clock: a rate that changed meanwhile holds for all behind it.
func (b *Budget) queue(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	for {
		wait := b.place()
		if wait <= 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// place takes the next place when its time has come, else says how long it is
// until then.
func (b *Budget) place() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.limit == rate.Inf {
		return 0
	}
	if b.next.IsZero() {
		b.next = now
	}
	if b.next.After(now) {
		return b.next.Sub(now)
	}
	if late := now.Add(-catchUp); b.next.Before(late) {
		b.next = late
	}
	b.next = b.next.Add(time.Duration(float64(time.Second) / float64(b.limit)))
	return 0
}

// enter counts a request, unless a pause began while it waited for its turn.
func (b *Budget) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paused.After(b.now()) {
		return false
	}
	if b.done == 0 {
		b.started = b.now()
	}
	b.done++
	return true
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
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		b.server, b.serverAt = date, now
	}
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
		if b.limit == rate.Inf {
			b.limit = b.observed(now)
		}
		b.limit = max(slowest, b.limit/2)
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
	b.limit = min(b.configured, max(slowest, rate.Limit(0.9*left/reset.Seconds())))
}

// recover grows the rate by a twentieth up to what was configured.
func (b *Budget) recover() {
	b.limit *= 1.05
	if b.limit >= b.configured || b.limit > 5000 {
		b.limit = b.configured
	}
}

// observed is the rate so far, requests per second.
func (b *Budget) observed(now time.Time) rate.Limit {
	elapsed := now.Sub(b.started).Seconds()
	if b.done == 0 || elapsed <= 0 {
		return rate.Limit(max(1, b.done))
	}
	return rate.Limit(float64(b.done) / max(elapsed, 1))
}

// Clock returns the server's last Date and the local time when it came; both zero
// when none was read yet.
func (b *Budget) Clock() (server, read time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server, b.serverAt
}

// Rate is how many requests a second are allowed now; 0 for no limit.
func (b *Budget) Rate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit == rate.Inf {
		return 0
	}
	return float64(b.limit)
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
	perSecond := float64(b.limit)
	if elapsed := now.Sub(b.started).Seconds(); b.done > 1 && elapsed > 0 {
		perSecond = min(perSecond, float64(b.done)/elapsed)
	}
	estimate := max(0, b.paused.Sub(now))
	if b.limit != rate.Inf || b.done > 1 {
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

// Pause is how long the GitLab that asks for most wants to be left alone from now
// on; 0 when none does.
func (b *Budgets) Pause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var longest time.Duration
	for _, budget := range b.of {
		longest = max(longest, budget.pause())
	}
	return longest
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
