package agent_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
	"rekey/internal/agent"
)

// newTwins is a host with two configs that both have a section s0.
func newTwins() *world {
	w := newWorld(tokenA, tokenB)
	w.configs = append(w.configs, "/etc/other.toml")
	w.sections[1].Config, w.sections[1].Name, w.sections[1].Index = w.configs[1], "s0", 0
	w.good[tokenA], w.good[tokenB], w.good[tokenC] = rekey.Valid, rekey.Valid, rekey.Valid
	return w
}

func TestTwinsOfTwoConfigsStayRefusedWhenOneIsTouched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTwins()
		w.put("s0", tokenA)
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		for i, token := range []rekey.Token{tokenB, tokenC} { // touched, and changed
			w.edit(1, token)
			elapse(time.Minute)
			w.wantStore(t, "s0", tokenA)
			w.wantConfig(t, 1, token)
			for _, s := range a.Health().Sections {
				if s.State != agent.Behind || !strings.Contains(s.Why, "2 sections would share") {
					t.Errorf("touch %d: %s is %s (%s), want refused", i, s.Config, s.State, s.Why)
				}
			}
		}
	})
}

func TestATwinIsLookedAfterOnceTheOtherIsRenamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTwins()
		a := w.agent(pattern, time.Hour)
		defer run(t, a, nil)()
		w.change(func() { w.sections[1].Name = "mine" })
		w.edit(1, tokenB)
		elapse(3 * time.Second)
		w.wantStore(t, "s0", tokenA)
		w.wantStore(t, "mine", tokenB)
		for _, s := range a.Health().Sections {
			if s.State != agent.Stepped {
				t.Errorf("%s of %s is %s (%s), want in step", s.Name, s.Config, s.State, s.Why)
			}
		}
		w.change(func() { w.sections[1].Name = "s0" })
		w.edit(1, tokenB)
		elapse(3 * time.Second)
		for _, s := range a.Health().Sections {
			if s.State != agent.Behind {
				t.Errorf("%s of %s is %s, want refused again", s.Name, s.Config, s.State)
			}
		}
	})
}
