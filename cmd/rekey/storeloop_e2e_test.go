package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/lab/labtest"
	"rekey/internal/secretstore/secretstoretest"
)

// storeRoundsEnv is how many rotations of each store are asked for; a run without it
// makes few, in the file store alone.
const storeRoundsEnv = "REKEY_STORE_ROUNDS"

// bringWithin is how soon after a rotation the host has the token.
const bringWithin = 5 * time.Second

// TestStoreLoop rotates a record whose host follows a sealed file, a few times.
func TestStoreLoop(t *testing.T) {
	t.Parallel()
	fileLoop(t, 5, false)
}

// TestE2EStoreLoop rotates from elsewhere, over and over, through each store. The agent
// on the host and the rotation are killed at random; Vault's answers are lost at times.
func TestE2EStoreLoop(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(os.Getenv(storeRoundsEnv))
	if err != nil {
		rounds = 20
	}
	for name, run := range map[string]func(*testing.T, int, bool){"file": fileLoop, "vault": vaultLoop, "aws": awsLoop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, rounds, true)
		})
	}
}

func fileLoop(t *testing.T, rounds int, timed bool) {
	t.Helper()
	dir := t.TempDir()
	l := newStoreLoop(t, "file://"+filepath.Join(dir, "{name}.sealed")+"?key="+filepath.Join(dir, "key.txt"))
	l.interval = "30s"
	l.timed = timed
	l.run(rounds)
}

func vaultLoop(t *testing.T, rounds int, timed bool) {
	t.Helper()
	v := secretstoretest.Vault(t)
	lossy := &lossyFront{odds: 12, writes: func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/secret/data/")
	}}
	front := lossy.start(t, v.URL)
	l := newStoreLoop(t, "vault://secret/ci/{name}")
	l.env = append(l.env, "VAULT_TOKEN="+v.Root)
	l.agentEnv, l.rotateEnv = []string{"VAULT_ADDR=" + v.URL}, []string{"VAULT_ADDR=" + front}
	l.timed = timed
	l.run(rounds)
	t.Logf("%d answers to writes were lost", lossy.lost.Load())
}

func awsLoop(t *testing.T, rounds int, timed bool) {
	t.Helper()
	l := newStoreLoop(t, "awssm://eu-central-1/ci/{name}#token")
	l.env = append(l.env, "AWS_ENDPOINT_URL="+secretstoretest.Moto(t), "AWS_ACCESS_KEY_ID=CANARY", "AWS_SECRET_ACCESS_KEY=CANARY", "AWS_EC2_METADATA_DISABLED=true")
	l.timed = timed
	l.run(rounds)
}

// storeLoop is a host with one section, its agent and what polls with its token, and a
// place elsewhere from which the record is rotated.
type storeLoop struct {
	t                        *testing.T
	lab                      *labtest.Lab
	dir, config, ref         string
	env, agentEnv, rotateEnv []string
	rng                      *rand.Rand
	seed                     uint64

	interval string // at which the agent polls; a file is watched
	timed    bool   // what is late fails, unless the agent was killed meanwhile

	mu  sync.Mutex
	log bytes.Buffer

	agentKills, midway, rotateKills, replaced, late int
	delays                                          []time.Duration
	refused, polls                                  atomic.Int64
}

func newStoreLoop(t *testing.T, pattern string) *storeLoop {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("REKEY_STORE_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("REKEY_STORE_SEED=%d", seed)
	l := &storeLoop{t: t, interval: "1s", dir: t.TempDir(), ref: pattern, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), lab: labtest.Start(t, labtest.Options{Version: "18.8"})}
	l.config = filepath.Join(l.dir, "host", "config.toml")
	must(t, os.MkdirAll(filepath.Dir(l.config), 0o700))
	r := l.lab.Runner("instance", 0, labtest.M{"tag_list": deployTags, "description": "deploy"})
	must(t, os.WriteFile(filepath.Join(l.dir, "host", ".runner_system_id"), []byte("r_CANARY012345"), 0o600))
	must(t, os.WriteFile(l.config, fmt.Appendf(nil, "concurrent = 1 # of two\n\n[[runners]]\n  name = \"deploy\"\n  url = %q\n  id = %d\n  token = %q # kept in step\n  executor = \"shell\"\n", l.lab.URL, r.ID, r.Token), 0o600))
	return l
}

// run makes the rounds, and then looks at what is left over.
func (l *storeLoop) run(rounds int) {
	l.t.Helper()
	began := time.Now()
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { l.keepAgent(stop) })
	beside.Go(func() { l.poll(stop) })
	defer func() {
		close(stop)
		beside.Wait()
	}()
	l.await("the agent brings the first token into the store", func() bool { return l.stored() == l.section().Token.Reveal() })
	for round := 1; round <= rounds && l.round(round); round++ {
	}
	slices.Sort(l.delays)
	kills := l.kills()
	l.mu.Lock()
	midway := l.midway
	l.mu.Unlock()
	if n := len(l.delays); n > 0 {
		fmt.Printf("store loop, %s: %d rotations in %.0f s; %d kills of rotate (%d records replaced), %d of the agent (%d while it delivered); the config was good after %.2f s at the median, %.2f s at most (%d later than %s); %d of %d polls refused\n",
			strings.SplitN(l.ref, ":", 2)[0], n, time.Since(began).Seconds(), l.rotateKills, l.replaced, kills, midway, l.delays[n/2].Seconds(), l.delays[n-1].Seconds(), l.late, bringWithin, l.refused.Load(), l.polls.Load())
	}
	if l.t.Failed() {
		l.tellAgent()
	}
}

// tellAgent shows the end of what the agents said.
func (l *storeLoop) tellAgent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.log.String()
	l.t.Logf("the agent said:\n%s", text[max(0, len(text)-4000):])
}

// round rotates once, from elsewhere, and holds the host to the promise. It reports
// whether another round can tell anything.
func (l *storeLoop) round(n int) bool {
	l.t.Helper()
	before := l.section()
	args := []string{"rotate", strconv.Itoa(int(before.ID)), "--store", l.ref, "--deliver-by-agent", "--strategy", "in-place", "--proof", "verify", "--yes", "--rps", "0", "--proof-wait", "20s", "--recheck-after", "0s"}
	for try := 1; ; try++ {
		kill := time.Duration(-1)
		if try <= 2 && l.rng.IntN(2) == 0 {
			kill = time.Duration(l.rng.Int64N(int64(100 * time.Millisecond)))
		}
		e := l.rotate(kill, args)
		if e.code == 0 && e.signal == 0 {
			break
		}
		if e.signal == 0 && try >= 6 {
			l.t.Errorf("round %d: the rotation is not content: %v", n, e)
			return false
		}
		l.await("the config is good before the rotation is tried again", func() bool { return l.journalOpen() || l.good() })
		if now := l.section().ID; now != before.ID { // the journal's own record took its place
			args[1] = strconv.Itoa(int(now))
		}
	}
	ended, kills := time.Now(), l.kills()
	l.note("round %d: the rotation has ended; %s", n, l.state())
	l.await("an agent brings the token", func() bool { return l.inStep(before.Token) })
	delay := time.Since(ended)
	l.delays = append(l.delays, delay)
	switch killed := l.kills() - kills; {
	case delay <= bringWithin:
	case killed > 0:
		l.late++
		l.note("round %d: late (%s), after %d kills of the agent", n, delay, killed)
		l.tellAgent()
	case l.timed:
		l.t.Errorf("round %d: the config had the token %s after the rotation, want %s at most", n, delay, bringWithin)
		l.late++
	}
	after := l.section()
	if after.ID != before.ID {
		l.replaced++
	}
	return l.wantOneRecord(n, int64(after.ID))
}

func (l *storeLoop) kills() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agentKills
}

// inStep: the config has another token than before, the lab takes it, and it is the
// store's.
func (l *storeLoop) inStep(before rekey.Token) bool {
	now := l.section().Token
	return now != before && !now.IsZero() && l.owner(now) != 0 && l.stored() == now.Reveal()
}

func (l *storeLoop) good() bool { return l.owner(l.section().Token) != 0 }

// state says whose tokens config and store hold.
func (l *storeLoop) state() string {
	stored := rekey.NewToken(l.stored())
	now := l.section()
	return fmt.Sprintf("config: id %d, %s, of runner %d; store: %s, of runner %d; open: %v", now.ID, now.Token, l.owner(now.Token), stored, l.owner(stored), l.journalOpen())
}

// wantOneRecord: nothing is left in the lab but the record of the section.
func (l *storeLoop) wantOneRecord(n int, id int64) bool {
	l.t.Helper()
	var list []record
	l.lab.Must(http.StatusOK, "GET", "runners/all?per_page=100", nil, &list)
	if len(list) != 1 || list[0].ID != id {
		l.t.Errorf("round %d: the lab has the records %+v, want %d alone", n, list, id)
		return false
	}
	var one record
	l.lab.Must(http.StatusOK, "GET", fmt.Sprintf("runners/%d", id), nil, &one)
	if !slices.Equal(slices.Sorted(slices.Values(one.Tags)), deployTags) || one.Paused {
		l.t.Errorf("round %d: runner %d has the tags %v (paused: %v), want %v", n, id, one.Tags, one.Paused, deployTags)
	}
	if l.journalOpen() {
		l.t.Errorf("round %d: a journal is open after a rotation that was content", n)
		return false
	}
	return true
}

// rotate runs the rotation elsewhere; it is killed after a while, or not (-1).
func (l *storeLoop) rotate(kill time.Duration, args []string) ended {
	l.t.Helper()
	var out, said bytes.Buffer
	cmd := exec.Command(mortal, args...)
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "REKEY_STATE_DIR=" + l.elsewhere(), "GITLAB_HOST=" + l.lab.URL, "GITLAB_TOKEN=" + l.lab.Admin}, l.env, l.rotateEnv)
	cmd.Stdout, cmd.Stderr = &out, &said
	must(l.t, cmd.Start())
	bound := patience
	if kill >= 0 {
		bound = kill
	}
	timer := time.AfterFunc(bound, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	e := ended{args: args, code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: said.String()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.signal = status.Signal()
		l.rotateKills++
	}
	return e
}

func (l *storeLoop) elsewhere() string { return filepath.Join(l.dir, "elsewhere") }

// journalOpen reports whether a rotation has begun elsewhere and not ended.
func (l *storeLoop) journalOpen() bool {
	open, _ := (&attempt{world: &world{t: l.t, state: l.elsewhere()}}).journals()
	return open != ""
}

// keepAgent runs the agent, and kills it every now and then: at a moment of chance, or
// while it delivers.
func (l *storeLoop) keepAgent(stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(l.seed, 2))
	for {
		cmd := exec.Command(mortal, "agent", "--config", l.config, "--store", l.ref, "--interval", l.interval, "--rps", "0")
		cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "REKEY_STATE_DIR=" + filepath.Join(l.dir, "state")}, l.env, l.agentEnv)
		cmd.Stderr = l
		if err := cmd.Start(); err != nil {
			l.t.Errorf("the agent does not start: %v", err)
			return
		}
		life := time.Second/4 + time.Duration(rng.Int64N(int64(8*time.Second)))
		begun := l.delivering()
		if rng.IntN(2) == 0 {
			begun = nil
		}
		after := time.Duration(rng.Int64N(int64(60 * time.Millisecond)))
		done := false
		select {
		case <-stop:
			done = true
		case <-time.After(life):
		case <-begun:
			<-time.After(after)
			l.mu.Lock()
			l.midway++
			l.mu.Unlock()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		l.note("the agent was killed")
		if done {
			return
		}
		l.mu.Lock()
		l.agentKills++
		l.mu.Unlock()
	}
}

// delivering is closed once the agent on the host begins a journal.
func (l *storeLoop) delivering() <-chan struct{} {
	begun := make(chan struct{})
	dir := filepath.Join(l.dir, "state", "operations")
	count := func() int { entries, _ := os.ReadDir(dir); return len(entries) }
	before := count()
	go func() {
		defer close(begun)
		for end := time.Now().Add(9 * time.Second); count() == before && time.Now().Before(end); {
			<-time.After(2 * time.Millisecond)
		}
	}()
	return begun
}

// Write keeps what the agents say.
func (l *storeLoop) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.log, "%s %s", time.Now().Format("05.000"), p)
	return len(p), nil
}

// note puts a word of the test's own between what the agents say.
func (l *storeLoop) note(format string, args ...any) { _, _ = fmt.Fprintf(l, format+"\n", args...) }

// poll asks for jobs with the config's token, as a gitlab-runner does.
func (l *storeLoop) poll(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		token := l.section().Token
		if token.IsZero() {
			continue
		}
		l.polls.Add(1)
		a := l.lab.Call("POST", "jobs/request", "", labtest.M{"token": token.Reveal(), "system_id": "r_CANARY012345", "info": labtest.M{"name": "gitlab-runner"}})
		if a.Status == http.StatusForbidden {
			l.refused.Add(1)
		}
	}
}

// section is the host's, the zero one while its file is being written.
func (l *storeLoop) section() configtoml.Section {
	data, err := os.ReadFile(l.config)
	if err != nil {
		return configtoml.Section{}
	}
	doc, err := configtoml.Parse(data)
	if err != nil || len(doc.Sections()) != 1 {
		return configtoml.Section{}
	}
	return doc.Sections()[0]
}

// owner asks the lab whose token it is; 0 for nobody's.
func (l *storeLoop) owner(token rekey.Token) int64 {
	if token.IsZero() {
		return 0
	}
	a := l.lab.Call("POST", "runners/verify", "", labtest.M{"token": token.Reveal(), "system_id": "r_CANARY012345"})
	var r record
	if a.Status != http.StatusOK || json.Unmarshal([]byte(a.Body), &r) != nil {
		return 0
	}
	return r.ID
}

// stored is the store's current value, "" for none.
func (l *storeLoop) stored() string {
	cmd := exec.Command(mortal, "secret", "get", strings.ReplaceAll(l.ref, "{name}", "deploy"))
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "REKEY_STATE_DIR=" + l.elsewhere()}, l.env, l.agentEnv)
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func (l *storeLoop) await(what string, there func() bool) {
	l.t.Helper()
	for end := time.Now().Add(patience / 5); !there(); l.pause(50 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("%s: it did not come to that: %s", what, l.state())
		}
	}
}

func (l *storeLoop) pause(d time.Duration) {
	select {
	case <-l.t.Context().Done():
		l.t.FailNow()
	case <-time.After(d):
	}
}

// lossyFront stands before a store and loses one in odds answers to a write that was
// carried out.
type lossyFront struct {
	odds   int
	writes func(*http.Request) bool
	lost   atomic.Int64
	deaf   atomic.Int64 // so many requests more break: nobody can look at once what became of the write
}

func (f *lossyFront) start(t *testing.T, to string) string {
	t.Helper()
	base, err := url.Parse(to)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(base)
	proxy.ModifyResponse = func(r *http.Response) error {
		switch {
		case f.deaf.Load() > 0:
			f.deaf.Add(-1)
			return errLostAnswer
		case !f.writes(r.Request) || rand.IntN(f.odds) != 0:
			return nil
		}
		f.lost.Add(1)
		f.deaf.Store(rand.Int64N(4))
		return errLostAnswer
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // the connection breaks
	return serveFront(t, proxy)
}

var errLostAnswer = fmt.Errorf("the answer is lost")

func serveFront(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
