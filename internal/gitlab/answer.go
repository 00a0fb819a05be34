package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"rekey"
	"rekey/internal/redact"
)

// read makes the answer of a reply: only the question's own yes, and 403 with
// the message "403 Forbidden", speak of the token.
func (q *question) read(ctx context.Context, r *reply, yes accepts) rekey.Answer {
	a := rekey.Answer{At: q.opts.Now(), Status: r.status}
	if r.err != nil {
		a.Kind, a.Message = rekey.AnswerUnreachable, short(q.scrub, transportText(r.err))
		return a
	}
	if at, err := http.ParseTime(r.header.Get("Date")); err == nil {
		a.ServerTime = at
	}
	e := parseEnvelope(r.body)
	a.IsGitLab = headerEvidence(r, e)
	var message string
	a.Kind, message = q.kind(r, e, yes, &a)
	a.Message = short(q.scrub, message)
	switch a.Kind {
	case rekey.AnswerRedirected:
		a.Location = short(q.scrub, resolve(q.base, r.header.Get("Location")))
		a.IsGitLab = q.hostEvidence(ctx, a.IsGitLab, a.Location)
	case rekey.AnswerNotFound:
		a.IsGitLab = q.hostEvidence(ctx, a.IsGitLab, "")
	case rekey.AnswerRateLimited:
		a.RetryAfter, _ = retryAfter(r.header, a.At)
	}
	return a
}

// kind tells the answers apart; the order matters: a status that has one meaning
// whatever the body comes before the body, and an answer that broke off says
// nothing.
func (q *question) kind(r *reply, e envelope, yes accepts, a *rekey.Answer) (rekey.AnswerKind, string) {
	switch {
	case r.status >= 300 && r.status < 400:
		return rekey.AnswerRedirected, r.statusText()
	case r.status == http.StatusTooManyRequests:
		return rekey.AnswerRateLimited, orStatus(e.text(), r)
	case r.cut != nil:
		return rekey.AnswerUnreachable, "the answer broke off: " + transportText(r.cut)
	case yes(r, e, a):
		return rekey.AnswerAccepted, orStatus(e.text(), r)
	case r.status == http.StatusNotImplemented && e.isGitLabs():
		return rekey.AnswerUnexpected, e.text()
	case r.status >= 500:
		return rekey.AnswerUnreachable, fmt.Sprintf("the server failed: %s", orStatus(e.text(), r))
	case r.status == http.StatusNotFound:
		return rekey.AnswerNotFound, orStatus(e.text(), r)
	case r.status == http.StatusProxyAuthRequired:
		return rekey.AnswerUnreachable, "the proxy asks for authentication"
	case !e.isGitLabs() && !(e.json && a.IsGitLab != ""):
		return rekey.AnswerUnreachable, strange(r)
	}
	return judged(r, e)
}

// judged tells GitLab's own refusals apart.
func judged(r *reply, e envelope) (rekey.AnswerKind, string) {
	switch {
	case r.status == http.StatusForbidden && e.refusal():
		return rekey.AnswerRefused, e.message
	case r.status == http.StatusForbidden && e.readOnly():
		return rekey.AnswerReadOnly, e.text()
	case (r.status == http.StatusForbidden || r.status == http.StatusUnprocessableEntity) && e.orphaned():
		return rekey.AnswerOrphaned, e.text()
	}
	return rekey.AnswerUnexpected, orStatus(e.text(), r)
}

func orStatus(text string, r *reply) string {
	if text == "" {
		return r.statusText()
	}
	return text
}

// short scrubs text and cuts it to the 200 bytes an Answer holds.
func short(s *redact.Scrubber, text string) string {
	text = strings.Join(strings.Fields(s.Scrub(text)), " ")
	if len(text) <= 200 {
		return text
	}
	text = text[:197]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}

// display is a URL for people: without user information.
func display(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

func resolve(base, location string) string {
	b, err := url.Parse(base)
	if err != nil {
		return location
	}
	u, err := b.Parse(location)
	if err != nil {
		return location
	}
	u.User = nil
	return u.String()
}

// timestamp reads GitLab's ISO 8601, zero when it is not one.
func timestamp(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
