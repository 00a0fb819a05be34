package simrunner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"rekey"
)

// MaxFleet bounds a Fleet: more does not fit the memory and sockets of one machine.
const MaxFleet = 100_000

// Fleet is several simulated runner processes on one config: as many managers of
// each section's token, each with a system id of its own, as autoscaled machines
// from one image are. They share one HTTP transport, and begin evenly spread over
// the check interval.
type Fleet struct{ runners []*Runner }

// NewFleet makes count runners; the first has the system id beside the config,
// the others one derived from it, the same at every start.
func NewFleet(opts Options, count int) (*Fleet, error) {
	if count < 1 || count > MaxFleet {
		return nil, rekey.Errorf(rekey.KindInvalid, "a fleet of %d runners cannot be simulated", count).WithHint("use a count from 1 to %d", MaxFleet)
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	opts.Log = &lockedWriter{w: opts.Log}
	first, err := New(opts)
	if err != nil {
		return nil, err
	}
	f := &Fleet{runners: []*Runner{first}}
	for i := 1; i < count; i++ {
		opts.SystemID = derivedSystemID(first.SystemID(), i)
		next, err := New(opts)
		if err != nil {
			return nil, err
		}
		f.runners = append(f.runners, next)
	}
	return f, nil
}

// derivedSystemID is the id of the fleet's i-th process.
func derivedSystemID(first rekey.SystemID, i int) rekey.SystemID {
	sum := sha256.Sum256([]byte(string(first) + "/" + strconv.Itoa(i)))
	return rekey.SystemID("s_" + hex.EncodeToString(sum[:6]))
}

// Run is Runner.Run of every process; it returns when the last has ended.
func (f *Fleet) Run(ctx context.Context) error {
	interval := f.runners[0].config.checkInterval()
	var all sync.WaitGroup
	for i, r := range f.runners {
		wait := interval * time.Duration(i) / time.Duration(len(f.runners))
		all.Go(func() {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
				_ = r.Run(ctx) // it has no error to give
			case <-r.drain:
			case <-ctx.Done():
			}
		})
	}
	all.Wait()
	return nil
}

// Reload is Runner.Reload of every process.
func (f *Fleet) Reload() {
	for _, r := range f.runners {
		r.Reload()
	}
}

// Drain is Runner.Drain of every process.
func (f *Fleet) Drain() {
	for _, r := range f.runners {
		r.Drain()
	}
}

// Stats sums the processes up, section by section.
func (f *Fleet) Stats() Stats {
	sum := f.runners[0].Stats()
	for _, r := range f.runners[1:] {
		one := r.Stats()
		sum.Polls, sum.Refused, sum.Jobs = sum.Polls+one.Polls, sum.Refused+one.Refused, sum.Jobs+one.Jobs
		for i := range min(len(sum.Sections), len(one.Sections)) {
			s := &sum.Sections[i]
			s.Polls, s.Refused, s.Jobs = s.Polls+one.Sections[i].Polls, s.Refused+one.Sections[i].Refused, s.Jobs+one.Sections[i].Jobs
			s.Disabled = s.Disabled || one.Sections[i].Disabled
		}
	}
	return sum
}
