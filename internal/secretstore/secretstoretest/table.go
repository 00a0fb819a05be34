package secretstoretest

import (
	"fmt"
	"strings"

	"rekey/internal/secretstore"
)

// Row is one line of the table of what stores support.
type Row struct {
	Write, Swap, Versions, List, Delete, Watch, Metadata, Lost string
}

func (s suite) row() Row {
	yes := func(has bool) string {
		if has {
			return "yes"
		}
		return "no"
	}
	swap := map[secretstore.Swap]string{secretstore.SwapAtomic: "atomic", secretstore.SwapChecked: "looked at before the write", secretstore.SwapNone: "no"}[s.has.Swap]
	lost := s.lost
	if lost == "" {
		lost = "no line between"
	}
	return Row{yes(s.has.Write), swap, yes(s.has.Versions), yes(s.has.List), yes(s.has.Delete), yes(s.has.Watch), yes(s.has.Metadata), lost}
}

// Head is the head of the table.
const Head = "| store | write | compare-and-set | earlier versions | list | delete | watch | metadata | a lost answer to a write | tried against |\n|---|---|---|---|---|---|---|---|---|---|\n"

// Line is the row of a store, tried against a product.
func (r Row) Line(store, against string) string {
	return fmt.Sprintf("| %s |", strings.Join([]string{store, r.Write, r.Swap, r.Versions, r.List, r.Delete, r.Watch, r.Metadata, r.Lost, against}, " | "))
}
