package agent_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
)

// many is more reads, writes or questions than the tests here have time for, unless
// the loop runs without a pause.
const many = 2000

// TestAWatchedSecretThatIsGoneIsNoHotLoop: the watch of a version that is no more ends
// at once, each time it is opened.
func TestAWatchedSecretThatIsGoneIsNoHotLoop(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*world){
		"and the config's token is refused": func(w *world) { w.good[tokenA] = rekey.Invalid },
		"and GitLab is silent":              func(w *world) { w.good[tokenA] = rekey.Unknown },
		"and nothing may be written": func(w *world) {
			w.unwritable = rekey.Errorf(rekey.KindDenied, "no right to write").WithHint("give it")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(tokenA)
				w.watched, w.good[tokenA] = true, rekey.Valid
				ctx, cancel := context.WithCancel(t.Context())
				w.onGet = func(n int) {
					if n > many {
						cancel() // else time would stand still
					}
				}
				defer runIn(ctx, w.agent(pattern, 10*time.Second), nil)()
				elapse(2 * time.Second)
				w.wantStore(t, "s0", tokenA)
				before := w.counts()
				w.change(func() { after(w) })
				w.drop("s0")
				elapse(10 * time.Minute)
				if n := w.counts().gets - before.gets; n > 100 || n < 20 {
					t.Errorf("%d reads in ten minutes, want one each ten seconds", n)
				}
				if n := w.counts().asked - before.asked; n > 20 || n < 3 {
					t.Errorf("GitLab was asked %d times in ten minutes, want less and less often", n)
				}
				if n := w.counts().puts - before.puts; n > 20 {
					t.Errorf("%d writes in ten minutes, want less and less often", n)
				}
				w.change(func() { w.good[tokenA], w.unwritable = rekey.Valid, nil })
				elapse(11 * time.Minute)
				w.wantStore(t, "s0", tokenA)
				w.change(func() { w.good[tokenB] = rekey.Valid })
				w.put("s0", tokenB)
				elapse(2 * time.Second) // it is watched again
				w.wantConfig(t, 0, tokenB)
			})
		})
	}
}

// TestAStoreWhoseWatchesEndAtOnce: a watch may see what a read does not.
func TestAStoreWhoseWatchesEndAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.watched, w.jumpy, w.good[tokenA] = true, true, rekey.Valid
		ctx, cancel := context.WithCancel(t.Context())
		w.onGet = func(n int) {
			if n > many {
				cancel()
			}
		}
		stamps := 0
		w.onStamp = func() {
			if stamps++; stamps > many {
				cancel()
			}
		}
		defer runIn(ctx, w.agent(pattern, 10*time.Second), nil)()
		elapse(time.Minute)
		if n := now(w, func() int { return stamps }); n > 200 {
			t.Errorf("%d turns of the loop in a minute, want three a second at most", n)
		}
		if n := w.counts().gets; n > 65 {
			t.Errorf("%d reads in a minute, want at most one a second", n)
		}
	})
}

// counted is a context that counts who still waits for its end.
type counted struct {
	context.Context
	mu      sync.Mutex
	waiting int
}

func (c *counted) Value(any) any { return nil } // it is none of context's own, and is asked

func (c *counted) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting++
	end := context.AfterFunc(c.Context, f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
		return end()
	}
}

func (c *counted) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// TestNothingGathersWhileNothingIsWatched: a store that could watch, and has no secret.
func TestNothingGathersWhileNothingIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.watched, w.good[tokenA] = true, rekey.Invalid
		inner, cancel := context.WithCancel(t.Context())
		ctx := &counted{Context: inner}
		a := w.agent(pattern, 10*time.Second)
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx, nil, nil) })
		elapse(10 * time.Minute)
		if n := ctx.now(); n > 2 {
			t.Errorf("after ten minutes %d contexts wait for the end, want one", n)
		}
		cancel()
		running.Wait()
	})
}
