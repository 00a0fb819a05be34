package lab

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rekey"
)

// The profiles: how registration tokens are switched in a fresh lab.
const (
	ProfileCom         = "gitlab.com"   // off from 17.0
	ProfileSelfManaged = "self-managed" // allowed until an administrator says otherwise
)

// Options say what lab to open. Dir is created (mode 0700) when missing. Version
// and Profile may be left out for a lab that exists; given, they replace what it
// had, and its settings stay as stored. Profile of a fresh lab is gitlab.com from
// 17.0 on, else self-managed. URL is the address clients use; it may be set
// later. Fault wraps every API request when it is not nil.
type Options struct {
	Dir     string
	Version rekey.Version
	Profile string
	Now     func() time.Time
	Log     *slog.Logger
	URL     string
	Fault   Middleware

	held    func() // releases a lock on Dir that the caller holds already
	forward bool   // refuse to open an existing lab in an older version
	admin   string // the administrator's token where the stored one cannot be read
}

// Server is one lab. It is safe for concurrent use; one process at a time may
// have a directory open.
type Server struct {
	dir     string
	version rekey.Version
	profile string
	now     func() time.Time
	log     *slog.Logger
	fault   Middleware

	store   *store
	secrets *secrets
	unlock  func()
	routes  *router
	queue   *queue

	cachedSettings atomic.Pointer[settings]
	cachedFlags    atomic.Pointer[flags]
	cachedLimits   atomic.Pointer[limits]
	longPolling    atomic.Int64 // nanoseconds
	heldPolls      atomic.Int64

	watched sync.Map // job id to the time somebody looked at its log
	once    onceTokens

	jobCalls, userCalls, addressCalls counter

	stopping   chan struct{} // closed when Serve begins to stop
	stopOnce   sync.Once
	adminToken string

	mu  sync.Mutex // guards url
	url string
}

// Open creates or reopens the lab in o.Dir. Everything acknowledged before is
// there again, tokens included.
func Open(ctx context.Context, o Options) (*Server, error) {
	if err := checkOptions(&o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "make the lab's directory: %w", err)
	}
	unlock := o.held
	if unlock == nil {
		var err error
		if unlock, err = lockDir(o.Dir); err != nil {
			return nil, err
		}
	}
	s := &Server{stopping: make(chan struct{}), dir: o.Dir, now: o.Now, log: o.Log, fault: o.Fault, url: strings.TrimSuffix(o.URL, "/"), unlock: unlock}
	if err := s.open(ctx, o); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func checkOptions(o *Options) error {
	switch {
	case o.Dir == "":
		return rekey.Errorf(rekey.KindInvalid, "the lab needs a directory for its data")
	case o.Now == nil:
		return rekey.Errorf(rekey.KindInternal, "the lab needs a clock")
	case !o.Version.IsZero() && !o.Version.AtLeast(15, 11):
		return rekey.Errorf(rekey.KindInvalid, "the lab cannot be GitLab %s", o.Version).WithHint("use 15.11 or later")
	case o.Profile != "" && o.Profile != ProfileCom && o.Profile != ProfileSelfManaged:
		return rekey.Errorf(rekey.KindInvalid, "%q is not a profile", o.Profile).WithHint("use %s or %s", ProfileCom, ProfileSelfManaged)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (s *Server) open(ctx context.Context, o Options) (err error) {
	if s.secrets, err = openSecrets(s.dir); err != nil {
		return err
	}
	if s.store, err = openStore(ctx, s.dir); err != nil {
		return err
	}
	if err := s.write(ctx, func(t *tx) error { return t.found(o) }); err != nil {
		return err
	}
	s.routes = newRouter(routeTable(s.version), s.version)
	s.queue = newQueue(s.now)
	return nil
}

// Close releases the database and the directory. Requests under way fail; call
// it after Serve has returned.
func (s *Server) Close() error {
	s.stop()
	var err error
	if s.store != nil {
		err = s.store.close()
	}
	if s.unlock != nil {
		s.unlock()
		s.unlock = nil
	}
	return err
}

// stop lets held polls go.
func (s *Server) stop() { s.stopOnce.Do(func() { close(s.stopping) }) }

// settings returns the settings in force.
func (s *Server) settings() *settings { return s.cachedSettings.Load() }

// SetURL sets the external URL, once the listener is known.
func (s *Server) SetURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = strings.TrimSuffix(url, "/")
}

// URL returns the external URL.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// baseURL is the external URL, or the address the request came to.
func (s *Server) baseURL(r *http.Request) string {
	if url := s.URL(); url != "" {
		return url
	}
	return "http://" + r.Host
}

// missing turns no row into err.
func missing(err, instead error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return instead
	}
	return err
}
