package app

import (
	"strings"
	"testing"

	"rekey"
)

// TestScrubKnowsWhatWasSeen: a token that has no shape of its own is scrubbed as soon
// as it was seen, and once more later.
func TestScrubKnowsWhatWasSeen(t *testing.T) {
	t.Parallel()
	const secret = "CANARYcanaryCANARY01"
	a := New(func(string) (string, bool) { return "", false }, "test")
	a.saw(rekey.NewToken("other-CANARY-shape-zz"), rekey.NewToken(secret))
	for range 2 {
		if got := a.Scrub("the file holds " + secret + "."); strings.Contains(got, secret) {
			t.Errorf("got %q, want the token gone", got)
		}
	}
}
