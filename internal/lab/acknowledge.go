package lab

import (
	"errors"
	"net/http"
	"time"
)

// acknowledgeFor is how long a job given in two phases waits for its runner to
// accept it, or to say that it is still preparing (the time is unverified). Then
// the next runner may have it.
const acknowledgeFor = 2 * time.Minute

// acknowledges reports whether a job is given in two phases: the flag is on and
// the runner that asks knows how.
func (c *call) acknowledges(from contact) bool {
	features, _ := from.info["features"].(map[string]any)
	able, _ := features["two_phase_job_commit"].(bool)
	return able && c.flagOn(flagAcknowledgement)
}

// putPending is PUT /jobs/:id for a job that was given but not accepted yet:
// pending keeps it, running takes it, and nothing else is understood.
func (c *call) putPending(j *job) (answer, error) {
	switch c.text("state") {
	case "pending":
		c.header.Set("Job-Status", "pending")
		a, err := digits(http.StatusOK, "200")
		return a, errors.Join(err, c.exec("UPDATE jobs SET acknowledge_by = ? WHERE id = ?", at(c.now.Add(acknowledgeFor)), j.ID))
	case "running":
		c.header.Set("Job-Status", "running")
		a, err := digits(http.StatusOK, "200")
		return a, errors.Join(err, c.exec("UPDATE jobs SET status = 'running', started_at = ?, acknowledge_by = NULL WHERE id = ?", at(c.now), j.ID), c.advance(j.PipelineID))
	}
	return digits(http.StatusBadRequest, "400")
}

// tokenGrace is how much longer than its job a job's token lives (unverified).
const tokenGrace = 5 * time.Minute

// tokenExpired reports whether the job has run so long that its token is over.
func (c *call) tokenExpired(j *job) (bool, error) {
	if !c.Server.has(jobTokenExpiry) || j.StartedAt.IsZero() {
		return false, nil
	}
	p, err := c.projectByID(j.ProjectID)
	if err != nil {
		return false, err
	}
	r, err := c.runnerByID(j.RunnerID)
	if err := missing(err, nil); err != nil {
		return false, err
	}
	life := time.Duration(j.timeout(&p, &r))*time.Second + tokenGrace
	return c.now.Sub(j.StartedAt.Time) > life, nil
}

// dropExpired ends a job whose token is over. The refusal is an answer, for the
// job's end has to be written.
func (c *call) dropExpired(j *job) (answer, error) {
	c.header.Set("Job-Status", "failed")
	return answer{status: http.StatusForbidden, body: messageBody{"403 Forbidden - Job token has expired"}}, c.finish(j, "failed", "job_token_expired", nil)
}

// tracePending lets the first final update of a job with a live trace wait for the
// trace to be moved: 202, to be sent again. The second is taken.
func (c *call) tracePending(j *job) (bool, error) {
	output, _ := c.params["output"].(map[string]any)
	checksum, _ := output["checksum"].(string)
	if checksum == "" {
		checksum = c.text("checksum")
	}
	if !c.Server.has(liveTrace) || !c.settings().flag("ci_job_live_trace_enabled") || checksum == "" || j.TraceSize == 0 || !j.FinalSince.IsZero() {
		return false, nil
	}
	return true, c.exec("UPDATE jobs SET final_since = ? WHERE id = ?", at(c.now), j.ID)
}
