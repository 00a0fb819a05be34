package matrix

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// GitLab is a lab whose clock planters may set back.
type GitLab struct {
	*labtest.Rehearsal
	Version string
	handler http.Handler
	back    *offset

	names *atomic.Int64
	twins string // where copies of hosts are kept, as long as the GitLab lives
}

type offset struct {
	clock func() time.Time
	mu    sync.Mutex
	by    time.Duration
}

func (o *offset) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.clock().Add(-o.by)
}

func (o *offset) set(by time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by = by
}

// Open starts a GitLab of the version, by the clock given, until the test ends.
func Open(t testing.TB, version string, now func() time.Time) *GitLab {
	t.Helper()
	back := &offset{clock: now}
	r := labtest.Rehearse(t, labtest.Options{Version: version, Profile: "self-managed", Now: back.now})
	return &GitLab{Rehearsal: r, Version: version, handler: r.Orders.Handler(), back: back, names: &atomic.Int64{}, twins: directory(t)}
}

// World is what one scenario lives in: a GitLab behind an address of the
// scenario's own, one or more hosts, and how doctor is called.
type World struct {
	*GitLab
	T    testing.TB
	URL  string // of the GitLab, as this scenario's sections know it
	Dir  string
	Args []string          // to doctor, beside --config
	Env  map[string]string // of doctor

	// Head is what begins each config.
	Head string

	front *front
	pids  int      // of the machine's processes
	ends  []func() // last first
}

// NewWorld makes an empty one on the GitLab; Close ends it.
func NewWorld(t testing.TB, g *GitLab) *World {
	t.Helper()
	own := *g
	own.Rehearsal = &labtest.Rehearsal{Lab: g.For(t), Orders: g.Orders}
	w := &World{GitLab: &own, T: t, Dir: directory(t), Env: map[string]string{}}
	w.prepare()
	w.front = &front{next: g.handler}
	s := httptest.NewServer(w.front)
	w.URL = s.URL
	w.Undo(s.Close)
	return w
}

// directory is one whose name looks like no token: t.TempDir has the test's name.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "matrix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Undo has f called when the scenario is over.
func (w *World) Undo(f func()) { w.ends = append([]func(){f}, w.ends...) }

// Close undoes what the scenario did to the GitLab and the host.
func (w *World) Close() {
	for _, f := range w.ends {
		f()
	}
	w.ends = nil
}

// Ago does something by a GitLab whose clock is set back.
func (w *World) Ago(by time.Duration, do func()) {
	w.back.set(by)
	defer w.back.set(0)
	do()
}

// front is what stands before the GitLab: a planter or a fault on top may wrap it.
type front struct {
	mu    sync.Mutex
	next  http.Handler
	wraps []func(http.Handler) http.Handler
}

func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	h := f.next
	for _, wrap := range f.wraps {
		h = wrap(h)
	}
	f.mu.Unlock()
	h.ServeHTTP(rw, r)
}

// Front puts something before the GitLab, outermost last.
func (w *World) Front(wrap func(http.Handler) http.Handler) {
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	w.front.wraps = append(w.front.wraps, wrap)
}

// Section is one [[runners]]. Its Name tells what is planted: "planted…".
type Section struct {
	Name     string
	URL      string // "": the scenario's
	ID       int64  // 0: none
	Token    string // as TOML would have it in quotes
	Obtained time.Time
	Expires  time.Time
	More     string // further lines
}

// Config writes a host's config.toml with its system id, and has doctor look at
// it. It returns the path.
func (w *World) Config(host, systemID string, sections ...Section) string {
	w.T.Helper()
	path := w.File(filepath.Join(host, "config.toml"), w.Text(sections...))
	if systemID != "" {
		w.File(filepath.Join(host, ".runner_system_id"), systemID)
	}
	w.Args = append(w.Args, "--config", path)
	return path
}

// Text is the config.toml of the sections.
func (w *World) Text(sections ...Section) string {
	var text strings.Builder
	text.WriteString(w.Head + "concurrent = 2\ncheck_interval = 3\n")
	for _, s := range sections {
		if s.URL == "" {
			s.URL = w.URL
		}
		fmt.Fprintf(&text, "\n[[runners]]\n  name = %q\n  url = %q\n", s.Name, s.URL)
		if s.ID != 0 {
			fmt.Fprintf(&text, "  id = %d\n", s.ID)
		}
		fmt.Fprintf(&text, "  token = \"%s\"\n", s.Token)
		for key, at := range map[string]time.Time{"token_obtained_at": s.Obtained, "token_expires_at": s.Expires} {
			if !at.IsZero() {
				fmt.Fprintf(&text, "  %s = %s\n", key, at.UTC().Format(time.RFC3339))
			}
		}
		text.WriteString("  executor = \"shell\"\n" + s.More)
	}
	return text.String()
}

// File writes a file below the scenario's directory and returns its path.
func (w *World) File(name, text string) string {
	w.T.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
	}
	return path
}

// Aged gives a file an old date.
func (w *World) Aged(path string, by time.Duration) {
	w.T.Helper()
	at := w.Before(by)
	if err := os.Chtimes(path, at, at); err != nil {
		w.T.Fatal(err)
	}
}

// Unique is a name that nothing else in the GitLab has.
func (w *World) Unique(name string) string { return fmt.Sprintf("%s-%d", name, w.names.Add(1)) }

// Elsewhere is another GitLab of the same version, behind an address of its own.
func (w *World) Elsewhere() *World {
	w.T.Helper()
	return NewWorld(w.T, Open(w.T, w.Version, w.back.clock))
}

// AtLeast reports whether the GitLab is of the version, one of Versions, or later.
func (w *World) AtLeast(version string) bool { return index(w.Version) >= index(version) }

// Log writes a log of gitlab-runner and has doctor read it.
func (w *World) Log(lines ...string) {
	w.T.Helper()
	w.Args = append(w.Args, "--log", w.File(fmt.Sprintf("runner-%d.log", len(w.Args)), strings.Join(lines, "\n")+"\n"))
}
