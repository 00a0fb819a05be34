package lab

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rekey"
)

// labClock is the machine's clock and how far ahead of it the lab is.
type labClock struct {
	base  func() time.Time
	ahead atomic.Int64
}

func newLabClock(base func() time.Time, ahead time.Duration) *labClock {
	c := &labClock{base: base}
	c.ahead.Store(int64(ahead))
	return c
}

// Now is the lab's time.
func (c *labClock) Now() time.Time { return c.base().Add(c.offset()) }

func (c *labClock) offset() time.Duration { return time.Duration(c.ahead.Load()) }

// ClockState is what the management API tells of the clock.
type ClockState struct {
	Now    time.Time `json:"now"`
	Offset string    `json:"offset"` // ahead of the machine's clock, as time.Duration writes it
}

// Clock returns the lab's time.
func (r *Rehearsal) Clock() ClockState {
	return ClockState{r.clock.Now().UTC().Truncate(time.Millisecond), r.clock.offset().String()}
}

// maxAhead keeps the clock where dates have four digits.
const maxAhead = 50 * 365 * 24 * time.Hour

// Advanced is what moving the clock did.
type Advanced struct {
	ClockState
	Removed Upkept `json:"removed"`
}

// AdvanceClock moves the lab's clock ahead, and runs the cleanups that would have
// come meanwhile. It is kept over restarts and restores.
func (r *Rehearsal) AdvanceClock(ctx context.Context, by time.Duration) (Advanced, error) {
	r.change.Lock()
	defer r.change.Unlock()
	next := r.clock.offset() + by
	if by <= 0 || next > maxAhead || next < by {
		return Advanced{}, rekey.Errorf(rekey.KindInvalid, "the clock cannot be advanced by %s", by).
			WithHint("give a time above zero, 50 years ahead at most; `rekey lab clock reset` goes back to the machine's time")
	}
	if err := r.setClock(next); err != nil {
		return Advanced{}, err
	}
	s, err := r.server()
	if err != nil {
		return Advanced{}, err
	}
	removed, err := upkeepDone(ctx, s)
	return Advanced{r.Clock(), removed}, err
}

// upkeepDone repeats the periodic work, of which one run does only so much, until
// there is nothing left for it.
func upkeepDone(ctx context.Context, s *Server) (sum Upkept, err error) {
	for {
		one, err := s.Upkeep(ctx)
		sum.Managers, sum.Runners = sum.Managers+one.Managers, sum.Runners+one.Runners
		if err != nil || one == (Upkept{}) {
			return sum, err
		}
	}
}

// ResetClock goes back to the machine's clock. What was written meanwhile lies in
// the future then; restoring a snapshot from before takes it away.
func (r *Rehearsal) ResetClock(ctx context.Context) (ClockState, error) {
	r.change.Lock()
	defer r.change.Unlock()
	// A fresh server: contacts in memory would lie in the future too.
	err := r.restart(ctx, func() error { return r.setClock(0) })
	return r.Clock(), err
}

func (r *Rehearsal) setClock(ahead time.Duration) error {
	next := r.ordered()
	next.ClockOffset = ahead.String()
	if err := r.store(next); err != nil {
		return err
	}
	r.clock.ahead.Store(int64(ahead))
	return nil
}

// ParseDuration is time.ParseDuration with days (d) and weeks (w), which must be
// whole and come first: "5d", "2w", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	wrong := rekey.Errorf(rekey.KindInvalid, "%q is not a time", text).WithHint("write it as 5d, 2w, 36h or 1d12h")
	var sum time.Duration
	rest := text
	for _, unit := range []struct {
		sign string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		digits, after, found := strings.Cut(rest, unit.sign)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || time.Duration(n) > maxAhead/unit.long {
			return 0, wrong
		}
		sum, rest = sum+time.Duration(n)*unit.long, after
	}
	if rest == "" && text != "" {
		return sum, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, wrong
	}
	return sum + d, nil
}
