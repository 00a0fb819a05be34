package fleet

import (
	"fmt"
	"time"

	"rekey"
)

// Mark is what there may be to say about a record.
type Mark string

// The marks.
const (
	MarkOffline  Mark = "offline"           // was online once, is not now
	MarkStale    Mark = "stale"             // GitLab's word
	MarkNever    Mark = "never-contacted"   // nobody ever used the token
	MarkExpiring Mark = "expiring"          // its token ends soon, or has ended
	MarkLegacy   Mark = "legacy-registered" // made with a registration token
	MarkUndated  Mark = "no-rotation-date"  // nobody wrote down when its token was changed last
	MarkUnowned  Mark = "no-owner"          // nobody wrote down whose it is
)

// Remark is a mark with why.
type Remark struct {
	Mark       Mark             `json:"mark"`
	Confidence rekey.Confidence `json:"confidence"`
	Why        string           `json:"why"`
}

// Lens is what records are looked at with.
type Lens struct {
	Now    time.Time     // by GitLab's clock
	Within time.Duration // how near an expiry must be; 0: not looked at
	// Expiry holds the intervals of the instance settings by scope, where they
	// could be read: 0 is never. A scope that is missing is unknown.
	Expiry map[rekey.Scope]time.Duration
	Ledger *Ledger // may be nil: nothing is known of owners, and nothing said
}

// Remarks says what there is to say about a record.
func (l Lens) Remarks(r Record) []Remark {
	var list []Remark
	add := func(m Mark, c rekey.Confidence, format string, args ...any) {
		list = append(list, Remark{m, c, fmt.Sprintf(format, args...)})
	}
	if r.Offline() {
		add(MarkOffline, rekey.Certain, "%s", l.silence(r))
	}
	if r.Stale() {
		add(MarkStale, rekey.Certain, "GitLab calls it stale")
	}
	if r.NeverContacted() {
		add(MarkNever, rekey.Certain, "its token was never used")
	}
	if c, why, ok := l.expiring(r); ok {
		add(MarkExpiring, c, "%s", why)
	}
	if r.Runner.CreatorKnown && r.Runner.Creator == "" {
		add(MarkLegacy, rekey.Likely, "GitLab names no creator: it was made with a registration token, or by a user who is gone")
	}
	return append(list, l.ledgerRemarks(r)...)
}

func (l Lens) ledgerRemarks(r Record) []Remark {
	if l.Ledger == nil {
		return nil
	}
	var list []Remark
	e, _ := l.Ledger.Entry(r.Runner.ID)
	if e.RotatedAt.IsZero() {
		list = append(list, Remark{MarkUndated, rekey.Certain, "the owners file has no rotation date"})
	}
	if e.Owner == "" {
		list = append(list, Remark{MarkUnowned, rekey.Certain, "the owners file names no owner"})
	}
	return list
}

func (l Lens) silence(r Record) string {
	if seen := r.LastSeen(); !seen.IsZero() {
		return "last contact " + AgeText(l.Now.Sub(seen)) + " ago"
	}
	return "GitLab calls it offline"
}

// expiring: REST shows no expiry of a runner's token, so there is the date in
// the ledger, or an estimate from the instance setting.
func (l Lens) expiring(r Record) (rekey.Confidence, string, bool) {
	if l.Within <= 0 {
		return "", "", false
	}
	end, sure := l.expiry(r)
	if end.IsZero() || end.After(l.Now.Add(l.Within)) {
		return "", "", false
	}
	words := "ends in " + AgeText(end.Sub(l.Now))
	if !end.After(l.Now) {
		words = "ended " + AgeText(l.Now.Sub(end)) + " ago"
	}
	if sure {
		return rekey.Likely, "by the owners file its token " + words, true
	}
	return rekey.Possible, "by the instance setting its token " + words + ", if it was issued after the setting", true
}

// expiry is when the token ends. A contact after the estimate disproves it: a
// token that has ended reaches nothing.
func (l Lens) expiry(r Record) (end time.Time, written bool) {
	issued := r.Runner.CreatedAt
	if l.Ledger != nil {
		e, _ := l.Ledger.Entry(r.Runner.ID)
		if !e.ExpiresAt.IsZero() {
			return e.ExpiresAt, true
		}
		if e.RotatedAt.After(issued) {
			issued = e.RotatedAt
		}
	}
	interval := l.Expiry[r.Runner.Scope]
	if interval <= 0 || issued.IsZero() {
		return time.Time{}, false
	}
	end = issued.Add(interval)
	if r.LastSeen().After(end) {
		return time.Time{}, false
	}
	return end, false
}

// ExpiryKnown reports whether anything at all tells when the record's token ends,
// or that tokens issued now do not. Groups and projects may have intervals of their
// own that this knows nothing of.
func (l Lens) ExpiryKnown(r Record) bool {
	if end, _ := l.expiry(r); !end.IsZero() {
		return true
	}
	interval, read := l.Expiry[r.Runner.Scope]
	return read && interval == 0 && r.Runner.Scope == rekey.ScopeInstance
}

// Has reports whether list holds one of marks.
func Has(list []Remark, marks ...Mark) bool {
	for _, r := range list {
		for _, m := range marks {
			if r.Mark == m {
				return true
			}
		}
	}
	return false
}
