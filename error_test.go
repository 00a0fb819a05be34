package rekey_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"rekey"
)

func TestErrorfKeepsWhatItWraps(t *testing.T) {
	t.Parallel()
	inner := rekey.Errorf(rekey.KindDenied, "no scope").WithHint("add %s", "api")
	err := rekey.Errorf(rekey.KindInternal, "reset: %w, then %w: %w", io.ErrUnexpectedEOF, fs.ErrPermission, inner)
	for _, want := range []error{io.ErrUnexpectedEOF, fs.ErrPermission, inner} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not reachable through %q", want, err)
		}
	}
	if got, want := err.Error(), "reset: unexpected EOF, then permission denied: no scope"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if errors.Unwrap(rekey.Errorf(rekey.KindInvalid, "plain %v", io.EOF)) != nil {
		t.Error("an error that was only formatted is reachable")
	}
}

func TestKindAndHint(t *testing.T) {
	t.Parallel()
	hinted := rekey.Errorf(rekey.KindDenied, "no scope").WithHint("add api")
	bare := rekey.Errorf(rekey.KindConflict, "moved")
	for _, c := range []struct {
		name string
		err  error
		kind rekey.Kind
		hint string
	}{
		{"none", nil, rekey.KindInternal, ""},
		{"foreign", io.EOF, rekey.KindInternal, ""},
		{"direct", hinted, rekey.KindDenied, "add api"},
		{"wrapped by fmt", fmt.Errorf("fix: %w", hinted), rekey.KindDenied, "add api"},
		{"outer kind, inner hint", rekey.Errorf(rekey.KindConflict, "fix: %w", fmt.Errorf("step: %w", hinted)), rekey.KindConflict, "add api"},
		{"outer hint first", rekey.Errorf(rekey.KindConflict, "fix: %w", hinted).WithHint("retry"), rekey.KindConflict, "retry"},
		{"joined", errors.Join(io.EOF, bare, hinted), rekey.KindConflict, "add api"},
		{"two wrapped", rekey.Errorf(rekey.KindInternal, "%w; %w", bare, hinted), rekey.KindInternal, "add api"},
	} {
		if kind, hint := rekey.KindOf(c.err), rekey.HintOf(c.err); kind != c.kind || hint != c.hint {
			t.Errorf("%s: kind %q, hint %q; want %q, %q", c.name, kind, hint, c.kind, c.hint)
		}
	}
}
