package simrunner

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 16 << 20

// client speaks the job endpoints as gitlab-runner of the version does.
type client struct {
	http     *http.Client
	version  rekey.Version
	systemID rekey.SystemID
}

// pollKind is how gitlab-runner sorts the answers of POST /jobs/request. Only
// refused and badURL count against the section's health.
type pollKind int

const (
	nothing     pollKind = iota // 204
	received                    // 201 with a job
	refused                     // 403
	badURL                      // nothing was sent: the URL cannot be used
	unavailable                 // 503
	failed                      // anything else
)

// pollAnswer is one answer of POST /jobs/request.
type pollAnswer struct {
	kind       pollKind
	job        *job
	status     string // as log lines show it
	lastUpdate string
	impatient  bool // the server asks for fewer requests, or is broken
	retryAfter time.Duration
}

// requestJob sends one POST /jobs/request.
func (c *client) requestJob(ctx context.Context, s *section) pollAnswer {
	base, err := s.config.apiURL()
	if err != nil {
		return pollAnswer{kind: badURL, status: err.Error()}
	}
	body, err := json.Marshal(c.jobRequest(s))
	if err != nil {
		return pollAnswer{kind: failed, status: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/jobs/request", bytes.NewReader(body))
	if err != nil {
		return pollAnswer{kind: badURL, status: err.Error()}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	c.runnerToken(req, s.config.token)
	resp, data, err := c.do(req)
	if err != nil {
		return pollAnswer{kind: failed, status: fmt.Sprintf("couldn't execute POST against %s: %v", req.URL.Redacted(), err)}
	}
	return c.sortAnswer(req, resp, data)
}

func (c *client) sortAnswer(req *http.Request, resp *http.Response, data []byte) pollAnswer {
	a := pollAnswer{lastUpdate: resp.Header.Get("X-GitLab-Last-Update"), status: statusText(req, resp, data)}
	code := resp.StatusCode
	a.impatient = code >= 500 || code == http.StatusTooManyRequests || code >= 400 && !c.version.AtLeast(18, 3)
	a.retryAfter = retryAfter(resp)
	switch code {
	case http.StatusNoContent:
		a.kind = nothing
	case http.StatusForbidden:
		a.kind = refused
	case http.StatusServiceUnavailable:
		a.kind = unavailable
	case http.StatusCreated:
		a.kind = received
		if err := decodeJob(resp, data, &a); err != nil {
			a.kind, a.status = failed, err.Error()
		}
	default:
		a.kind = failed
	}
	return a
}

func decodeJob(resp *http.Response, data []byte, a *pollAnswer) error {
	if !isJSON(resp) {
		return fmt.Errorf("server should return application/json. Got: %s", resp.Header.Get("Content-Type"))
	}
	j := &job{}
	if err := json.Unmarshal(data, j); err != nil {
		return fmt.Errorf("decoding the job: %w", err)
	}
	j.token = rekey.NewToken(j.TokenText)
	j.TokenText = ""
	a.job = j
	return nil
}

// do sends req with what every request carries and reads the whole answer.
func (c *client) do(req *http.Request) (*http.Response, []byte, error) {
	req.Header.Set("User-Agent", userAgent(c.version))
	if c.version.AtLeast(18, 1) {
		req.Header.Set("X-Request-Id", requestID())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp, data, err
}

// runnerToken adds the header that the version sends beside the body's token.
func (c *client) runnerToken(req *http.Request, token rekey.Token) {
	switch {
	case c.version.AtLeast(17, 11):
		req.Header.Set("RUNNER-TOKEN", token.Reveal())
	case c.version.AtLeast(16, 10):
		req.Header.Set("PRIVATE-TOKEN", token.Reveal())
	}
}

// jobToken does the same for PUT /jobs/:id.
func (c *client) jobToken(req *http.Request, token rekey.Token) {
	switch {
	case c.version.AtLeast(17, 11):
		req.Header.Set("JOB-TOKEN", token.Reveal())
	case c.version.AtLeast(16, 10):
		req.Header.Set("PRIVATE-TOKEN", token.Reveal())
	}
}

// jobRequest is the body of POST /jobs/request.
func (c *client) jobRequest(s *section) map[string]any {
	body := map[string]any{"info": c.info(s.config), "token": s.config.token.Reveal()}
	if c.version.AtLeast(15, 8) && c.systemID != "" {
		body["system_id"] = c.systemID
	}
	if v := s.queueValue(); v != "" {
		body["last_update"] = v
	}
	return body
}

// info is what a runner tells of itself in every request.
func (c *client) info(s *sectionConfig) map[string]any {
	features := map[string]bool{
		"variables": true, "shared": true, "masking": true, "raw_variables": true,
		"return_exit_code": true, "multi_build_steps": true, "refspecs": true,
		"trace_reset": true, "trace_checksum": true, "trace_size": true, "cancelable": true,
	}
	if c.version.AtLeast(16, 10) {
		features["cancel_gracefully"] = true
	}
	if c.version.AtLeast(18, 5) {
		features["two_phase_job_commit"] = true
	}
	executor, shell := s.Executor, s.Shell
	if executor == "" {
		executor = "shell"
	}
	if shell == "" {
		shell = "sh"
	}
	return map[string]any{
		"name": "gitlab-runner", "version": c.version.String(), "revision": "rekeylab",
		"platform": runtime.GOOS, "architecture": runtime.GOARCH,
		"executor": executor, "shell": shell, "features": features,
		"config": map[string]any{"gpus": ""},
	}
}

// statusText is gitlab-runner's `status=`: the method and URL are there only
// when the body is GitLab's JSON, which tells GitLab from what stands before it.
func statusText(req *http.Request, resp *http.Response, data []byte) string {
	line := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode < 300 || !isJSON(resp) {
		return line
	}
	var body struct {
		Message any `json:"message"`
	}
	if json.Unmarshal(data, &body) != nil {
		return line
	}
	message := ""
	if body.Message != nil {
		message = fmt.Sprint(body.Message)
	}
	full := req.Method + " " + req.URL.Redacted() + ": " + line
	if message == line {
		return full
	}
	return full + " (" + message + ")"
}

func isJSON(resp *http.Response) bool {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After")))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, 15*time.Minute)
}

func requestID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
