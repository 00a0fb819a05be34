package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
	"rekey/internal/agent"
)

func tokens(n int) []rekey.Token {
	var all []rekey.Token
	for i := range n {
		all = append(all, rekey.NewToken(fmt.Sprintf("glrt-CANARYsection%07d", i)))
	}
	return all
}

// newMany is a world with n sections in step.
func newMany(n int) *world {
	w := newWorld(tokens(n)...)
	for i, s := range w.sections {
		w.good[s.Token] = rekey.Valid
		w.set(fmt.Sprintf("/t/s%d", i), s.Token)
	}
	w.good[tokenB], w.good[tokenC] = rekey.Valid, rekey.Valid
	return w
}

var (
	broken    = rekey.Errorf(rekey.KindUnavailable, "is a directory").WithHint("move it away")
	forbidden = rekey.Errorf(rekey.KindDenied, "403").WithHint("add a line to the policy")
)

func states(a *agent.Agent) map[agent.State]int {
	in := map[agent.State]int{}
	for _, s := range a.Health().Sections {
		in[s.State]++
	}
	return in
}

func TestASecretThatCannotBeReadStopsNoOther(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]int{{0}, {19}, {0, 1}, {0, 1, 2, 3}, {3, 10, 18}} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newMany(20)
				for _, i := range bad {
					w.broken[fmt.Sprintf("/t/s%d", i)] = broken
				}
				a := w.agent(pattern, time.Second)
				defer run(t, a, nil)()
				elapse(time.Minute)
				if in := states(a); in[agent.Stepped] != 20-len(bad) || in[agent.Degraded] != len(bad) {
					t.Errorf("states are %v, want %d degraded alone:\n%s", in, len(bad), w.told())
				}
				w.put("s15", tokenB)
				elapse(2500 * time.Millisecond) // a second, the spread and the tick
				w.wantConfig(t, 15, tokenB)
				lines := w.counts().lines
				elapse(2 * time.Minute)
				if w.counts().lines != lines || strings.Count(w.told(), "is a directory") > len(bad)+2 {
					t.Errorf("it is told again and again:\n%s", w.told())
				}
				w.change(func() { clear(w.broken) })
				elapse(2 * time.Minute)
				if in := states(a); in[agent.Stepped] != 20 || !a.Health().Healthy {
					t.Errorf("states are %v, want all in step", in)
				}
				if n := strings.Count(w.told(), "away s"); n != len(bad) {
					t.Errorf("%d of %d sections are told of:\n%s", n, len(bad), w.told())
				}
			})
		})
	}
}

func TestAStoreThatIsAwayCostsFewLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMany(50)
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		elapse(time.Minute)
		var gets int
		w.change(func() { w.away, gets = rekey.Errorf(rekey.KindUnavailable, "sealed"), w.gets })
		elapse(12 * time.Second)
		if n := w.counts().gets - gets; n < 2 || n > 3 { // two, and one more where a second round fell into it
			t.Errorf("%d looks in twelve seconds, want two or three", n)
		}
		elapse(time.Hour)
		if n := w.counts().gets - gets; n > 25 {
			t.Errorf("%d looks in an hour, want one every five minutes", n)
		}
		if in := states(a); in[agent.Degraded] != 50 || strings.Count(w.told(), "sealed") != 1 {
			t.Errorf("states are %v, told:\n%s", in, w.told())
		}
		w.change(func() { w.away = nil })
		elapse(6 * time.Minute)
		if in := states(a); in[agent.Stepped] != 50 {
			t.Errorf("states are %v, want all in step", in)
		}
	})
}

func TestWhatIsDeniedIsTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string][]int{"one section": {1}, "all": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newMany(2)
				a := w.agent(pattern, 10*time.Second)
				defer run(t, a, nil)()
				w.change(func() {
					for _, i := range denied {
						w.broken[fmt.Sprintf("/t/s%d", i)] = forbidden
					}
				})
				elapse(time.Hour)
				for _, i := range denied {
					if n := now(w, func() int { return w.reads[fmt.Sprintf("/t/s%d", i)] }); n < 12 || n > 25 {
						t.Errorf("%d looks at s%d in an hour, want one every five minutes", n, i)
					}
				}
				if n := strings.Count(w.told(), "403"); n != len(denied) {
					t.Errorf("it is told %d times:\n%s", n, w.told())
				}
				w.change(func() { clear(w.broken) })
				elapse(6 * time.Minute)
				w.put("s1", tokenB)
				elapse(13 * time.Second) // as often as before
				w.wantConfig(t, 1, tokenB)
				if in := states(a); in[agent.Stepped] != 2 {
					t.Errorf("states are %v, want both in step", in)
				}
			})
		})
	}
}

// TestWhatWasDeniedIsTriedAtOnceWhenAnotherWorks: a policy was mended for all.
func TestWhatWasDeniedIsTriedAtOnceWhenAnotherWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMany(20)
		for name := range w.secrets {
			w.broken[name] = forbidden
		}
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		elapse(time.Hour)
		w.change(func() { clear(w.broken) })
		for range 360 {
			if elapse(time.Second); states(a)[agent.Stepped] > 0 {
				break
			}
		}
		elapse(2 * time.Second)
		if in := states(a); in[agent.Stepped] != 20 {
			t.Errorf("states are %v, want all in step", in)
		}
	})
}
