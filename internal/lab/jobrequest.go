package lab

import (
	"database/sql"
	"errors"
	"net/http"
)

var requestParams = takes(need("token", text), may("system_id", text), may("last_update", text), may("info", hash), may("session", hash))

// postJobRequest is POST /jobs/request for a poll that memory could not answer.
// A paused runner is met and gets 204 like an idle one.
func postJobRequest(c *call) (answer, error) {
	token := c.text("token")
	r, err := c.runnerByToken(token)
	if err != nil {
		return answer{}, err
	}
	from := contactFrom(c, c.text("system_id"))
	if err := c.notOrphaned(&r); err != nil {
		return answer{}, err
	}
	if err := c.meet(&r, from, true, true); err != nil {
		return answer{}, err
	}
	if r.Active {
		j, err := c.nextSupported(&r, from)
		if err == nil && c.localSession() {
			return answer{status: http.StatusConflict, body: messageBody{"409 Conflict"}}, nil // the job stays pending
		}
		if err == nil {
			return c.assign(&r, &j, from)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return answer{}, err
		}
	}
	c.header.Set("X-GitLab-Last-Update", c.queue.value(c.secrets.digest(domainRunner, token), &r))
	return noContent()
}

// nextJob is the oldest pending job that the runner may run: its tags are all
// the runner's, or it has none and the runner takes untagged ones; its ref is
// protected where the runner wants that; and its project lies in the runner's
// scope.
func (t *tx) nextJob(r *runner) (job, error) {
	tags, err := r.Tags.Value()
	if err != nil {
		return job{}, err
	}
	scope, owner := "p.shared_runners_enabled AND ? = 0", int64(0)
	switch r.Type {
	case groupType:
		scope, owner = "p.group_runners_enabled AND p.namespace_id IN (WITH RECURSIVE down(nid) AS (SELECT ? UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)", r.GroupID
	case projectType:
		scope, owner = "p.id IN (SELECT project_id FROM runner_projects WHERE runner_id = ?)", r.ID
	}
	return row(t, scanJob, "SELECT "+jobColumns+` FROM jobs j JOIN projects p ON p.id = j.project_id WHERE j.status = 'pending' AND coalesce(j.acknowledge_by, 0) < ? AND `+scope+`
		AND (? OR j.protected) AND (? OR json_array_length(j.tags) > 0)
		AND NOT EXISTS (SELECT 1 FROM json_each(j.tags) WHERE value NOT IN (SELECT value FROM json_each(?))) ORDER BY j.id LIMIT 1`,
		at(t.now), owner, r.AccessLevel != refProtected, r.RunUntagged, tags)
}

// assign gives the job to the manager that asked. The lab has one writer, so
// that no other can win the race that GitLab answers 409.
func (c *call) assign(r *runner, j *job, from contact) (answer, error) {
	m, err := c.managerBySystemID(r.ID, from.systemID)
	if err != nil {
		return answer{}, err
	}
	token := c.newJobToken()
	status, started, acknowledge := "running", at(c.now), stamp{}
	if c.acknowledges(from) {
		status, started, acknowledge = "pending", stamp{}, at(c.now.Add(acknowledgeFor))
	}
	err = c.exec("UPDATE jobs SET status = ?, runner_id = ?, manager_id = ?, token_digest = ?, started_at = ?, acknowledge_by = ? WHERE id = ?",
		status, r.ID, m.ID, c.secrets.digest(domainJob, token), started, acknowledge, j.ID)
	if err != nil {
		return answer{}, err
	}
	if err := c.advance(j.PipelineID); err != nil {
		return answer{}, err
	}
	payload, err := c.payload(r, j, token)
	return answer{status: http.StatusCreated, body: payload}, err
}
