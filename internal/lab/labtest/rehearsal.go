package labtest

import (
	"testing"

	"rekey/internal/lab"
)

// Rehearsal is a lab that also takes orders: to be restored, to lose its
// secrets, to move its clock. Its Server is nil: a restart replaces it.
type Rehearsal struct {
	*Lab
	Orders *lab.Rehearsal
}

// Rehearse serves a lab that takes orders until the test ends.
func Rehearse(t testing.TB, o Options) *Rehearsal {
	t.Helper()
	orders, err := lab.OpenRehearsal(t.Context(), o.filled(t))
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	l := serve(t, orders)
	if l.Info, err = orders.Info(); err != nil {
		t.Fatalf("lab info: %v", err)
	}
	l.Admin = l.Info.AdminToken
	return &Rehearsal{l, orders}
}
