package lab

import (
	"crypto/hmac"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

var updateJobParams = takes(need("token", text), may("state", text), may("failure_reason", text), may("exit_code", integer), may("checksum", text), may("output", hash))

// jobFor is the running job of a request. One that does not run any more is 403
// with its status, which tells the runner to stop.
func (c *call) jobFor() (job, error) {
	j, err := c.jobByToken()
	if err == nil && j.Status != "running" && j.Status != "canceling" {
		err = c.notProcessing(&j)
	}
	return j, err
}

func (c *call) notProcessing(j *job) error {
	c.header.Set("Job-Status", j.Status)
	if c.Server.has(jobNotProcessingText) {
		return forbidden("Job is not processing on runner")
	}
	return forbidden("Job is not running")
}

// jobByToken authenticates a request by the job's own token, in the header or the
// parameters. A missing job is 403, never 404.
func (c *call) jobByToken() (job, error) {
	token := c.r.Header.Get("Job-Token")
	if token == "" {
		token, _ = c.in.values["token"].(string)
	}
	id, err := strconv.ParseInt(c.vars["id"], 10, 64)
	if err != nil {
		return job{}, forbidden("")
	}
	var digest []byte
	if err := c.value(&digest, "SELECT token_digest FROM jobs WHERE id = ?", id); err != nil {
		return job{}, missing(err, forbidden(""))
	}
	if token == "" || !hmac.Equal(digest, c.secrets.digest(domainJob, token)) {
		return job{}, forbidden("")
	}
	j, err := c.jobByID(id)
	switch {
	case err != nil:
		return j, err
	case !j.ErasedAt.IsZero():
		return j, forbidden("Job has been erased!")
	}
	return j, nil
}

// jobContact lets a job's own calls count as contact of the runner and manager
// that run it.
func (c *call) jobContact(j *job) error {
	r, err := c.runnerByID(j.RunnerID)
	if err != nil {
		return missing(err, nil)
	}
	m, err := row(c.tx, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.id = ?", j.ManagerID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.heartbeat(&r, &m, contactFrom(c, m.SystemID))
}

// putJob is PUT /jobs/:id.
func putJob(c *call) (answer, error) {
	j, err := c.jobByToken()
	switch {
	case err != nil:
		return answer{}, err
	case j.Status == "pending" && !j.AcknowledgeBy.IsZero():
		return c.putPending(&j)
	case j.Status != "running" && j.Status != "canceling":
		return answer{}, c.notProcessing(&j)
	}
	if over, err := c.tokenExpired(&j); err != nil || over {
		if err != nil {
			return answer{}, err
		}
		return c.dropExpired(&j)
	}
	if err := c.jobContact(&j); err != nil {
		return answer{}, err
	}
	switch c.text("state") {
	case "running":
		c.header.Set("Job-Status", j.Status)
		return digits(http.StatusOK, "200")
	case "pending": // keep-alive of the two-phase commit, which this job is not in
		return answer{}, forbidden("")
	case "success", "failed":
		return c.finishJob(&j)
	}
	return digits(http.StatusBadRequest, "400")
}

// finishJob takes the final state; a job that was being cancelled ends canceled
// whatever its script said.
func (c *call) finishJob(j *job) (answer, error) {
	if wait, err := c.tracePending(j); err != nil || wait {
		c.header.Set("Job-Status", j.Status)
		c.header.Set("X-GitLab-Trace-Update-Interval", "1")
		a, _ := digits(http.StatusAccepted, "202")
		return a, err
	}
	status, reason := c.text("state"), c.text("failure_reason")
	if j.Status == "canceling" {
		status = "canceled"
	}
	if reason == "" {
		reason = "script_failure"
	}
	if !slices.Contains(failureReasons, reason) {
		reason = "unknown_failure"
	}
	var exitCode *int64
	if code, given := c.number("exit_code"); given {
		exitCode = &code
	}
	if err := c.finish(j, status, reason, exitCode); err != nil {
		return answer{}, err
	}
	c.header.Set("Job-Status", status)
	return digits(http.StatusOK, "200")
}

// getEnvironmentKey is GET /jobs/:id/runtime_environment_key: no job of the lab
// has an environment that could be resumed.
func getEnvironmentKey(c *call) (answer, error) {
	if _, err := c.jobFor(); err != nil {
		return answer{}, err
	}
	return answer{}, notFound("")
}
