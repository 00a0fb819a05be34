package simrunner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const canary = "glrt-CANARY0123456789abcd"

// coordinator speaks the job endpoints strictly: what a GitLab would refuse is
// an error of the test.
type coordinator struct {
	t testing.TB

	mu       sync.Mutex
	tokens   map[string]bool // runner tokens that are valid
	queue    []map[string]any
	polls    []poll
	jobs     map[int64]*served
	answer   func(w http.ResponseWriter, r *http.Request) bool // first say; true: answered
	jobState func(*served) string                              // Job-Status of the next answer
	interval int                                               // X-GitLab-Trace-Update-Interval
	final    []int                                             // statuses of final PUTs before 200
}

type poll struct {
	header http.Header
	body   map[string]any
}

// served is a job that was handed out.
type served struct {
	id     int64
	token  string
	trace  []byte
	states []string // of every PUT
	last   map[string]any
	header http.Header // of the last PUT
	lose   bool        // forget the trace before the next PATCH
	done   bool
}

func newCoordinator(t testing.TB, tokens ...string) *coordinator {
	c := &coordinator{t: t, tokens: map[string]bool{}, jobs: map[int64]*served{}}
	for _, token := range tokens {
		c.tokens[token] = true
	}
	return c
}

// start serves on a port.
func (c *coordinator) start() string {
	srv := httptest.NewServer(c)
	c.t.Cleanup(srv.Close)
	return srv.URL
}

// RoundTrip serves without a port, so that synctest sees no I/O.
func (c *coordinator) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (c *coordinator) add(job map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, job)
}

func (c *coordinator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Path == "/api/v4/jobs/request" {
		c.request(w, r)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/v4/jobs/")
	text, tail, _ := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(text, 10, 64)
	j := c.jobs[id]
	switch {
	case !ok || err != nil || j == nil:
		c.t.Errorf("request %s %s: no such job", r.Method, r.URL.Path)
		reply(w, 404, "404 Not Found")
	case tail == "" && r.Method == http.MethodPut:
		c.put(w, r, j)
	case tail == "trace" && r.Method == http.MethodPatch:
		c.patch(w, r, j)
	default:
		c.t.Errorf("request %s %s is none of the protocol", r.Method, r.URL.Path)
		reply(w, 405, "405 Method Not Allowed")
	}
}

func (c *coordinator) request(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json" {
		c.t.Errorf("jobs/request: method %s, headers %v", r.Method, r.Header.Get("Content-Type"))
	}
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		c.t.Errorf("jobs/request body: %v", err)
	}
	c.polls = append(c.polls, poll{r.Header.Clone(), body})
	if c.answer != nil && c.answer(w, r) {
		return
	}
	token, _ := body["token"].(string)
	if !c.tokens[token] {
		reply(w, 403, "403 Forbidden")
		return
	}
	w.Header().Set("X-GitLab-Last-Update", fmt.Sprintf("value-%d", len(c.jobs)))
	if len(c.queue) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	job := c.queue[0]
	c.queue = c.queue[1:]
	id := int64(len(c.jobs) + 1)
	j := &served{id: id, token: fmt.Sprintf("glcbt-CANARYjob%013d", id)}
	c.jobs[id] = j
	job["id"], job["token"] = id, j.token
	w.Header().Del("X-GitLab-Last-Update")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(job)
}

func (c *coordinator) put(w http.ResponseWriter, r *http.Request, j *served) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		c.t.Errorf("PUT job body: %v", err)
	}
	state, _ := body["state"].(string)
	j.states, j.header = append(j.states, state), r.Header.Clone()
	if body["token"] != j.token {
		c.t.Errorf("PUT job %d: token in the body is not the job's", j.id)
	}
	if body["info"] == nil {
		c.t.Errorf("PUT job %d: no info", j.id)
	}
	c.decorate(w, j)
	if state != "running" && state != "success" && state != "failed" {
		c.t.Errorf("PUT job %d: state %q", j.id, state)
	}
	if ended := w.Header().Get("Job-Status"); ended == "canceled" {
		reply(w, 403, "403 Forbidden - Job is not running")
		return
	}
	if state == "running" {
		w.WriteHeader(http.StatusOK)
		return
	}
	sum := fmt.Sprintf("crc32:%08x", crc32.ChecksumIEEE(j.trace))
	output, _ := body["output"].(map[string]any)
	if output["checksum"] != sum || output["bytesize"] != float64(len(j.trace)) {
		c.t.Errorf("PUT job %d: output %v, want %s and %d bytes", j.id, output, sum, len(j.trace))
	}
	if len(c.final) > 0 {
		status := c.final[0]
		c.final = c.final[1:]
		if status == http.StatusPreconditionFailed {
			j.trace = nil
		}
		w.WriteHeader(status)
		return
	}
	j.last, j.done = body, true
	w.WriteHeader(http.StatusOK)
}

func (c *coordinator) patch(w http.ResponseWriter, r *http.Request, j *served) {
	if r.Header.Get("JOB-TOKEN") != j.token || r.Header.Get("Content-Type") != "text/plain" {
		c.t.Errorf("PATCH trace of %d: job token or content type is wrong", j.id)
	}
	if j.lose {
		j.trace, j.lose = nil, false
	}
	var start, end int
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "%d-%d", &start, &end); err != nil {
		c.t.Errorf("PATCH trace of %d: Content-Range %q", j.id, r.Header.Get("Content-Range"))
	}
	data, _ := io.ReadAll(r.Body)
	if end-start+1 != len(data) || len(data) == 0 {
		c.t.Errorf("PATCH trace of %d: Content-Range %q with %d bytes", j.id, r.Header.Get("Content-Range"), len(data))
	}
	c.decorate(w, j)
	if w.Header().Get("Job-Status") == "canceled" {
		reply(w, 403, "403 Forbidden")
		return
	}
	if start != len(j.trace) {
		w.Header().Set("Range", fmt.Sprintf("0-%d", len(j.trace)))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		_, _ = io.WriteString(w, `{"error":"416 Range Not Satisfiable"}`)
		return
	}
	j.trace = append(j.trace, data...)
	w.Header().Set("Range", fmt.Sprintf("0-%d", len(j.trace)))
	w.WriteHeader(http.StatusAccepted)
}

func (c *coordinator) decorate(w http.ResponseWriter, j *served) {
	status := "running"
	if c.jobState != nil {
		status = c.jobState(j)
	}
	w.Header().Set("Job-Status", status)
	if c.interval > 0 {
		w.Header().Set("X-GitLab-Trace-Update-Interval", strconv.Itoa(c.interval))
	}
}

func reply(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// look runs f while no request is served.
func (c *coordinator) look(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
