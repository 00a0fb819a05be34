package cli

import (
	"fmt"
	"sync"
	"time"
)

// progress draws one line on a terminal's standard error while work goes on, and
// nothing in a pipe. Its methods may be called from several goroutines.
type progress struct {
	c     *command
	verb  string
	begin time.Time

	mu    sync.Mutex
	drawn time.Time
}

func (c *command) progress(verb string) *progress {
	return &progress{c: c, verb: verb, begin: c.app.Now()}
}

func (p *progress) update(done, total int) {
	if !p.c.ErrTTY {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.app.Now()
	if now.Sub(p.begin) < time.Second || now.Sub(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = now
	rest := time.Duration(0)
	if done > 0 {
		rest = now.Sub(p.begin) / time.Duration(done) * time.Duration(total-done)
	}
	fmt.Fprintf(p.c.Err, "\r\x1b[K%s %s of %s, about %s left", p.verb, grouped(float64(done)), grouped(float64(total)), spoken(rest))
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drawn.IsZero() {
		fmt.Fprint(p.c.Err, "\r\x1b[K")
	}
}
