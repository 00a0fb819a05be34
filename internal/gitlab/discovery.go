package gitlab

import (
	"context"
	"sync"
)

// discoveryState is whether a GitLab has GET /runners/router/discovery.
type discoveryState int

const (
	discoveryUnknown discoveryState = iota
	discoveryPresent
	discoveryAbsent
)

// discovery is learnt once per GitLab: of many sections that ask at once the
// first goes ahead and the others wait for what it finds. If it finds nothing
// out, as with a server that is down, all go ahead: one by one they would wait
// for each other's timeouts.
type discovery struct {
	mu       sync.Mutex
	state    discoveryState
	tried    bool
	learning chan struct{} // closed when the first is back
}

func (p *Prober) server(url string) *discovery {
	key := serverKey(url)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers[key] == nil {
		p.servers[key] = &discovery{}
	}
	return p.servers[key]
}

// enter reports whether to ask discovery; learn must be called with the result
// when it does.
func (d *discovery) enter(ctx context.Context) (ask bool, learn func(discoveryState)) {
	d.mu.Lock()
	if d.state != discoveryUnknown || d.tried {
		defer d.mu.Unlock()
		return d.state != discoveryAbsent, d.set
	}
	if d.learning == nil {
		d.learning = make(chan struct{})
		d.mu.Unlock()
		return true, d.first
	}
	wait := d.learning
	d.mu.Unlock()
	select {
	case <-wait:
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state != discoveryAbsent, d.set
}

func (d *discovery) first(state discoveryState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried = true
	if state != discoveryUnknown {
		d.state = state
	}
	close(d.learning)
}

func (d *discovery) set(state discoveryState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if state != discoveryUnknown {
		d.state = state
	}
}

func (d *discovery) learnt() (has, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state == discoveryPresent, d.state != discoveryUnknown
}
