package lab_test

import (
	"strings"
	"sync"
	"time"
)

// clock is a settable time for a lab.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// pathEscape writes a full path as one segment.
func pathEscape(path string) string { return strings.ReplaceAll(path, "/", "%2F") }
