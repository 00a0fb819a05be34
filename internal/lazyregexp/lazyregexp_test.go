package lazyregexp_test

import (
	"testing"

	"rekey/internal/lazyregexp"
)

func TestAWrongExpressionFailsTheTestsOfItsPackage(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("New of a wrong expression: no panic, want one before its first use")
		}
	}()
	lazyregexp.New(`(`)
}

func TestItFindsWhatRegexpFinds(t *testing.T) {
	t.Parallel()
	r := lazyregexp.New(`(\w)=(\d+)`)
	for range 2 { // compiled, and compiled before
		if got := r.FindStringSubmatch("a=12"); len(got) != 3 || got[2] != "12" {
			t.Errorf("got %q, want a=12, a, 12", got)
		}
		if got, want := r.ReplaceAllString("a=1 b=2", "$2"), "1 2"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
