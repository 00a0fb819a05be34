package simrunner

import (
	"strings"
	"sync"
	"time"

	"rekey"
)

// sectionKey is what makes two sections the same to a coordinator.
type sectionKey struct {
	url   string
	token rekey.Token
}

// section is one [[runners]] at work. It lives until the next reload; jobs keep
// the one they were taken with.
type section struct {
	config *sectionConfig

	mu         sync.Mutex
	lastUpdate string    // X-GitLab-Last-Update as it was told
	failures   int       // refusals in a row
	lastCheck  time.Time // of the last answer that spoke of health
	backoff    int       // answers in a row that ask for patience
	notBefore  time.Time // no poll before
	requests   int       // polls under way
	builds     map[int]bool
	seen       counters
}

// counters are what Stats tells.
type counters struct{ polls, refused, jobs uint64 }

func newSection(c *sectionConfig, before *section) *section {
	s := &section{config: c, builds: map[int]bool{}}
	if before != nil {
		before.mu.Lock()
		defer before.mu.Unlock()
		s.lastUpdate, s.seen = before.lastUpdate, before.seen
	}
	return s
}

func (s *section) key() sectionKey { return sectionKey{s.config.URL, s.config.token} }

func (s *section) blank() bool { return strings.TrimSpace(s.config.token.Reveal()) == "" }

// healthy reports whether the section may be polled now; forced is set when it
// is polled again only because its time of punishment is over.
func (s *section) healthy(now time.Time) (ok, forced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures < s.config.unhealthyLimit() {
		return !now.Before(s.notBefore), false
	}
	if now.Sub(s.lastCheck) <= s.config.unhealthyInterval() {
		return false, false
	}
	s.failures, s.lastCheck = 0, now
	return true, true
}

// judge counts an answer that speaks of health and reports whether it disabled
// the section.
func (s *section) judge(healthy bool, now time.Time) (disabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastCheck = now
	if healthy {
		s.failures = 0
		return false
	}
	s.failures++
	return s.failures >= s.config.unhealthyLimit()
}

// patience keeps the section from polling for a while: what the server asked
// for, else 100 ms doubled with each such answer, a minute at most. A zero wait
// with calm set forgets the streak.
func (s *section) patience(calm bool, asked time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if calm {
		s.backoff, s.notBefore = 0, time.Time{}
		return
	}
	wait := min(100*time.Millisecond<<min(s.backoff, 10), time.Minute)
	s.backoff++
	s.notBefore = now.Add(max(wait, asked))
}

// beginRequest takes one of request_concurrency and checks limit; it reports
// whether a request may be sent.
func (s *section) beginRequest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.config.Limit > 0 && len(s.builds) >= s.config.Limit
	if full || s.requests >= s.config.requestLimit() {
		return false
	}
	s.requests++
	return true
}

func (s *section) endRequest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests--
}

// beginBuild takes the lowest free number, which is CI_CONCURRENT_ID.
func (s *section) beginBuild() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for s.builds[n] {
		n++
	}
	s.builds[n] = true
	return n
}

func (s *section) endBuild(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.builds, n)
}

func (s *section) queueValue() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastUpdate
}

// told keeps the server's queue value; an answer without one changes nothing.
func (s *section) told(value string) {
	if value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastUpdate = value
}
