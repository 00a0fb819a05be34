package fleet

import (
	"time"

	"rekey"
)

// Record is one runner record with its managers, read at one moment.
type Record struct {
	Runner        rekey.Runner
	Managers      []rekey.Manager
	ManagersKnown bool      // GitLab lists them
	ReadAt        time.Time // by GitLab's clock
}

// LastSeen is the newest contact of the record or of any manager; zero: never.
func (r Record) LastSeen() time.Time {
	newest := r.Runner.ContactedAt
	for _, m := range r.Managers {
		if m.ContactedAt.After(newest) {
			newest = m.ContactedAt
		}
	}
	return newest
}

// Online reports whether GitLab calls the record or any manager online.
func (r Record) Online() bool {
	if r.Runner.Online != nil && *r.Runner.Online || r.Runner.Status == "online" {
		return true
	}
	for _, m := range r.Managers {
		if m.Status == "online" {
			return true
		}
	}
	return false
}

// Offline reports whether GitLab says that the record was online once and is not
// now. REST's status says paused instead, so it is not asked.
func (r Record) Offline() bool { return r.Runner.Online != nil && !r.Online() }

// NeverContacted reports whether nobody ever used the token.
func (r Record) NeverContacted() bool {
	return r.Runner.Online == nil && r.Runner.Status != "" && r.LastSeen().IsZero()
}

// Stale is GitLab's own word, never ours: its threshold is 7 days from about
// 18.0 on and three months before.
func (r Record) Stale() bool { return r.Runner.Status == "stale" }

// provenAge is how long the record exists at least. Before about 18.0 GitLab
// shows no created_at; stale then still proves seven days.
func (r Record) provenAge(now time.Time) (time.Duration, bool) {
	if !r.Runner.CreatedAt.IsZero() {
		return now.Sub(r.Runner.CreatedAt), true
	}
	if r.Stale() {
		return 7 * 24 * time.Hour, true
	}
	return 0, false
}

// OpenByList reports whether a record out of a list, which has no contact time, may
// have been silent for longer than age: it was there for so long, as far as is known.
func (r Record) OpenByList(now time.Time, age time.Duration) bool {
	return r.Runner.CreatedAt.IsZero() || now.Sub(r.Runner.CreatedAt) >= age
}
