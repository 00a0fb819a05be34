package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
	"rekey/internal/agent"
	"rekey/internal/secretstore"
)

// world is a host, a store and a GitLab in memory; time is synctest's.
type world struct {
	mu                 sync.Mutex
	sections           []agent.Section
	configs            []string
	named              []string         // --section
	stamps             map[string]int64 // by config
	secrets            map[string]secretstore.Secret
	away               error
	readOnly           bool
	unwritable         error            // what a write comes to
	broken             map[string]error // secrets that cannot be read
	onStamp            func()
	hangGet, hangStamp func()
	slow               time.Duration // of each delivery
	onGet              func(n int)   // of the nth read
	watched            bool
	jumpy              bool          // watches end at once
	changed            chan struct{} // closed when a secret changes
	good               map[rekey.Token]rekey.Verdict
	asked              int
	gets               int
	reads              map[string]int
	puts               int
	given              []agent.Delivery
	refuse             error // of a delivery
	memory             map[agent.Key]agent.Agreed
	events             []agent.Event
	before             func() // called once before a write to the store
}

func newWorld(tokens ...rekey.Token) *world {
	w := &world{reads: map[string]int{}, broken: map[string]error{}, configs: []string{"/etc/config.toml"}, stamps: map[string]int64{}, secrets: map[string]secretstore.Secret{}, good: map[rekey.Token]rekey.Verdict{}, memory: map[agent.Key]agent.Agreed{}, changed: make(chan struct{})}
	for i, token := range tokens {
		w.sections = append(w.sections, agent.Section{Config: "/etc/config.toml", Name: fmt.Sprintf("s%d", i), Index: i, URL: "https://gitlab.example.com", Token: token})
	}
	return w
}

func (w *world) Stamp(path string) (agent.Stamp, error) {
	w.wait(&w.hangStamp)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onStamp != nil {
		w.onStamp()
	}
	return agent.Stamp{ModTime: 1 + w.stamps[path]}, nil
}

func (w *world) Sections(path string) ([]agent.Section, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var in []agent.Section
	for _, s := range w.sections {
		if s.Config == path {
			in = append(in, s)
		}
	}
	return in, nil
}

func (w *world) Features(context.Context, secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Write: !w.readOnly, Watch: w.watched}, nil
}

func (w *world) Get(_ context.Context, ref secretstore.Ref, _ secretstore.Version) (secretstore.Secret, error) {
	w.wait(&w.hangGet)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gets++
	w.reads[ref.Name]++
	if w.onGet != nil {
		w.onGet(w.gets)
	}
	if w.away != nil {
		return secretstore.Secret{}, w.away
	}
	if err := w.broken[ref.Name]; err != nil {
		return secretstore.Secret{}, err
	}
	s, ok := w.secrets[ref.Name]
	if !ok {
		return s, secretstore.Missing(ref, "there is none")
	}
	return s, nil
}

func (w *world) Put(_ context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	if w.before != nil {
		before := w.before
		w.before = nil
		before()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.puts++
	if w.unwritable != nil {
		return "", w.unwritable
	}
	now, found := w.secrets[ref.Name]
	if err := p.If.Check(ref, now.Version, found); err != nil {
		return "", err
	}
	w.set(ref.Name, value)
	return w.secrets[ref.Name].Version, nil
}

// set makes a version; the caller holds mu.
func (w *world) set(name string, value rekey.Token) {
	w.secrets[name] = secretstore.Secret{Value: value, Version: secretstore.Version(fmt.Sprint(len(w.secrets), "-", value.Fingerprint()))}
	w.stir()
}

// stir wakes the watches; the caller holds mu.
func (w *world) stir() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) drop(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.secrets, "/t/"+name)
	w.stir()
}

// wait hangs where the test wants it to.
func (w *world) wait(hang *func()) {
	w.mu.Lock()
	wait := *hang
	w.mu.Unlock()
	if wait != nil {
		wait()
	}
}

// now is what f returns, under the world's lock.
func now[T any](w *world, f func() T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return f()
}

// counts are the reads, the questions, the writes and the lines so far.
type counts struct{ gets, asked, puts, lines int }

func (w *world) counts() counts {
	return now(w, func() counts { return counts{w.gets, w.asked, w.puts, len(w.events)} })
}

// change changes the world under its lock.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) put(name string, value rekey.Token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set("/t/"+name, value)
}

func (w *world) edit(i int, token rekey.Token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sections[i].Token = token
	w.stamps[w.sections[i].Config]++
}

func (w *world) Watch(ctx context.Context, ref secretstore.Ref, since secretstore.Version) error {
	for {
		w.mu.Lock()
		now, changed := w.secrets[ref.Name].Version, w.changed
		w.mu.Unlock()
		if now != since || w.jumpy {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (w *world) Load() (map[agent.Key]agent.Agreed, error) { return maps.Clone(w.memory), nil }

func (w *world) Save(m map[agent.Key]agent.Agreed) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.memory, m)
	return nil
}

func (w *world) ask(_ context.Context, _ agent.Section, token rekey.Token) rekey.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	switch w.good[token] {
	case rekey.Valid:
		return rekey.Answer{Kind: rekey.AnswerAccepted}
	case rekey.Invalid:
		return rekey.Answer{Kind: rekey.AnswerRefused}
	}
	return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: "no answer"}
}

func (w *world) deliver(_ context.Context, all []agent.Delivery) []agent.Delivered {
	done := make([]agent.Delivered, len(all))
	for i, d := range all {
		w.mu.Lock()
		w.given = append(w.given, d)
		refused, slow := w.refuse, w.slow
		w.mu.Unlock()
		if slow > 0 {
			elapse(slow)
		}
		if done[i].Err = refused; refused == nil {
			w.edit(slices.IndexFunc(w.sections, func(s agent.Section) bool { return s.Config == d.Config && s.Index == d.Index }), d.New)
		}
	}
	return done
}

func (w *world) agent(pattern string, interval time.Duration) *agent.Agent {
	p, err := secretstore.ParsePattern(pattern)
	if err != nil {
		panic(err)
	}
	return agent.New(agent.Options{Configs: w.configs, Sections: w.named, Pattern: p, Host: "h", Interval: interval, Now: time.Now},
		agent.Ports{Files: w, Store: w, Ask: w.ask, Deliver: w.deliver, Memory: w, Report: func(e agent.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		}})
}

// run starts the loop; what is returned ends it and waits.
func run(t *testing.T, a *agent.Agent, now <-chan struct{}) (stop func()) {
	t.Helper()
	return runIn(t.Context(), a, now)
}

func runIn(ctx context.Context, a *agent.Agent, now <-chan struct{}) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx, now, nil) })
	synctest.Wait()
	return func() { cancel(); running.Wait() }
}

func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, e := range w.events {
		fmt.Fprintf(&b, "%s %s: %s → %s\n", e.Kind, e.Section, e.Text, e.Next)
	}
	return b.String()
}

func (w *world) wantStore(t *testing.T, name string, want rekey.Token) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.secrets["/t/"+name].Value; got != want {
		t.Errorf("the store holds %s for %s, want %s", got, name, want)
	}
}

func (w *world) wantConfig(t *testing.T, i int, want rekey.Token) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.sections[i].Token; got != want {
		t.Errorf("section %d holds %s, want %s", i, got, want)
	}
}

const pattern = "file:///t/{name}"

func TestFollowsBothSides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.good[tokenA], w.good[tokenB], w.good[tokenC] = rekey.Valid, rekey.Valid, rekey.Valid
		a := w.agent(pattern, 30*time.Second)
		stop := run(t, a, nil)
		defer stop()
		w.wantStore(t, "s0", tokenA)
		w.put("s0", tokenB)
		elapse(34 * time.Second)
		w.wantConfig(t, 0, tokenB)
		w.edit(0, tokenC)
		elapse(2 * time.Second) // the config is looked at every second
		w.wantStore(t, "s0", tokenC)
		before := w.counts()
		elapse(time.Hour)
		if n := w.counts(); n.asked != before.asked || n.lines != before.lines {
			t.Errorf("an idle hour asked GitLab %d times and wrote %d lines, want neither", n.asked-before.asked, n.lines-before.lines)
		}
		if h := a.Health(); !h.Healthy || h.Sections[0].State != agent.Stepped {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestAWriterThatPutsTheOldTokenBackDoesNotWin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.good[tokenA], w.good[tokenB] = rekey.Valid, rekey.Valid
		defer run(t, w.agent(pattern, 10*time.Second), nil)()
		w.put("s0", tokenB)
		elapse(12 * time.Second)
		w.edit(0, tokenA) // gitlab-runner wrote its whole file from memory
		elapse(2 * time.Second)
		w.wantConfig(t, 0, tokenB)
		w.wantStore(t, "s0", tokenB)
	})
}

func TestAStoreThatIsAwayStopsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA, tokenB)
		w.good[tokenA], w.good[tokenB], w.good[tokenC] = rekey.Valid, rekey.Valid, rekey.Valid
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		w.mu.Lock()
		w.away = rekey.Errorf(rekey.KindUnavailable, "sealed").WithHint("unseal it")
		gets := w.gets
		w.mu.Unlock()
		elapse(time.Hour)
		if n := w.counts().gets - gets; n > 25 || n < 10 {
			t.Errorf("%d looks at a store that was away for an hour, want one every five minutes", n)
		}
		if h := a.Health(); h.Healthy || h.Sections[1].State != agent.Degraded {
			t.Errorf("health is %+v, want degraded", h)
		}
		if n := strings.Count(w.told(), "sealed"); n != 1 {
			t.Errorf("it is told %d times, want once:\n%s", n, w.told())
		}
		w.mu.Lock()
		w.away = nil
		w.mu.Unlock()
		w.put("s0", tokenC)
		elapse(6 * time.Minute)
		w.wantConfig(t, 0, tokenC)
		if !a.Health().Healthy {
			t.Errorf("it is still unhealthy: %+v", a.Health())
		}
	})
}

func TestTwoAgentsOnOneReference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.good[tokenB] = rekey.Valid // gitlab-runner rotated: A is refused by now
		w.good[tokenA] = rekey.Invalid
		w.put("s0", tokenA)
		w.memory[agent.Key{Config: "/etc/config.toml", Section: "s0", Ref: "file:///t/s0"}] = agent.Agreed{Token: tokenA.Fingerprint()}
		w.edit(0, tokenB)
		w.good[tokenC] = rekey.Valid
		w.before = func() { w.put("s0", tokenC) } // the other agent was faster
		defer run(t, w.agent(pattern, 10*time.Second), nil)()
		elapse(5 * time.Second)
		w.wantStore(t, "s0", tokenC)
		w.wantConfig(t, 0, tokenC)
	})
}

func TestAWatchIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.watched = true
		w.good[tokenA], w.good[tokenB] = rekey.Valid, rekey.Valid
		defer run(t, w.agent(pattern, time.Hour), nil)()
		elapse(2 * time.Second)
		w.put("s0", tokenB)
		elapse(2 * time.Second)
		w.wantConfig(t, 0, tokenB)
	})
}

func TestNobodyIsAskedWithoutNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.good[tokenA] = rekey.Valid
		now := make(chan struct{}, 1)
		defer run(t, w.agent(pattern, 10*time.Second), now)()
		asked := w.counts().asked
		w.put("s0", tokenB)
		w.mu.Lock()
		w.good[tokenB] = rekey.Invalid
		w.mu.Unlock()
		elapse(time.Hour)
		if n := w.counts().asked - asked; n < 6 || n > 40 {
			t.Errorf("GitLab was asked %d times in an hour about a refused token, want less and less often", n)
		}
		w.wantConfig(t, 0, tokenA)
		w.wantStore(t, "s0", tokenB)
		if n := strings.Count(w.told(), "which GitLab refuses"); n != 1 {
			t.Errorf("it is told %d times:\n%s", n, w.told())
		}
		w.mu.Lock()
		w.good[tokenB] = rekey.Valid
		w.mu.Unlock()
		now <- struct{}{} // SIGHUP
		elapse(time.Second)
		w.wantConfig(t, 0, tokenB)
	})
}

func TestWhatCannotBeDeliveredIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(tokenA)
		w.good[tokenA], w.good[tokenB] = rekey.Valid, rekey.Valid
		w.refuse = rekey.Errorf(rekey.KindUnavailable, "the disk is full").WithHint("make room")
		a := w.agent(pattern, 10*time.Second)
		defer run(t, a, nil)()
		w.put("s0", tokenB)
		elapse(5 * time.Minute)
		if n := now(w, func() int { return len(w.given) }); n < 3 || n > 12 {
			t.Errorf("%d attempts in five minutes", n)
		}
		if h := a.Health(); h.Healthy || h.Sections[0].Next != "make room" {
			t.Errorf("health is %+v, want the reason's hint", h)
		}
		w.mu.Lock()
		w.refuse = nil
		w.mu.Unlock()
		elapse(2 * time.Minute)
		w.wantConfig(t, 0, tokenB)
	})
}

func TestSectionsThatWouldShareASecretAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(tokenA, tokenB)
	err := w.agent("file:///t/one", time.Minute).Once(t.Context())
	if err == nil || !strings.Contains(err.Error(), "2 sections would share") || !strings.Contains(rekey.HintOf(err), "{name}") {
		t.Errorf("got %v (%s)", err, rekey.HintOf(err))
	}
	if len(w.secrets) != 0 || len(w.given) != 0 {
		t.Errorf("something was written")
	}
}

func TestAStoreThatOnlyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(tokenA)
	w.good[tokenA], w.readOnly = rekey.Valid, true
	err := w.agent(pattern, time.Minute).Once(t.Context())
	if err == nil || !strings.Contains(err.Error(), "can only be read") {
		t.Errorf("got %v", err)
	}
}

func TestTheSectionUnderRotationIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(tokenA, tokenB)
	w.sections[1].Name = "s0 rekey-20260301t120000abcd-1"
	w.good[tokenA], w.good[tokenB] = rekey.Valid, rekey.Valid
	if err := w.agent(pattern, time.Minute).Once(t.Context()); err != nil || len(w.secrets) != 1 {
		t.Errorf("got %v and %d secrets, want one", err, len(w.secrets))
	}
}

func TestNothingShowsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(tokenA)
	w.good[tokenA], w.good[tokenB] = rekey.Valid, rekey.Invalid
	w.put("s0", tokenB)
	a := w.agent(pattern, time.Minute)
	_ = a.Once(t.Context())
	var metrics bytes.Buffer
	if err := a.Metrics(&metrics); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"log": w.told(), "metrics": metrics.String(), "health": fmt.Sprintf("%+v", a.Health()), "agent": fmt.Sprintf("%+v %#v", a, a)} {
		if strings.Contains(text, "CANARY") {
			t.Errorf("the %s shows a token: %s", name, text)
		}
	}
}

// elapse lets synctest's time pass.
func elapse(d time.Duration) { <-time.After(d) }
