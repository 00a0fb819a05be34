package gitlab_test

import (
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
)

// TestNewestRunner: the highest id counts, whichever end of the list it is at, and
// whatever was deleted.
func TestNewestRunner(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.5"})
	c := client(t, l.URL, l.Admin)
	if id, whole, err := c.NewestRunner(t.Context()); id != 0 || !whole || err != nil {
		t.Errorf("without runners: got %d, %v, %v; want none, and all of them", id, whole, err)
	}
	var last labtest.Issued
	for range 101 {
		last = l.Runner("instance", 0, nil)
	}
	if id, whole, err := c.NewestRunner(t.Context()); id != rekey.RunnerID(last.ID) || !whole || err != nil {
		t.Errorf("of 101 runners: got %d, %v, %v; want %d, and all of them", id, whole, err, last.ID)
	}
	if _, _, err := client(t, l.URL, l.PAT(l.User("someone"), "api")).NewestRunner(t.Context()); rekey.KindOf(err) != rekey.KindDenied {
		t.Errorf("for somebody: got %v, want denied", err)
	}
}

// TestUndecryptable: a GitLab without its secrets fails where it decrypts, and
// nowhere else.
func TestUndecryptable(t *testing.T) {
	t.Parallel()
	l := labtest.Rehearse(t, labtest.Options{Version: "18.5", Profile: "self-managed"})
	c := client(t, l.URL, l.Admin)
	l.Group("team", 0)
	if request, err := c.Undecryptable(t.Context()); request != "" || err != nil {
		t.Errorf("a GitLab that is well: got %q, %v", request, err)
	}
	if err := l.Orders.LoseSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if request, err := c.Undecryptable(t.Context()); request == "" {
		t.Errorf("a GitLab without its secrets: got nothing and %v, want the request that failed", err)
	}
}
