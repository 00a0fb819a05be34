package labtest

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"rekey"
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
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	version, err := rekey.ParseVersion(o.Version)
	if err != nil {
		t.Fatalf("lab version: %v", err)
	}
	orders, err := lab.OpenRehearsal(t.Context(), lab.Options{Dir: o.Dir, Version: version, Profile: o.Profile, Now: o.Now, Fault: o.Fault})
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	front := httptest.NewServer(orders.Handler())
	orders.SetURL(front.URL)
	info, err := orders.Info()
	if err != nil {
		t.Fatalf("lab info: %v", err)
	}
	l := &Lab{URL: front.URL, Info: info, Admin: info.AdminToken, t: t}
	l.close = sync.OnceFunc(func() {
		front.Close()
		if err := orders.Close(); err != nil {
			t.Errorf("close lab: %v", err)
		}
	})
	t.Cleanup(l.close)
	return &Rehearsal{l, orders}
}
