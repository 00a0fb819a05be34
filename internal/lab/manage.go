package lab

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"rekey"
)

// restartGrace is how long requests under way may take before a restart in place
// cuts them off.
const restartGrace = 2 * time.Second

// Rehearsal is a lab that can be upgraded, restored, robbed of its secrets, moved
// in time and told to fail while it serves. What changes its nature is done as on
// a real GitLab: requests wait, the server stops and another one opens the same
// directory. It is safe for concurrent use; changes are made one at a time.
type Rehearsal struct {
	options Options // Version and Profile are of the directory once it is open
	clock   *labClock
	orders  *faultOrders
	state   *rehearsalState

	change sync.Mutex // held by whoever changes something

	mu       sync.Mutex // guards what follows
	url      string
	address  string
	now      *generation   // nil while none could be opened
	changing chan struct{} // closed at the end of a restart; nil without one
}

// generation is one Server between two restarts.
type generation struct {
	*Server
	handler http.Handler
	ctx     context.Context // ends when requests under way are cut off
	cut     context.CancelFunc
	busy    sync.WaitGroup
}

// OpenRehearsal opens the lab in o.Dir as Open does, with its clock where it was
// left. An existing lab is not opened in an older version than its own.
func OpenRehearsal(ctx context.Context, o Options) (*Rehearsal, error) {
	if o.Now == nil {
		return nil, rekey.Errorf(rekey.KindInternal, "the lab needs a clock")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	state, err := loadRehearsalState(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Rehearsal{state: state, clock: newLabClock(o.Now, state.offset()), orders: newFaultOrders(), url: o.URL}
	own := o.Fault
	o.Now, o.forward = r.clock.Now, true
	o.Fault = func(next http.Handler) http.Handler {
		next = r.readOnly(next)
		if own != nil {
			next = own(next)
		}
		return r.orders.wrap(next)
	}
	r.options = o
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	r.options.Version, r.options.Profile = rekey.Version{}, "" // from now on the directory's own
	r.tidy()
	return r, nil
}

// open starts a generation from r.options.
func (r *Rehearsal) open(ctx context.Context) error {
	server, err := Open(ctx, r.options)
	if err != nil {
		return err
	}
	server.SetURL(r.URL())
	g := &generation{Server: server, handler: server.Handler()}
	g.ctx, g.cut = context.WithCancel(context.WithoutCancel(ctx))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.options.admin = g, server.adminToken
	return nil
}

// Close releases the database and the directory. Call it after Serve has returned.
func (r *Rehearsal) Close() error {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	g := r.now
	r.now = nil
	r.mu.Unlock()
	if g == nil {
		return nil
	}
	g.cut()
	return g.Close()
}

// Serve answers GitLab's API and the management API on the listener until ctx
// ends, as Server.Serve does.
func (r *Rehearsal) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() {
		if s, err := r.server(); err == nil {
			s.stop()
		}
	})()
	return serve(ctx, l, r.Handler(), r.options.Log)
}

// Handler answers GitLab's API and, below /-/rekey-lab/, the management API.
func (r *Rehearsal) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(managePrefix+"/", r.manageAPI())
	mux.HandleFunc(managePrefix, func(w http.ResponseWriter, _ *http.Request) { manageMiss(w) })
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if isManagement(req.URL.Path) { // the mux cleans paths, GitLab's API must not be cleaned
			mux.ServeHTTP(w, req)
			return
		}
		r.serveGitLab(w, req)
	})
}

func (r *Rehearsal) serveGitLab(w http.ResponseWriter, req *http.Request) {
	g, err := r.enter(req.Context())
	if err != nil || g == nil {
		http.Error(w, "GitLab is not responding", http.StatusBadGateway) // as what stands before a GitLab says
		return
	}
	defer g.busy.Done()
	ctx, end := context.WithCancel(req.Context())
	defer end()
	defer context.AfterFunc(g.ctx, func() {
		end()
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // a body that is still coming
	})()
	g.handler.ServeHTTP(w, req.WithContext(ctx))
}

// enter waits for a restart to end and joins the generation in force, which is nil
// where none could be opened. Whoever joined one calls its busy.Done.
func (r *Rehearsal) enter(ctx context.Context) (*generation, error) {
	for {
		r.mu.Lock()
		g, changing := r.now, r.changing
		if changing == nil {
			if g != nil {
				g.busy.Add(1)
			}
			r.mu.Unlock()
			return g, nil
		}
		r.mu.Unlock()
		select {
		case <-changing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// restart stops the server, runs between on its closed directory, and opens it
// again whatever between said. Requests that come meanwhile wait. The caller
// holds change.
func (r *Rehearsal) restart(ctx context.Context, between func() error) error {
	ctx = context.WithoutCancel(ctx) // half a restart serves nobody
	changing := make(chan struct{})
	r.mu.Lock()
	g := r.now
	r.changing = changing
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.changing = nil
		r.mu.Unlock()
		close(changing)
	}()
	if g != nil {
		g.drain()
		r.options.held, g.unlock = g.unlock, nil // the directory stays ours in between
		r.mu.Lock()
		r.now = nil
		r.mu.Unlock()
		if err := g.Close(); err != nil {
			r.options.Log.Error("closing the lab for a restart", "error", err)
		}
	}
	wrong := between()
	err := r.open(ctx)
	r.options.held = nil
	if wrong != nil {
		return wrong
	}
	if err != nil {
		return err
	}
	if r.URL() == "" {
		return nil // nobody was ever told where it serves
	}
	return r.WriteInfo()
}

// drain waits for requests under way, and cuts them off when they take too long.
func (g *generation) drain() {
	g.stop() // polls that wait for a job
	timer := time.AfterFunc(restartGrace, g.cut)
	g.busy.Wait()
	timer.Stop()
	g.cut()
}

// server returns the server in force, for a caller that holds change.
func (r *Rehearsal) server() (*Server, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the lab could not be opened again after its last change").
			WithHint("look at its log, then restart `rekey lab up`")
	}
	return r.now.Server, nil
}

// SetURL sets the external URL, once the listener is known.
func (r *Rehearsal) SetURL(url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.url = url
	if r.now != nil {
		r.now.SetURL(url)
	}
}

// SetAddress says where the lab listens, for lab.json: orders go there even where
// the external URL does not lead here.
func (r *Rehearsal) SetAddress(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address = address
}

// URL returns the external URL.
func (r *Rehearsal) URL() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.url
}

// Info returns the lab's identity, as Server.Info does.
func (r *Rehearsal) Info() (Info, error) {
	s, err := r.server()
	if err != nil {
		return Info{}, err
	}
	return s.Info(), nil
}

// WriteInfo writes DIR/lab.json, as Server.WriteInfo does.
func (r *Rehearsal) WriteInfo() error {
	s, err := r.server()
	if err != nil {
		return err
	}
	info := s.Info()
	r.mu.Lock()
	info.Address = r.address
	r.mu.Unlock()
	return writeInfo(s.InfoPath(), info)
}

// StartLine is the line that says what is being served; it never shows a token.
func (r *Rehearsal) StartLine() string {
	s, err := r.server()
	if err != nil {
		return "rekey lab: " + err.Error()
	}
	line := s.StartLine()
	if offset := r.clock.offset(); offset != 0 {
		line += "; its clock is " + offset.String() + " ahead"
	}
	if r.ordered().ReadOnly {
		line += "; it is read-only"
	}
	return line
}
