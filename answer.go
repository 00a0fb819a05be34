package rekey

import "time"

// Verdict is what is known of a section's token: three answers, never two.
type Verdict string

// The verdicts.
const (
	Valid   Verdict = "valid"
	Invalid Verdict = "invalid"
	Unknown Verdict = "unknown"
)

// AnswerKind is what a GitLab, or something in its place, answered when it was
// asked about a runner token.
type AnswerKind string

// The answers told apart. Only Accepted and Refused speak of the token.
const (
	AnswerAccepted    AnswerKind = "accepted"     // 200 of verify; 200, or 501 with GitLab's message, of discovery
	AnswerRefused     AnswerKind = "refused"      // 403 with message exactly "403 Forbidden"
	AnswerReadOnly    AnswerKind = "read-only"    // 403 of maintenance mode or a read-only database
	AnswerOrphaned    AnswerKind = "orphaned"     // 403 or 422 saying the runner is orphaned
	AnswerRateLimited AnswerKind = "rate-limited" // 429
	AnswerRedirected  AnswerKind = "redirected"   // 3xx; never followed
	AnswerNotFound    AnswerKind = "not-found"    // 404
	AnswerUnreachable AnswerKind = "unreachable"  // DNS, TCP, TLS, 5xx, or a body that is not GitLab's JSON
	AnswerUnexpected  AnswerKind = "unexpected"   // GitLab's JSON, but none of the above
	AnswerBadURL      AnswerKind = "bad-url"      // the URL cannot be requested: empty, no scheme, quotes
	AnswerNotAsked    AnswerKind = "not-asked"    // nothing was sent; Message says why
)

// Answer is one answer about one runner token, with what is needed to show it as
// evidence. It never holds the token.
type Answer struct {
	Kind       AnswerKind
	Request    string        // "POST https://gitlab.example.com/api/v4/runners/verify"
	Status     int           // HTTP status, 0 when there was none
	Message    string        // GitLab's message or the transport's error, scrubbed, at most 200 bytes
	Location   string        // target of a redirect
	RetryAfter time.Duration // of a 429, 0 when not given
	ServerTime time.Time     // the Date header, zero when absent
	At         time.Time     // when the answer was read, by the local clock
	IsGitLab   string        // how the host shows itself as GitLab, "" when it does not
	RunnerID   RunnerID      // of an accepted verify, else 0
	ExpiresAt  time.Time     // of an accepted verify, zero when not expiring or not told
}

// Verdict returns what the answer alone says of the token.
func (a Answer) Verdict() Verdict {
	switch a.Kind {
	case AnswerAccepted:
		return Valid
	case AnswerRefused:
		return Invalid
	}
	return Unknown
}
