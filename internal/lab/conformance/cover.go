package conformance

import (
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// Claim is what a suite says it does about one row.
type Claim struct {
	ID string
	// Outside says that the case also looks at the versions next to the row's
	// range, and finds something else there.
	Outside bool
	// Beside names the row that says what happens there instead.
	Beside string
}

// Ledger is a suite next to its table.
type Ledger struct {
	Table  []Row
	Claims []Claim
	Tested []rekey.Version // in ascending order
	// Pending are rows whose case is known to fail, and Unserved those for which
	// the lab has no occasion, each with the reason.
	Pending  map[string]string
	Unserved map[string]string
}

// Edges returns the tested versions at which a row must be looked at: the first
// and the last in its range, and those next to it.
func (l Ledger) Edges(r Row) (inside, outside []rekey.Version) {
	first := slices.IndexFunc(l.Tested, r.Holds)
	if first < 0 {
		return nil, nil
	}
	last := first
	for last+1 < len(l.Tested) && r.Holds(l.Tested[last+1]) {
		last++
	}
	inside = slices.Compact([]rekey.Version{l.Tested[first], l.Tested[last]})
	if r.Sighted {
		return inside, nil
	}
	if first > 0 {
		outside = append(outside, l.Tested[first-1])
	}
	if last+1 < len(l.Tested) {
		outside = append(outside, l.Tested[last+1])
	}
	return inside, outside
}

// Faults returns what is wrong with the ledger, nothing where every row is
// looked at in every version where it differs.
func (l Ledger) Faults() []string {
	var wrong []string
	rows := map[string]Row{}
	for _, r := range l.Table {
		rows[r.ID] = r
	}
	claimed := map[string]bool{}
	for _, c := range l.Claims {
		if claimed[c.ID] {
			wrong = append(wrong, c.ID+": two cases")
		}
		claimed[c.ID] = true
		if row, known := rows[c.ID]; known {
			wrong = append(wrong, l.claimFaults(row, c, rows)...)
		} else {
			wrong = append(wrong, c.ID+": a case for a row that does not exist")
		}
	}
	for _, r := range l.Table {
		if !r.Guess() && !claimed[r.ID] && l.Unserved[r.ID] == "" {
			wrong = append(wrong, r.ID+": no case")
		}
	}
	return append(wrong, l.excuseFaults(claimed)...)
}

func (l Ledger) claimFaults(r Row, c Claim, rows map[string]Row) []string {
	if r.Guess() {
		return []string{r.ID + ": a case asserts what is unverified"}
	}
	inside, outside := l.Edges(r)
	switch {
	case len(inside) == 0:
		return []string{r.ID + ": no tested version is in its range"}
	case len(outside) == 0 && (c.Outside || c.Beside != ""):
		return []string{r.ID + ": nothing is outside its range"}
	case len(outside) == 0, c.Outside:
		return nil
	case c.Beside == "":
		return []string{r.ID + ": nothing says what happens outside its range"}
	}
	beside, known := rows[c.Beside]
	if !known {
		return []string{fmt.Sprintf("%s: %s beside it does not exist", r.ID, c.Beside)}
	}
	for _, v := range outside {
		if !beside.Holds(v) {
			return []string{fmt.Sprintf("%s: %s beside it does not hold in %s", r.ID, c.Beside, v)}
		}
	}
	return nil
}

// excuseFaults: an excuse is for a row that is there, has a reason, and is not
// contradicted by what is done.
func (l Ledger) excuseFaults(claimed map[string]bool) []string {
	var wrong []string
	known := func(id string) bool { return slices.ContainsFunc(l.Table, func(r Row) bool { return r.ID == id }) }
	for id, reason := range l.Pending {
		if !known(id) || !claimed[id] || reason == "" {
			wrong = append(wrong, id+": pending without a row, a case or a reason")
		}
	}
	for id, reason := range l.Unserved {
		if !known(id) || claimed[id] || reason == "" {
			wrong = append(wrong, id+": unserved without a row or a reason, or with a case")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// Summary counts the rows by their best witness.
func (l Ledger) Summary() string {
	counts := map[Provenance]int{}
	for _, r := range l.Table {
		counts[r.From[0]]++
	}
	parts := []string{}
	for _, p := range Provenances() {
		parts = append(parts, fmt.Sprintf("%s %d", p, counts[p]))
	}
	return fmt.Sprintf("conformance: %d rows (%s); %d cases, %d pending, %d not served",
		len(l.Table), strings.Join(parts, ", "), len(l.Claims), len(l.Pending), len(l.Unserved))
}
