package conformance_test

import (
	"strings"

	"rekey/internal/lab/conformance"
)

// testCase looks at one row, or at a few that one walk through the API shows.
type testCase struct {
	ids       []string
	run       func(*world)
	outside   func(*world) // next to the range of every row it names
	neighbour string       // the row that says what is there instead
	alone     bool         // it changes settings or moves the clock: a lab of its own
	profile   string
}

// prove is a case for the ids in words.
func prove(ids string, run func(*world)) testCase {
	return testCase{ids: strings.Fields(ids), run: run}
}

// elsewhere says what is found outside the rows' versions.
func (c testCase) elsewhere(run func(*world)) testCase { c.outside = run; return c }

// beside names the row that holds outside the rows' versions.
func (c testCase) beside(id string) testCase { c.neighbour = id; return c }

// byItself gives the case a lab that no other case uses.
func (c testCase) byItself() testCase { c.alone = true; return c }

// on is byItself in a profile.
func (c testCase) on(profile string) testCase { c.alone, c.profile = true, profile; return c }

func (c testCase) claims() []conformance.Claim {
	var claims []conformance.Claim
	for _, id := range c.ids {
		claims = append(claims, conformance.Claim{ID: id, Outside: c.outside != nil, Beside: c.neighbour})
	}
	return claims
}
