package app

import (
	"testing"
	"time"

	"rekey"
)

// Whether jobs run is asked while the connection to the host is taken by the reload:
// the answer does not wait for that connection.
func TestIdleAsksNothingOfAHostThatIsReloading(t *testing.T) {
	t.Parallel()
	a := New(func(string) (string, bool) { return "", false }, "test")
	n, err := a.network(Access{})
	if err != nil {
		t.Fatal(err)
	}
	h := a.repairedHost(n, ProofInput{Reload: "restart"}, nil)
	h.far = &farHosts{now: time.Now, known: map[string]*farHost{}}
	gone := &farHost{hosts: h.far, name: "ssh://runner1", failed: rekey.Errorf(rekey.KindUnavailable, "gone"), tried: time.Now()}
	h.far.known[gone.name] = gone
	idle := h.idle("ssh://runner1/etc/gitlab-runner/config.toml")
	gone.mu.Lock()
	defer gone.mu.Unlock()
	answer := make(chan error, 1)
	go func() { answer <- idle(t.Context()) }()
	select {
	case err := <-answer:
		if err == nil {
			t.Error("a config that cannot be read is called idle")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the connection that the reload holds")
	}
}
