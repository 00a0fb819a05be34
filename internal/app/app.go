// Package app is the composition root: it opens stores and clients, builds the
// engines and hands them their ports. It owns which part is used where, one file
// per composition. It refuses to judge, to print and to know exit codes.
package app

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"rekey"
	"rekey/internal/redact"
)

// App composes commands for one process. It is safe for concurrent use.
type App struct {
	getenv  func(string) (string, bool)
	version string
	scrub   *redact.Scrubber

	mu    sync.Mutex
	seen  []rekey.Token // not known to scrub yet
	known map[rekey.Token]bool
}

// New returns an App that reads the environment through getenv and calls itself
// version towards GitLab.
func New(getenv func(string) (string, bool), version string) *App {
	return &App{getenv: getenv, version: version, scrub: redact.NewScrubber()}
}

// Now is the clock.
func (a *App) Now() time.Time { return time.Now() }

// Scrub frees a text for people of every token that this process has seen, and
// of everything that looks like one: a net under what is already careful.
func (a *App) Scrub(text string) string {
	a.mu.Lock()
	seen := a.seen
	a.seen = nil
	if len(seen) > 0 {
		a.scrub.Add(seen...)
	}
	a.mu.Unlock()
	return a.scrub.Scrub(text)
}

// saw has Scrub know the tokens. They are taught when there is a text to scrub: all
// the forms of ten thousand tokens are more than what doctor keeps of their sections.
func (a *App) saw(tokens ...rekey.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, tokens...)
}

// sawNew is saw for what looks at the same tokens again and again.
func (a *App) sawNew(token rekey.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token.IsZero() || a.known[token] {
		return
	}
	if a.known == nil {
		a.known = map[rekey.Token]bool{}
	}
	a.known[token] = true
	a.seen = append(a.seen, token)
}

func (a *App) env(names ...string) string {
	for _, name := range names {
		if v, ok := a.getenv(name); ok && v != "" {
			return v
		}
	}
	return ""
}

// StateInput says where journals live and how long they are kept.
type StateInput struct {
	Dir  string
	Keep time.Duration
}

func (a *App) stateDir(in StateInput) (string, error) {
	if dir := in.Dir; dir != "" {
		return dir, nil
	}
	if dir := a.env("REKEY_STATE_DIR"); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/rekey", nil
	}
	if dir := a.env("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "rekey"), nil
	}
	home := a.env("HOME")
	if home == "" {
		return "", rekey.Errorf(rekey.KindInvalid, "where journals should live is unknown: HOME is not set").WithHint("name a directory with --state-dir")
	}
	return filepath.Join(home, ".local", "state", "rekey"), nil
}
