package gitlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"

	"rekey"
)

// Reasons found by errors.Is in the errors of a Client, beside their kind.
var (
	// ErrTokenRefused: 401; the user token is unknown, expired or revoked.
	ErrTokenRefused = errors.New("the user token is refused")
	// ErrScope: 403 insufficient_scope; the hint names the scope.
	ErrScope = errors.New("the user token lacks a scope")
	// ErrNoRoute: this GitLab does not have the endpoint.
	ErrNoRoute = errors.New("this GitLab does not have the endpoint")
	// ErrRateLimited: 429, or a pause that does not fit the time given.
	ErrRateLimited = errors.New("rate limited")
	// ErrReadOnly: maintenance mode or a read-only database.
	ErrReadOnly = errors.New("GitLab is read-only")
	// ErrRedirected: 3xx; not followed.
	ErrRedirected = errors.New("redirected")
	// ErrVariablesRefused: the project does not let this user set pipeline
	// variables.
	ErrVariablesRefused = errors.New("pipeline variables are refused")
)

// outcomeUnknown marks a change of which nobody knows whether it happened.
type outcomeUnknown struct{ cause error }

// Error names the cause.
func (e *outcomeUnknown) Error() string { return "outcome unknown: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *outcomeUnknown) Unwrap() error { return e.cause }

// OutcomeUnknown reports whether err leaves open if the change was made: the
// answer was lost, broke off, was a 5xx or could not be read. Observe before
// doing anything again.
func OutcomeUnknown(err error) bool {
	var unknown *outcomeUnknown
	return errors.As(err, &unknown)
}

// operation is what was tried, in words, and what it needs.
type operation struct {
	what    string // "read runner 7"
	scope   string // "read_api or manage_runner"
	role    string // "Maintainer of the project"
	changes bool
}

// failed is a classified failure.
type failed struct {
	err     error
	again   bool // a read may be repeated
	limited bool // by 429: the budget knows how long to wait
}

// noAnswer classifies a failure without a status.
func (c *Client) noAnswer(op operation, err error, wrote bool) *failed {
	if errors.Is(err, errElsewhere) {
		return &failed{err: op.fail(rekey.KindInternal, errElsewhere, "%v", errElsewhere)}
	}
	var cause error = errors.New(transportText(err))
	if errors.Is(err, context.Canceled) {
		cause = context.Canceled
	}
	e := op.fail(rekey.KindUnavailable, cause, "%s", short(c.scrub, transportText(err))).
		WithHint("see whether %s is the right address and what this host gets there: curl -sSI %[1]s/api/v4/version", c.base)
	if op.changes && wrote {
		e = op.unknown(e)
	}
	return &failed{err: e, again: passing(err)}
}

// passing reports whether a lost connection may be better the next moment.
func passing(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED)
}

// unsent is the error when the budget let nothing through; nothing happened.
func (c *Client) unsent(op operation, err error) *rekey.Error {
	var paused *PausedError
	if errors.As(err, &paused) {
		return op.fail(rekey.KindUnavailable, ErrRateLimited, "%v", paused).WithHint("try again in %s", paused.For)
	}
	return op.fail(rekey.KindUnavailable, err, "%s", transportText(err))
}

// answered classifies an answer that is not the one hoped for.
func (c *Client) answered(op operation, r *reply) *failed {
	e := parseEnvelope(r.body)
	text := short(c.scrub, orStatus(e.text(), r))
	switch {
	case r.status >= 300 && r.status < 400:
		return &failed{err: c.redirected(op, r)}
	case r.status == http.StatusTooManyRequests:
		return &failed{err: c.limited(op, r, text), again: true, limited: true}
	case r.status >= 500, r.status == http.StatusRequestTimeout:
		err := op.fail(rekey.KindUnavailable, errors.New(text), "the server failed: %s", text)
		if op.changes {
			err = op.unknown(err)
		}
		return &failed{err: err, again: r.status != http.StatusInternalServerError && r.status != http.StatusNotImplemented}
	case r.status < 300:
		err := op.fail(rekey.KindUnavailable, nil, "the answer cannot be read: %s", strange(r))
		if op.changes {
			err = op.unknown(err)
		}
		return &failed{err: err}
	case !e.isGitLabs():
		return &failed{err: op.fail(rekey.KindUnavailable, nil, "%s", short(c.scrub, strange(r)))}
	}
	return &failed{err: op.refused(r.status, e, text)}
}

// refused classifies GitLab's own 4xx.
func (op operation) refused(status int, e envelope, text string) *rekey.Error {
	switch {
	case status == http.StatusUnauthorized:
		return op.fail(rekey.KindDenied, ErrTokenRefused, "GitLab refuses the user token: %s", text).
			WithHint("use a user token that is not expired or revoked, with the scope %s", op.scope)
	case e.insufficientScope():
		return op.fail(rekey.KindDenied, ErrScope, "the user token lacks the scope %s", op.scope).
			WithHint("use a user token with the scope %s", op.scope)
	case status == http.StatusForbidden && e.readOnly():
		return op.fail(rekey.KindUnavailable, ErrReadOnly, "GitLab is read-only now: %s", text).WithHint("wait until the maintenance ends")
	case status == http.StatusForbidden:
		return op.fail(rekey.KindDenied, nil, "%s", text).WithHint("the user needs the role %s, and the token the scope %s", op.role, op.scope)
	case status == http.StatusNotFound && e.unknownRoute():
		return op.fail(rekey.KindNotFound, ErrNoRoute, "this GitLab has no such endpoint: it is too old, or the URL is not its base URL")
	case status == http.StatusNotFound:
		return op.fail(rekey.KindNotFound, nil, "%s", text).
			WithHint("check the name or id, and that the user of the token may see it: GitLab says 404 for both")
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return op.fail(rekey.KindConflict, nil, "%s", text)
	case status == http.StatusGone:
		return op.fail(rekey.KindDenied, nil, "%s", text)
	}
	return op.fail(rekey.KindInvalid, nil, "%s", text)
}

func (c *Client) redirected(op operation, r *reply) *rekey.Error {
	target := short(c.scrub, resolve(c.base, r.header.Get("Location")))
	return op.fail(rekey.KindUnavailable, ErrRedirected, "%s redirects to %s, which was not followed", c.base, target).
		WithHint("if that is your GitLab, give its URL; if it is a login page, the API is behind a login that a token cannot pass")
}

func (c *Client) limited(op operation, r *reply, text string) *rekey.Error {
	e := op.fail(rekey.KindUnavailable, ErrRateLimited, "GitLab limits the rate of requests: %s", text)
	if wait, told := retryAfter(r.header, c.opts.Now()); told {
		return e.WithHint("try again in %s", wait)
	}
	return e.WithHint("try again later, or with a lower rate")
}

// fail makes the error of op; cause may be nil.
func (op operation) fail(kind rekey.Kind, cause error, format string, args ...any) *rekey.Error {
	return &rekey.Error{Kind: kind, Msg: fmt.Sprintf("cannot %s: %s", op.what, fmt.Sprintf(format, args...)), Err: cause}
}

// unknown marks err: the change may have been made.
func (op operation) unknown(err *rekey.Error) *rekey.Error {
	cause := err.Err
	if cause == nil {
		cause = errors.New(err.Msg)
	}
	return &rekey.Error{Kind: rekey.KindUnavailable, Msg: err.Msg + "; whether it was done is not known", Hint: err.Hint, Err: &outcomeUnknown{cause}}
}
