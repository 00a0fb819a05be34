package secretstore

import (
	"context"
	"errors"
	"net"
	"strings"

	"rekey"
)

// unknownOutcome marks a write of which nobody knows whether it happened.
type unknownOutcome struct{ cause error }

// Error names the cause.
func (e *unknownOutcome) Error() string { return "outcome unknown: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *unknownOutcome) Unwrap() error { return e.cause }

// OutcomeUnknown reports whether err leaves open if the write was made. Look with
// Get before doing anything again.
func OutcomeUnknown(err error) bool {
	var unknown *unknownOutcome
	return errors.As(err, &unknown)
}

// Unknown marks err so. The cause must hold no secret.
func Unknown(ref Ref, err error) error {
	text := err.Error()
	if !strings.Contains(text, ref.String()) { // most stores have said already of what they speak
		text = "write " + ref.String() + ": " + text
	}
	return &rekey.Error{Kind: rekey.KindUnavailable, Msg: text + "; whether it was written is not known",
		Hint: "look before writing again: `rekey secret get " + ref.String() + "`", Err: &unknownOutcome{err}}
}

// Settle looks once after a write whose answer was lost: nil error means that the
// value is there, and the version is the one that holds it.
func Settle(ctx context.Context, s Store, ref Ref, value rekey.Token, lost error) (Version, error) {
	now, err := s.Get(context.WithoutCancel(ctx), ref, "")
	if err == nil && now.Value == value {
		return now.Version, nil
	}
	return "", Unknown(ref, lost)
}

// Moved is the conflict of a comparison that failed.
func Moved(ref Ref, why string) error {
	return rekey.Errorf(rekey.KindConflict, "%s was not written: %s", ref, why).
		WithHint("somebody else wrote it; read it again with `rekey secret get %s`", ref)
}

// Missing says that there is no such secret.
func Missing(ref Ref, why string) *rekey.Error {
	return rekey.Errorf(rekey.KindNotFound, "%s: %s", ref, why).WithHint("`rekey secret list %s` shows what is there; `rekey secret put %s` makes it", ref.place(), ref)
}

// NoVersion says that a secret may be there, and the version asked for is not.
func NoVersion(ref Ref, why string) *rekey.Error {
	return rekey.Errorf(rekey.KindNotFound, "%s: %s", ref, why).WithHint("`rekey secret list %s --versions` shows those that are there", ref)
}

// NoEarlier says that a version other than the current one was asked of what keeps none.
func NoEarlier(ref Ref, why string) *rekey.Error {
	return rekey.Errorf(rekey.KindNotFound, "%s: %s", ref, why).WithHint("`rekey secret get %s` without --version prints the one that is there now", ref)
}

// Cannot is what a store says of what it has no means for.
func Cannot(ref Ref, what string) error {
	return rekey.Errorf(rekey.KindInvalid, "%s: %s", ref, what).WithHint("docs/stores.md says what each store can do")
}

// NeverSent reports whether a request that failed with err did not reach a server:
// there was no connection to send it on.
func NeverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
