package remedy_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/remedy"
)

func TestARewriteMendsItsOwnSection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"good", record.Token, record.ID}, section{"quoted", " " + record.Token, record.ID})
	results := w.apply(w.target(1, rekey.RemedyRewrite))
	if got := w.sections()[1].Token; got != rekey.NewToken(record.Token) || results[0].Status != rekey.StatusVerified {
		t.Errorf("got %s and the token %s, want verified and the token without its space", results[0].Status, got)
	}
}

func TestTheConfigIsLockedWhileATokenIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	w.write(section{"one", dead, record.ID})
	unlock, err := host{w}.Lock(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.apply(w.target(0, rekey.RemedyReset)); r[0].Status != rekey.StatusFailed || w.calls["reset"] != 0 {
		t.Errorf("got %s after %d resets while another rekey has the config, want failed and none", r[0].Status, w.calls["reset"])
	}
	unlock()
	if r := w.apply(w.target(0, rekey.RemedyReset)); r[0].Status != rekey.StatusVerified {
		t.Errorf("got %+v, want verified", r[0])
	}
}

func TestUndoAfterATornWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(section{"one", dead, 0})
	before, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(w.target(0, rekey.RemedyCreate))
	w.cutJournals(func(r rekey.Record) bool { return r.Step == rekey.StepDeliver && r.Phase == rekey.PhaseIntent })
	torn := strings.Replace(string(before), `token = "`, `token = `, 1) // an in-place write that was cut short
	if err := os.WriteFile(w.config, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.resume(); len(r) != 1 || r[0].Status != rekey.StatusVerified {
		t.Fatalf("got %+v, want a verified repair", r)
	}
	if _, err := w.engine().Undo(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(w.config)
	if err != nil || string(after) != string(before) {
		t.Errorf("undo left\n%s\nwant\n%s", after, before)
	}
}

func TestAnEditThatMayHaveBeenMadeIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(*world)
		want  rekey.Status
	}{
		"made":           {func(w *world) { w.failing = true }, rekey.StatusVerified},
		"not made":       {func(w *world) { w.noReplace = true }, rekey.StatusFailed},
		"nobody can see": {func(w *world) { w.failing = true; w.onWrite = func() { w.unread = true } }, rekey.StatusOpen},
	} {
		w := newWorld(t)
		record := w.Runner("instance", 0, nil)
		w.write(section{"one", " " + record.Token, record.ID})
		c.plant(w)
		if r := w.apply(w.target(0, rekey.RemedyRewrite))[0]; r.Status != c.want {
			t.Errorf("%s: got %+v, want %s", name, r, c.want)
		}
		w.unread, w.failing, w.onWrite = false, false, nil
		again := w.resume()
		if c.want == rekey.StatusOpen && (len(again) != 1 || again[0].Status != rekey.StatusVerified) {
			t.Errorf("%s: the resumption got %+v, want verified", name, again)
		}
	}
}

// slowHost delivers to one config only once the others have the token and are told.
type slowHost struct {
	remedy.Host
	slow   string
	others sync.WaitGroup
}

func (h *slowHost) wait() error {
	others := make(chan struct{})
	go func() { h.others.Wait(); close(others) }()
	select {
	case <-others:
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("the others do not get the token before this host is done")
	}
}

func (h *slowHost) Replace(path string, expect, next []byte) (string, error) {
	if path == h.slow {
		if err := h.wait(); err != nil {
			return "", err
		}
	}
	how, err := h.Host.Replace(path, expect, next)
	if path != h.slow {
		h.others.Done()
	}
	return how, err
}

// A host that answers slowly keeps no other one locked out.
func TestHostsAreDeliveredToSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.Runner("instance", 0, nil)
	configs := w.hosts(record, 4)
	w.config = configs[0]
	target := w.target(0, rekey.RemedyReset)
	for _, path := range configs[1:] {
		target.Also = append(target.Also, rekey.Place{Config: path, Name: "shared", Before: target.Before})
	}
	e := w.engine()
	slow := &slowHost{Host: e.Host, slow: configs[0]}
	slow.others.Add(len(configs) - 1)
	e.Host = slow
	results, err := e.Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil || results[0].Status != rekey.StatusVerified {
		t.Fatalf("got %+v (%v), want it verified", results, err)
	}
	token := w.sections()[0].Token
	for _, path := range configs {
		if got := w.sectionsOf(path)[0].Token; got != token || !w.accepted(got) {
			t.Errorf("%s has %s, want the new token", path, got)
		}
	}
}
