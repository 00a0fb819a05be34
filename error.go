package rekey

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is; exit codes and HTTP statuses are
// derived from it, never the reverse.
type Kind string

// The kinds of failure.
const (
	KindInvalid     Kind = "invalid"     // the input is wrong: a flag, a file, a value
	KindNotFound    Kind = "not found"   // the thing named does not exist
	KindDenied      Kind = "denied"      // a right is missing; Hint names which
	KindConflict    Kind = "conflict"    // the world moved, or somebody else holds it
	KindUnavailable Kind = "unavailable" // a server or file cannot be reached now
	KindInternal    Kind = "internal"    // a defect of rekey
)

// Error is a failure a person reads: Msg says what happened and why, in lower
// case and without a token; Hint is the next thing to type or to ask for.
type Error struct {
	Kind Kind
	Msg  string
	Hint string
	Err  error
}

// Errorf makes an Error of kind; every %w verb keeps its error reachable.
func Errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Msg: err.Error(), Err: errors.Unwrap(err)}
	if _, several := err.(interface{ Unwrap() []error }); several {
		e.Err = err
	}
	return e
}

// WithHint returns the error with the next step for the reader.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain, or KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// HintOf returns the first non-empty hint in err's tree, or "".
func HintOf(err error) string {
	if e, ok := err.(*Error); ok && e.Hint != "" {
		return e.Hint
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return HintOf(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if hint := HintOf(inner); hint != "" {
				return hint
			}
		}
	}
	return ""
}
