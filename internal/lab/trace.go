package lab

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// maxTrace is the plan limit ci_jobs_trace_size_limit of 100 MB.
const maxTrace = 100 << 20

// patchTrace is PATCH /jobs/:id/trace. Only the start of Content-Range counts:
// where it is not the size so far, 416 tells the runner where to go on. Range
// names the size, not the last index.
func patchTrace(c *call) (answer, error) {
	j, err := c.jobFor()
	if err != nil {
		return answer{}, err
	}
	spelled, _, isRange := strings.Cut(c.r.Header.Get("Content-Range"), "-")
	if !isRange {
		return answer{}, grape(http.StatusBadRequest, "400 Missing header Content-Range")
	}
	c.header.Set("Job-Status", j.Status)
	start, err := strconv.ParseInt(strings.TrimSpace(spelled), 10, 64)
	if err != nil || start != j.TraceSize {
		c.header.Set("Range", "0-"+formatInt(j.TraceSize))
		return answer{}, grape(http.StatusRequestedRangeNotSatisfiable, "416 Range Not Satisfiable")
	}
	size := start + int64(len(c.in.raw))
	if size > maxTrace {
		c.header.Set("Job-Status", "failed")
		return answer{status: http.StatusForbidden, body: errorBody{Error: "403 Forbidden"}}, c.finish(&j, "failed", "trace_size_exceeded", nil)
	}
	if err := c.jobContact(&j); err != nil {
		return answer{}, err
	}
	if err := c.appendTrace(&j, c.in.raw, size); err != nil {
		return answer{}, err
	}
	c.header.Set("Range", "0-"+formatInt(size))
	interval := "30"
	if c.Server.has(traceInterval60) {
		interval = "60"
	}
	c.header.Set("X-GitLab-Trace-Update-Interval", interval)
	return answer{status: http.StatusAccepted, raw: []byte("0-" + formatInt(size)), contentType: "text/plain"}, nil
}

func (t *tx) appendTrace(j *job, data []byte, size int64) error {
	if len(data) == 0 {
		return nil
	}
	if err := t.exec("INSERT INTO trace_chunks (job_id, start, data) VALUES (?, ?, ?)", j.ID, j.TraceSize, data); err != nil {
		return err
	}
	return t.exec("UPDATE jobs SET trace_size = ? WHERE id = ?", size, j.ID)
}

// trace is all of a job's log so far, never nil.
func (t *tx) trace(jobID int64) ([]byte, error) {
	chunks, err := rows(t, func(sc scanner) ([]byte, error) {
		var data []byte
		err := sc.Scan(&data)
		return data, err
	}, "SELECT data FROM trace_chunks WHERE job_id = ? ORDER BY start", jobID)
	return append([]byte{}, bytes.Join(chunks, nil)...), err
}
