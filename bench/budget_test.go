package bench

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// BenchmarkDoctorUnderBudget lets doctor ask about 2,000 sections at 200 requests a
// second, 20 ms away, and reports how much of the budget it used, as the server
// counted: of-budget is to be between 0.95 and 1.
func BenchmarkDoctorUnderBudget(b *testing.B) {
	const (
		count = 2000
		rps   = 200
	)
	var asked counted
	l := labtest.Start(b, labtest.Options{Version: "18.7", Fault: asked.wrap})
	config := writeConfig(b, l, count)
	for b.Loop() {
		asked.reset()
		checked(b, config, count, rps)
		requests, over, most := asked.result()
		achieved := float64(requests-1) / over.Seconds()
		b.ReportMetric(achieved, "requests/s")
		b.ReportMetric(achieved/rps, "of-budget")
		b.ReportMetric(float64(most), "most-in-a-second")
	}
}

// counted notes when each request came.
type counted struct {
	mu   sync.Mutex
	came []time.Time
}

func (c *counted) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.came = append(c.came, time.Now())
		c.mu.Unlock()
		select {
		case <-time.After(latency): // the distance
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

func (c *counted) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = nil
}

// result returns how many requests came, from the first to the last, and how many at
// most within one second.
func (c *counted) result() (requests int, over time.Duration, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := 0
	for i, at := range c.came {
		for at.Sub(c.came[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	if len(c.came) > 1 {
		over = c.came[len(c.came)-1].Sub(c.came[0])
	}
	return len(c.came), over, most
}
