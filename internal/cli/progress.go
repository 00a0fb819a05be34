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

	mu          sync.Mutex
	drawn       time.Time
	done, total int
	pause       func() time.Duration // of a GitLab that asks to be left alone; nil: not known
}

func (c *command) progress(verb string) *progress {
	return &progress{c: c, verb: verb, begin: c.app.Now()}
}

func (p *progress) update(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = max(p.done, done), total
	p.draw(100 * time.Millisecond)
}

// pausing tells how much there is to do, and where to ask how long a GitLab wants to
// be left alone.
func (p *progress) pausing(total int, pause func() time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.pause = total, pause
}

// redrawn draws each second until the function it returns is called: while a GitLab
// has everybody wait, nothing is done that would.
func (p *progress) redrawn() (stop func()) {
	if !p.c.ErrTTY {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				p.mu.Lock()
				p.draw(time.Second / 2)
				p.mu.Unlock()
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// draw draws unless it did so less than every ago, or the work began just now.
func (p *progress) draw(every time.Duration) {
	now := p.c.app.Now()
	if !p.c.ErrTTY || p.total == 0 || now.Sub(p.begin) < time.Second || now.Sub(p.drawn) < every {
		return
	}
	p.drawn = now
	text := fmt.Sprintf("%s %s of %s", p.verb, grouped(float64(p.done)), grouped(float64(p.total)))
	rest := time.Duration(0)
	if p.done > 0 {
		rest = now.Sub(p.begin) / time.Duration(p.done) * time.Duration(p.total-p.done)
		text += ", about " + spoken(rest) + " left"
	}
	if p.pause != nil {
		if pause := p.pause(); pause >= time.Second {
			text += "; GitLab asks to wait " + spoken(pause)
		}
	}
	fmt.Fprintf(p.c.Err, "\r\x1b[K%s", text)
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drawn.IsZero() {
		fmt.Fprint(p.c.Err, "\r\x1b[K")
	}
}
