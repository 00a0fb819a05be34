// Package agent keeps the tokens of config.toml and of a secret store in step, both
// ways. It owns the judgement which of the two goes where, the loop that looks, and
// what is remembered between two looks. It refuses to read or to edit a config, to
// ask a GitLab and to reload a runner: it reaches them through the ports it declares,
// and never holds a token in anything that is written or shown.
package agent

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// Section is one [[runners]] that the agent looks after.
type Section struct {
	Config     string // path
	Name       string
	Index      int
	URL        string
	RunnerID   rekey.RunnerID
	Token      rekey.Token
	ObtainedAt time.Time
	ExpiresAt  time.Time // zero: does not expire
	// Keeper is the tool that writes the config and would undo an edit, "" for none.
	Keeper, KeeperNext string
}

// Stamp is what a file looks like from outside; it differs whenever the file may
// hold something else. Stamps are comparable with ==.
type Stamp struct {
	ModTime   int64 // nanoseconds
	Size      int64
	Unsettled int64 // of a file written so lately that its time may hide another write
}

// Files are the configs.
type Files interface {
	// Stamp costs no more than one look at the file.
	Stamp(path string) (Stamp, error)
	// Sections reads a config. It fails on one that is just being written.
	Sections(path string) ([]Section, error)
}

// Store is the part of secretstore.Store that the agent uses.
type Store interface {
	Features(ctx context.Context, ref secretstore.Ref) (secretstore.Features, error)
	Get(ctx context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error)
	Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error)
	Watch(ctx context.Context, ref secretstore.Ref, since secretstore.Version) error
}

// Delivery is a token that is to take the place of a section's.
type Delivery struct {
	Section
	New  rekey.Token
	From secretstore.Ref
}

// Delivered is how it went: nil Err means that the config holds the token, the runner
// was told, and GitLab took it. Moved says that the section was not as it was judged.
type Delivered struct {
	Text       string // how far it was proved
	Moved      bool
	Incomplete bool // the config has neither id nor expiry of it yet
	Err        error
}

// Memory keeps what was agreed, by config and section, across starts. Losing it costs
// questions to GitLab, never a token.
type Memory interface {
	Load() (map[Key]Agreed, error)
	// Save writes these, and leaves what others wrote.
	Save(map[Key]Agreed) error
}

// Key names a section and its secret.
type Key struct{ Config, Section, Ref string }

// Ports are what the agent reaches the world by. Report and Alive may be nil.
type Ports struct {
	Files Files
	Store Store
	// Ask asks the GitLab of the section about a token, and nobody else.
	Ask func(ctx context.Context, s Section, token rekey.Token) rekey.Answer
	// Deliver finishes what an earlier process began, then delivers. It returns one
	// answer for each.
	Deliver func(ctx context.Context, all []Delivery) []Delivered
	// Named reports whether the host of a config has a system id, without which GitLab
	// tells neither id nor expiry of a token. It may be nil: then it always has.
	Named  func(config string) bool
	Memory Memory
	Report func(Event)
	// Alive is called at least every second unless something hangs.
	Alive func()
	// Rest is called when nothing is to be done after something was, and now and then.
	Rest func()
}

// Options say what is kept in step.
type Options struct {
	Configs  []string
	Sections []string // names; empty: all whose token is no reference to a variable
	Pattern  secretstore.Pattern
	Host     string // {host}
	Interval time.Duration
	Now      func() time.Time
}

// Agent is the loop. It runs once; Health and Metrics may be called meanwhile.
type Agent struct {
	opts  Options
	ports Ports

	mu      sync.Mutex // guards what Health and Metrics read
	tracks  []*track
	counts  counts
	passed  time.Time // end of the last pass
	began   time.Time
	step    step
	trouble map[string]string    // of configs that cannot be read
	missing map[string]time.Time // sections that were asked for and are nowhere, since when

	files   map[string]*file
	agreed  map[Key]Agreed
	unsaved map[Key]bool
	once    bool // one pass is made, whose end is told
	first   bool // a pass has been made
	failing int  // passes in a row in which the store was away
	away    bool // that was told
	rested  time.Time
}

// file is one config as it was last read.
type file struct {
	stamp Stamp
	since time.Time // when it was first unreadable; zero while it can be read
	told  bool
}

// New returns an agent. It has read nothing yet.
func New(o Options, p Ports) *Agent {
	if p.Report == nil {
		p.Report = func(Event) {}
	}
	if p.Alive == nil {
		p.Alive = func() {}
	}
	if p.Named == nil {
		p.Named = func(string) bool { return true }
	}
	if p.Rest == nil {
		p.Rest = func() {}
	}
	return &Agent{opts: o, ports: p, files: map[string]*file{}, unsaved: map[Key]bool{}, trouble: map[string]string{}, missing: map[string]time.Time{}}
}

// jittered is d, a tenth more or less: a thousand hosts that were started together
// do not ask together.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // a spread, no secret
}
