package lab

import (
	"errors"
	"net/http"
	"slices"
)

func getTrace(c *call) (answer, error) {
	j, err := c.findJob(levelReporter)
	if err != nil {
		return answer{}, err
	}
	raw, err := c.trace(j.ID)
	return answer{status: http.StatusOK, raw: raw, contentType: "text/plain"}, err
}

// postCancel cancels at once, or asks a runner that can to stop gracefully.
func postCancel(c *call) (answer, error) {
	j, err := c.findJob(levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	if err := c.cancelOne(&j); err != nil {
		return answer{}, err
	}
	return c.showJob(http.StatusCreated, j.ID)
}

func (c *call) cancelOne(j *job) error {
	switch {
	case j.Status == "running" && c.stopsGracefully(j):
		return errors.Join(c.exec("UPDATE jobs SET status = 'canceling' WHERE id = ?", j.ID), c.advance(j.PipelineID))
	case slices.Contains([]string{"created", "pending", "running", "manual"}, j.Status):
		return c.finish(j, "canceled", "", nil)
	}
	return nil
}

func (c *call) stopsGracefully(j *job) bool {
	m, err := row(c.tx, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.id = ?", j.ManagerID)
	return err == nil && c.Server.has(gracefulCancel) && m.Features.V["cancel_gracefully"]
}

// postRetry runs a finished job again as a new one.
func postRetry(c *call) (answer, error) {
	j, err := c.findJob(levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	if !slices.Contains([]string{"success", "failed", "canceled"}, j.Status) {
		return answer{}, forbidden("Job is not retryable")
	}
	id, err := c.insert(`INSERT INTO jobs (pipeline_id, project_id, name, stage, stage_index, status, tags, run_when, allow_failure, protected, plan, user_id, created_at)
		SELECT pipeline_id, project_id, name, stage, stage_index, 'created', tags, CASE run_when WHEN 'manual' THEN 'on_success' ELSE run_when END, allow_failure, protected, plan, ?, ?
		FROM jobs WHERE id = ?`, c.caller.ID, at(c.now), j.ID)
	if err != nil {
		return answer{}, err
	}
	if err := errors.Join(c.exec("UPDATE jobs SET retried = 1 WHERE id = ?", j.ID), c.advance(j.PipelineID)); err != nil {
		return answer{}, err
	}
	return c.showJob(http.StatusCreated, id)
}

func postPlay(c *call) (answer, error) {
	j, err := c.findJob(levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	if j.Status != "manual" {
		return answer{}, message(http.StatusBadRequest, "Unplayable Job")
	}
	if err := errors.Join(c.setReady(&j, "pending"), c.advance(j.PipelineID)); err != nil {
		return answer{}, err
	}
	return c.showJob(http.StatusOK, j.ID)
}

func postErase(c *call) (answer, error) {
	j, err := c.findJob(levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	if j.FinishedAt.IsZero() || !j.ErasedAt.IsZero() {
		return answer{}, forbidden("Job is not erasable!")
	}
	if err := errors.Join(c.exec("DELETE FROM trace_chunks WHERE job_id = ?", j.ID), c.exec("DELETE FROM artifacts WHERE job_id = ?", j.ID),
		c.exec("UPDATE jobs SET erased_at = ?, trace_size = 0 WHERE id = ?", at(c.now), j.ID)); err != nil {
		return answer{}, err
	}
	return c.showJob(http.StatusCreated, j.ID)
}

// finish ends a job; from then on its token gets 403 with the job's status.
func (t *tx) finish(j *job, status, reason string, exitCode *int64) error {
	if status != "failed" {
		reason = ""
	}
	err := t.exec("UPDATE jobs SET status = ?, failure_reason = ?, exit_code = ?, finished_at = ? WHERE id = ?", status, reason, exitCode, at(t.now), j.ID)
	if err != nil {
		return err
	}
	return t.advance(j.PipelineID)
}
