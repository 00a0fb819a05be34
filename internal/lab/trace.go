package lab

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

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
	if over, err := c.tokenExpired(&j); err != nil || over {
		if err != nil {
			return answer{}, err
		}
		return c.dropExpired(&j)
	}
	size := start + int64(len(c.in.raw))
	if most := c.limit(limitTrace); most > 0 && size > most<<20 {
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
	c.header.Set("X-GitLab-Trace-Update-Interval", c.traceInterval(j.ID))
	return answer{status: http.StatusAccepted, raw: []byte("0-" + formatInt(size)), contentType: "text/plain"}, nil
}

// watchedFor is how long after somebody looked at a log it counts as watched.
const watchedFor = time.Minute

// Watch notes that somebody looks at a job's log now: its runner is asked for
// updates every three seconds, as GitLab's job page does.
func (s *Server) Watch(job int64) { s.watched.Store(job, s.now()) }

func (t *tx) traceInterval(job int64) string {
	if seen, ok := t.watched.Load(job); ok && t.now.Sub(seen.(time.Time)) < watchedFor { //nolint:forcetypeassert // only Watch stores
		return "3"
	}
	if t.has(traceInterval60) {
		return "60"
	}
	return "30"
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
