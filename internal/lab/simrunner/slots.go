package simrunner

import (
	"context"
	"sync"
)

// slots is `concurrent`: how many polls and jobs may be under way at once. A
// smaller limit after a reload ends nothing that runs.
type slots struct {
	mu    sync.Mutex
	limit int
	used  int
	freed chan struct{} // one wake-up for the one goroutine that waits
}

func newSlots() *slots { return &slots{freed: make(chan struct{}, 1)} }

func (s *slots) resize(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.wake()
}

// tryAcquire takes a slot if one is free.
func (s *slots) tryAcquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.limit {
		return false
	}
	s.used++
	return true
}

// acquire waits for a slot; only the feeding loop calls it.
func (s *slots) acquire(ctx context.Context) bool {
	for !s.tryAcquire() {
		select {
		case <-ctx.Done():
			return false
		case <-s.freed:
		}
	}
	return true
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.wake()
}

func (s *slots) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
