package simrunner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	traceInterval  = 3 * time.Second  // until X-GitLab-Trace-Update-Interval says otherwise
	traceCap       = 15 * time.Minute // longest interval accepted
	keepAlive      = 30 * time.Second // a job that writes nothing is told alive this often
	maxPatch       = 1 << 20
	finalTries     = 50 // of the last PUT while the server answers 202 or 412
	finalRetryWait = time.Second
)

// order is what an answer tells the runner to do with the job.
type order int

const (
	carryOn order = iota
	resend        // 416, 412 or a failure: try again
	wait          // 202 of the final PUT: ask again later
	cancel        // Job-Status: canceling; end it, then report
	abort         // Job-Status: canceled or failed, 403, 404: nobody listens any more
)

// reporter tells GitLab about one job. It belongs to one goroutine; its requests
// carry the job token only, so that no reload and no reset reaches them.
type reporter struct {
	client   *client
	base     string // URL up to /api/v4
	config   *sectionConfig
	job      *job
	trace    *trace
	sent     int // bytes the server has
	interval time.Duration
	deaf     bool // the server answered 404: send no more trace
}

func newReporter(c *client, base string, s *sectionConfig, j *job, t *trace) *reporter {
	return &reporter{client: c, base: base, config: s, job: j, trace: t, interval: traceInterval}
}

// patch sends one piece of the trace: PATCH /jobs/:id/trace. It sends nothing
// when there is nothing new.
func (r *reporter) patch(ctx context.Context) (order, bool) {
	piece := r.trace.from(r.sent, maxPatch)
	if len(piece) == 0 || r.deaf {
		return carryOn, false
	}
	url := fmt.Sprintf("%s/jobs/%d/trace", r.base, r.job.ID)
	if r.client.version.AtLeast(15, 9) {
		url += "?debug_trace=false"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, bytes.NewReader(piece))
	if err != nil {
		return abort, false
	}
	end := r.sent + len(piece)
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", r.sent, end-1))
	req.Header.Set("JOB-TOKEN", r.job.token.Reveal())
	resp, _, err := r.client.do(req)
	if err != nil {
		return resend, true
	}
	return r.patched(resp, end), true
}

func (r *reporter) patched(resp *http.Response, end int) order {
	r.listen(resp)
	switch resp.StatusCode {
	case http.StatusAccepted:
		r.sent = end
		return ordered(resp, carryOn)
	case http.StatusRequestedRangeNotSatisfiable:
		if n, ok := rangeEnd(resp); ok {
			r.sent = n
		}
		return ordered(resp, resend)
	case http.StatusNotFound:
		r.deaf = true
		return ordered(resp, carryOn)
	case http.StatusForbidden:
		return abort
	}
	return ordered(resp, resend)
}

// running sends PUT /jobs/:id state=running: the acceptance from 18.5 on, and
// the keep-alive of a silent job.
func (r *reporter) running(ctx context.Context) order {
	return r.put(ctx, map[string]any{"state": "running", "output": map[string]any{}})
}

// result is how a job ended.
type result struct {
	ok       bool
	reason   string // failure_reason
	exitCode int    // sent with script_failure
}

// finish sends the rest of the trace and the final state. It gives up when the
// job is gone, ctx ends or the section's number of tries is used up.
func (r *reporter) finish(ctx context.Context, res result) order {
	failures := 0
	for range finalTries {
		o := r.flush(ctx)
		if o != abort {
			o = r.put(ctx, r.final(res))
		}
		switch o {
		case carryOn, cancel, abort:
			return o
		case wait:
			if !pause(ctx, r.interval) {
				return resend
			}
		case resend:
			failures++
			if failures >= r.config.finalRetries() || !pause(ctx, finalRetryWait) {
				return resend
			}
		}
	}
	return resend
}

// flush patches until the server has the whole trace.
func (r *reporter) flush(ctx context.Context) order {
	for tries := 0; tries < r.config.finalRetries(); {
		before := r.sent
		o, sent := r.patch(ctx)
		if o == abort || !sent {
			return o
		}
		if o != resend {
			continue
		}
		tries++
		if r.sent == before && !pause(ctx, finalRetryWait) {
			return resend
		}
	}
	return resend
}

func (r *reporter) final(res result) map[string]any {
	checksum, size := r.trace.sum()
	body := map[string]any{
		"state": "success", "checksum": checksum,
		"output": map[string]any{"checksum": checksum, "bytesize": size},
	}
	if !res.ok {
		body["state"], body["failure_reason"] = "failed", r.job.reason(res.reason)
		if res.reason == "script_failure" {
			body["exit_code"] = res.exitCode
		}
	}
	return body
}

func (r *reporter) put(ctx context.Context, body map[string]any) order {
	body["info"], body["token"] = r.client.info(r.config), r.job.token.Reveal()
	data, err := json.Marshal(body)
	if err != nil {
		return abort
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/jobs/%d", r.base, r.job.ID), bytes.NewReader(data))
	if err != nil {
		return abort
	}
	req.Header.Set("Content-Type", "application/json")
	r.client.jobToken(req, r.job.token)
	resp, _, err := r.client.do(req)
	if err != nil {
		return resend
	}
	return r.answered(resp)
}

func (r *reporter) answered(resp *http.Response) order {
	r.listen(resp)
	switch resp.StatusCode {
	case http.StatusOK:
		return ordered(resp, carryOn)
	case http.StatusAccepted:
		return ordered(resp, wait)
	case http.StatusPreconditionFailed:
		r.sent = 0
		return ordered(resp, resend)
	case http.StatusForbidden, http.StatusNotFound:
		return abort
	}
	return ordered(resp, resend)
}

// listen takes over the interval the server wishes for.
func (r *reporter) listen(resp *http.Response) {
	seconds, err := strconv.Atoi(resp.Header.Get("X-GitLab-Trace-Update-Interval"))
	if err == nil && seconds > 0 {
		r.interval = min(time.Duration(seconds)*time.Second, traceCap)
	}
}

// ordered gives Job-Status precedence over what the status alone says.
func ordered(resp *http.Response, otherwise order) order {
	switch resp.Header.Get("Job-Status") {
	case "canceled", "failed":
		return abort
	case "canceling":
		if otherwise == carryOn {
			return cancel
		}
	}
	return otherwise
}

// rangeEnd reads the number after "-" of a Range header: what the server has.
func rangeEnd(resp *http.Response) (int, bool) {
	_, end, ok := strings.Cut(resp.Header.Get("Range"), "-")
	n, err := strconv.Atoi(end)
	return n, ok && err == nil && n >= 0
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
