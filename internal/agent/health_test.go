package agent_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
)

// TestALoopThatHangsIsUnhealthy: a folder of a server that is gone answers nobody.
func TestALoopThatHangsIsUnhealthy(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(*world, func()){
		"the store":   func(w *world, wait func()) { w.hangGet = wait },
		"the configs": func(w *world, wait func()) { w.hangStamp = wait },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newMany(2)
				a := w.agent(pattern, 10*time.Second)
				defer run(t, a, nil)()
				elapse(time.Hour)
				if h := a.Health(); !h.Healthy || h.Why != "" {
					t.Errorf("an idle hour made health %+v", h)
				}
				gone := make(chan struct{})
				w.change(func() { hang(w, func() { <-gone }) })
				elapse(time.Minute)
				if h := a.Health(); !h.Healthy {
					t.Errorf("a minute made health %+v, want patience", h)
				}
				elapse(4 * time.Minute)
				if h := a.Health(); h.Healthy || !strings.Contains(h.Why, name) {
					t.Errorf("health is %+v, want what hangs", h)
				}
				w.change(func() { hang(w, nil) })
				close(gone)
				elapse(2 * time.Second)
				if h := a.Health(); !h.Healthy {
					t.Errorf("it is still unhealthy: %+v", h)
				}
			})
		})
	}
}

// TestALongIntervalIsNoHang: nothing is due for hours.
func TestALongIntervalIsNoHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newMany(2).agent(pattern, 24*time.Hour)
		defer run(t, a, nil)()
		elapse(10 * time.Hour)
		if h := a.Health(); !h.Healthy {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestADeliveryOfManyIsNoHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokens(20)...)
		for _, s := range w.sections {
			w.put(s.Name, tokenB)
		}
		w.good[tokenB] = rekey.Valid
		w.slow = 10 * time.Second // for each
		a := w.agent(pattern, 10*time.Minute)
		defer run(t, a, nil)()
		elapse(190 * time.Second)
		if h := a.Health(); !h.Healthy {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestASectionThatIsNowhereIsNotHealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMany(2)
		w.named = []string{"s0", "deploy"}
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		elapse(time.Minute)
		if h := a.Health(); h.Healthy || len(h.Missing) != 1 || h.Missing[0] != "deploy" {
			t.Errorf("health is %+v, want the section that is nowhere", h)
		}
		if !strings.Contains(a.Summary(), "1 nowhere") {
			t.Errorf("the summary is %q", a.Summary())
		}
		var metrics bytes.Buffer
		if err := a.Metrics(&metrics); err != nil || !strings.Contains(metrics.String(), "rekey_agent_sections_missing 1\n") {
			t.Errorf("%v: the metrics are\n%s", err, metrics.String())
		}
		if n := strings.Count(w.told(), `no section is named "deploy"`); n != 1 {
			t.Errorf("it is told %d times, want once:\n%s", n, w.told())
		}
		w.change(func() { w.sections[1].Name = "deploy" })
		w.edit(1, now(w, func() rekey.Token { return w.sections[1].Token }))
		elapse(2 * time.Second)
		if h := a.Health(); !h.Healthy || len(h.Missing) > 0 || len(h.Sections) != 2 {
			t.Errorf("health is %+v, want healthy", h)
		}
		w.change(func() { w.sections[1].Name = "s1" }) // and is gone again
		w.edit(1, now(w, func() rekey.Token { return w.sections[1].Token }))
		elapse(time.Minute)
		if n := strings.Count(w.told(), `no section is named "deploy"`); n != 2 || a.Health().Healthy {
			t.Errorf("it is told %d times in all, want twice:\n%s", n, w.told())
		}
	})
}

func TestOnceRefusesASectionThatIsNowhere(t *testing.T) {
	t.Parallel()
	w := newMany(1)
	w.named = []string{"s0", "deploy"}
	w.put("s0", tokenB)
	err := w.agent(pattern, time.Minute).Once(context.Background())
	if err == nil || !strings.Contains(err.Error(), `no section is named "deploy"`) || !strings.Contains(rekey.HintOf(err), "rekey doctor") {
		t.Errorf("got %v (%s)", err, rekey.HintOf(err))
	}
	if len(w.given) > 0 {
		t.Error("something was delivered all the same")
	}
}
