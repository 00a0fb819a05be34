package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/internal/configtoml"
	"rekey/internal/lab/labtest"
	"rekey/internal/lab/simrunner"
)

// rotationsEnv is how many rotations `make soak` asks for; make test does few.
const rotationsEnv = "REKEY_SOAK_ROTATIONS"

// loadedJobs is the pipeline of the stream: short jobs, and one that is still
// running at the pause, the swap and the deletion that come meanwhile.
const loadedJobs = `one:
  tags: [load]
  variables: {GIT_STRATEGY: none}
  script: ['echo "$CI_JOB_ID" >> LOG']
two:
  tags: [load]
  variables: {GIT_STRATEGY: none}
  script: ['echo "$CI_JOB_ID" >> LOG']
long:
  tags: [load]
  variables: {GIT_STRATEGY: none}
  script: ['sleep 5; echo "$CI_JOB_ID" >> LOG']
`

// underLoad is a fleet of simulated hosts and a project whose jobs never cease.
type underLoad struct {
	t       *testing.T
	n       int           // records
	every   time.Duration // a pipeline begins
	lab     *labtest.Lab
	project int64
	dir     string
	configs []string
	host    func(ctx context.Context, config string) // a runner process until ctx ends

	refused atomic.Int64 // polls answered 403
	asked   atomic.Int64 // requests of rekey
	begun   atomic.Int64 // pipelines
}

// TestOverlapUnderLoad rotates every record of a fleet while jobs come in: no poll
// is refused, no job lost or run twice, and a record that three hosts share is
// served throughout.
func TestOverlapUnderLoad(t *testing.T) {
	t.Parallel()
	n, hosts := 30, 3
	if text := os.Getenv(rotationsEnv); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", rotationsEnv, err)
		}
		hosts = max(3, n/100)
	}
	w := newLoad(t, n, hosts, 1+n/100, time.Second)
	w.throughout("simulated")
}

// throughout rotates everything while jobs come in.
func (w *underLoad) throughout(kind string) {
	t, n, hosts := w.t, w.n, len(w.configs)
	before := w.tokens()
	stop := w.work()
	begin := time.Now()
	e := w.rotate()
	took := time.Since(begin)
	stop()
	if e.code != 0 {
		t.Fatalf("%v", e)
	}
	after := w.tokens()
	for i, token := range after {
		if slices.Contains(before, token) {
			t.Errorf("section %d still has its token", i)
		}
	}
	if len(after) != len(before) || w.refused.Load() != 0 {
		t.Errorf("%d sections of %d are left, %d polls were refused; want all and none", len(after), len(before), w.refused.Load())
	}
	jobs := w.wantEveryJobOnce()
	w.wantRecords(n)
	fmt.Printf("overlap under load, %s runners: %d rotations on %d hosts in %s, %d jobs in %d pipelines, %d polls refused, %.1f requests a rotation\n",
		kind, n, hosts, took.Round(100*time.Millisecond), jobs, w.begun.Load(), w.refused.Load(), float64(w.asked.Load())/float64(n))
}

func newLoad(t *testing.T, n, hosts, interval int, every time.Duration) *underLoad {
	w := &underLoad{t: t, n: n, every: every, dir: t.TempDir()}
	w.host = w.simulated
	w.lab = labtest.Start(t, labtest.Options{Version: "18.8", Fault: w.watch})
	w.project, _ = w.lab.Project("load", 0)
	w.lab.Must(http.StatusOK, "PUT", "application/plan_limits", labtest.M{"plan_name": "default", "ci_registered_project_runners": 0}, nil)
	w.lab.CIConfig(w.project, strings.ReplaceAll(loadedJobs, "LOG", w.log()))
	sections := make([]string, hosts)
	add := func(host int, name string, r labtest.Issued) {
		sections[host] += fmt.Sprintf("\n[[runners]]\n  name = %q\n  url = %q\n  id = %d\n  token = %q\n  token_obtained_at = %s\n  executor = \"shell\"\n",
			name, w.lab.URL, r.ID, r.Token, time.Now().UTC().Add(-48*time.Hour).Format(time.RFC3339))
	}
	shared := w.record("shared")
	for host := range 3 {
		add(host, "shared", shared)
	}
	for i := range n - 1 {
		name := fmt.Sprint("runner ", i)
		add(i%hosts, name, w.record(name))
	}
	for host, text := range sections {
		dir := filepath.Join(w.dir, fmt.Sprint("host", host))
		must(t, os.MkdirAll(dir, 0o700))
		config := filepath.Join(dir, "config.toml")
		must(t, os.WriteFile(filepath.Join(dir, ".runner_system_id"), fmt.Appendf(nil, "r_CANARY%06d", host), 0o600))
		must(t, os.WriteFile(config, fmt.Appendf(nil, "concurrent = 4\ncheck_interval = %d\n%s", interval, text), 0o600))
		w.configs = append(w.configs, config)
	}
	return w
}

func (w *underLoad) log() string { return filepath.Join(w.dir, "ran") }

func (w *underLoad) record(description string) labtest.Issued {
	return w.lab.Runner("project", w.project, labtest.M{"tag_list": []string{"load"}, "description": description})
}

// watch counts refused polls, and what rekey asks.
func (w *underLoad) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "rekey/") {
			w.asked.Add(1)
		}
		if !strings.HasSuffix(r.URL.Path, "/jobs/request") {
			next.ServeHTTP(rw, r)
			return
		}
		next.ServeHTTP(&statusWatch{ResponseWriter: rw, refused: &w.refused}, r)
	})
}

type statusWatch struct {
	http.ResponseWriter
	refused *atomic.Int64
}

// WriteHeader counts a refusal.
func (s *statusWatch) WriteHeader(status int) {
	if status == http.StatusForbidden {
		s.refused.Add(1)
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the lab reach what is underneath.
func (s *statusWatch) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// work runs the hosts and the stream of jobs; stop ends the stream, waits until
// every job is over, and ends the hosts.
func (w *underLoad) work() (stop func()) {
	var hosts, stream sync.WaitGroup
	ctx, cancel := context.WithCancel(w.t.Context())
	for _, config := range w.configs {
		hosts.Go(func() { w.host(ctx, config) })
	}
	streaming, end := context.WithCancel(ctx)
	w.lab.Pipeline(w.project, nil)
	w.begun.Add(1)
	stream.Go(func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			select {
			case <-streaming.Done():
				return
			case <-tick.C:
				w.lab.Pipeline(w.project, nil)
				w.begun.Add(1)
			}
		}
	})
	w.await("the first jobs", func() bool { return len(w.ran()) > 0 })
	return func() {
		end()
		stream.Wait()
		w.await("the end of the jobs", func() bool { return w.unfinished() == 0 })
		cancel()
		hosts.Wait()
	}
}

func (w *underLoad) simulated(ctx context.Context, config string) {
	runner, err := simrunner.New(simrunner.Options{Config: config, Now: time.Now, BuildsDir: filepath.Join(filepath.Dir(config), "builds")})
	if err != nil {
		w.t.Error(err)
		return
	}
	_ = runner.Run(ctx) // it has no error to give
}

// await polls on a condition.
func (w *underLoad) await(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s did not come", what)
		}
	}
}

type loadJob struct {
	ID     int64  `json:"id"`
	Status string `json:"status"`
}

func (w *underLoad) jobs(query string) []loadJob {
	w.t.Helper()
	var all []loadJob
	for page := 1; ; page++ {
		var some []loadJob
		w.lab.Must(http.StatusOK, "GET", fmt.Sprintf("projects/%d/jobs?per_page=100&page=%d%s", w.project, page, query), nil, &some)
		all = append(all, some...)
		if len(some) < 100 {
			return all
		}
	}
}

func (w *underLoad) unfinished() int {
	return len(w.jobs("&scope[]=created&scope[]=pending&scope[]=running"))
}

// ran are the ids that the scripts wrote down, one for each run.
func (w *underLoad) ran() []string {
	data, err := os.ReadFile(w.log())
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// rotate runs the real binary on all hosts at once.
func (w *underLoad) rotate() ended {
	args := []string{"rotate", "--due", "--max-age", "24h", "--yes", "--rps", "0", "--proof-wait", "2m", "--drain-timeout", "2m"}
	if os.Getenv(rotationsEnv) == "" { // beside other tests a simulated runner may take long to load its file
		args = append(args, "--recheck-after", "15s")
	}
	for _, config := range w.configs {
		args = append(args, "--config", config)
	}
	return execute(w.t, mortal, []string{"HOME=" + w.dir, "REKEY_STATE_DIR=" + filepath.Join(w.dir, "state"), "GITLAB_HOST=" + w.lab.URL, "GITLAB_TOKEN=" + w.lab.Admin}, "", args...)
}

func (w *underLoad) tokens() []string {
	w.t.Helper()
	var tokens []string
	for _, config := range w.configs {
		data, err := os.ReadFile(config)
		must(w.t, err)
		doc, err := configtoml.Parse(data)
		must(w.t, err)
		for _, s := range doc.Sections() {
			tokens = append(tokens, s.Token.Reveal())
		}
	}
	return tokens
}

// wantEveryJobOnce returns how many jobs there were.
func (w *underLoad) wantEveryJobOnce() int {
	w.t.Helper()
	jobs := w.jobs("")
	times := map[string]int{}
	for _, id := range w.ran() {
		times[id]++
	}
	for _, j := range jobs {
		if n := times[strconv.FormatInt(j.ID, 10)]; n != 1 || j.Status != "success" {
			w.t.Errorf("job %d ended as %s and ran %d times, want success, once", j.ID, j.Status, n)
		}
	}
	return len(jobs)
}

func (w *underLoad) wantRecords(n int) {
	w.t.Helper()
	var listed []struct {
		Paused bool `json:"paused"`
	}
	total := 0
	for page := 1; ; page++ {
		w.lab.Must(http.StatusOK, "GET", fmt.Sprintf("runners/all?per_page=100&page=%d", page), nil, &listed)
		for _, r := range listed {
			total++
			if r.Paused {
				w.t.Errorf("a record is paused")
			}
		}
		if len(listed) < 100 {
			break
		}
	}
	if total != n {
		w.t.Errorf("there are %d records, want %d as before", total, n)
	}
}
