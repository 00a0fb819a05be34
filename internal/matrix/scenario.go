package matrix

import "strings"

// Versions are the GitLabs that everything is planted in, oldest first.
var Versions = []string{"15.11", "16.11", "17.11", "18.11", "19.3"}

// Healthy is the cause of a scenario in which nothing is wrong.
const Healthy = "healthy"

// Scenario is one way in which people get to a cause.
type Scenario struct {
	Cause string // the slug that is planted, Healthy for none; two are joined by " + "
	Name  string // how it comes about, unique
	Plant func(*World)
	Cells []Cell // the first that holds is the expected one; none is a mistake

	// Own gives it a lab of its own, where it changes what others see too.
	Own bool
	// Lexical: the text alone decides, and nothing that GitLab does changes that.
	Lexical bool
	// EachTime: what was planted is used up by one look.
	EachTime bool
	// Lacking says why it cannot be planted on this machine; "" or nil where it can.
	Lacking func() string
}

// Who looks at it.
type Who string

// Those who look, "" being both.
const (
	Alone     Who = "without a user token"
	WithToken Who = "with a user token"
)

// Cell is what has to come out, for the versions from Since to Until (both of
// Versions and included, "" being open).
type Cell struct {
	Who          Who
	Since, Until string
	Verdict      string // of the planted sections: valid, invalid or unknown
	// Answer is what has to be found there, as "cause confidence":
	//
	//	"a certain"              this and nothing else
	//	"a certain + b likely"   both
	//	"a possible | b possible"  a is planted and must be among them, no other may be
	//	"nothing"                no finding but hints
	//	"unknown"                the cause is not named, and what could not be told is said
	//	"not applicable: WHY"    it cannot be there
	Answer string
}

// NotApplicable returns why nothing is planted here.
func (c Cell) NotApplicable() (why string, ok bool) {
	return strings.CutPrefix(c.Answer, "not applicable: ")
}

// holds reports whether the cell is the one for a version and a looker.
func (c Cell) holds(version string, who Who) bool {
	at := index(version)
	return (c.Who == "" || c.Who == who) && (c.Since == "" || at >= index(c.Since)) && (c.Until == "" || at <= index(c.Until))
}

func index(version string) int {
	for i, v := range Versions {
		if v == version {
			return i
		}
	}
	panic("matrix: the table names GitLab " + version + ", which is not looked at")
}

// Expected returns the scenario's cell, false when the table has none.
func (s Scenario) Expected(version string, who Who) (Cell, bool) {
	for _, c := range s.Cells {
		if c.holds(version, who) {
			return c, true
		}
	}
	return Cell{}, false
}
