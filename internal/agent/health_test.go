package agent_test

import (
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
