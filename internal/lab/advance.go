package lab

import "slices"

// advance starts what may start and skips what may not, until nothing moves,
// then writes the pipeline's status. It runs in the transaction of the change
// that made it necessary.
func (t *tx) advance(pipelineID int64) error {
	jobs, err := rows(t, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.pipeline_id = ? AND NOT j.retried ORDER BY j.stage_index, j.id", pipelineID)
	if err != nil {
		return err
	}
	for moved := true; moved; {
		moved = false
		for i := range jobs {
			next := nextStatus(&jobs[i], jobs)
			if next == "" {
				continue
			}
			moved = true
			if err := t.setReady(&jobs[i], next); err != nil {
				return err
			}
		}
	}
	return t.storePipelineStatus(pipelineID, jobs)
}

func (t *tx) setReady(j *job, next string) error {
	j.Status = next
	if next != "pending" {
		return t.exec("UPDATE jobs SET status = ? WHERE id = ?", next, j.ID)
	}
	tags := slices.Clone(j.Tags)
	t.onCommit(func() { t.queue.tick(tags) })
	return t.exec("UPDATE jobs SET status = 'pending', queued_at = ? WHERE id = ?", at(t.now), j.ID)
}

// nextStatus is what a created job becomes now, "" for nothing.
func nextStatus(j *job, all []job) string {
	if j.Status != "created" {
		return ""
	}
	failed := false
	for i := range all {
		before := &all[i]
		if !j.waitsFor(before) {
			continue
		}
		switch {
		case !before.over():
			return ""
		case before.Status == "failed" || before.Status == "canceled":
			failed = failed || !before.AllowFailure
		case before.Status == "skipped" && j.Plan.V.HasNeeds:
			failed = true
		}
	}
	switch {
	case j.When == "manual":
		if failed {
			return "skipped"
		}
		return "manual"
	case j.When == "always", j.When == "on_failure" && failed, j.When != "on_failure" && !failed:
		return "pending"
	}
	return "skipped"
}

// waitsFor: needs where they are given, else every job of an earlier stage.
func (j *job) waitsFor(other *job) bool {
	if j.Plan.V.HasNeeds {
		return slices.Contains(j.Plan.V.Needs, other.Name)
	}
	return other.StageIndex < j.StageIndex
}

// over reports whether nobody has to wait for the job any more.
func (j *job) over() bool {
	switch j.Status {
	case "success", "failed", "canceled", "skipped":
		return true
	case "manual":
		return j.AllowFailure
	}
	return false
}

func (t *tx) storePipelineStatus(id int64, jobs []job) error {
	status := pipelineStatus(jobs)
	now := at(t.now)
	if err := t.exec("UPDATE pipelines SET updated_at = ?, status = ? WHERE id = ? AND status != ?", now, status, id, status); err != nil {
		return err
	}
	if status == "running" {
		return t.exec("UPDATE pipelines SET started_at = ? WHERE id = ? AND started_at IS NULL", now, id)
	}
	if slices.Contains([]string{"success", "failed", "canceled", "skipped"}, status) {
		return t.exec("UPDATE pipelines SET finished_at = ? WHERE id = ? AND finished_at IS NULL", now, id)
	}
	return t.exec("UPDATE pipelines SET finished_at = NULL WHERE id = ?", id)
}

// pipelineStatus sums the jobs up: a failure counts unless it is allowed.
func pipelineStatus(jobs []job) string {
	count := map[string]int{}
	for i := range jobs {
		status := jobs[i].Status
		if status == "failed" && jobs[i].AllowFailure || status == "manual" && jobs[i].AllowFailure {
			status = "success"
		}
		count[status]++
	}
	started := count["success"]+count["failed"] > 0
	switch {
	case count["running"]+count["canceling"] > 0, count["pending"] > 0 && started, count["created"] > 0 && started && count["manual"] == 0:
		return "running"
	case count["pending"] > 0:
		return "pending"
	case count["manual"] > 0:
		return "manual"
	case count["created"] > 0:
		return "created"
	case count["failed"] > 0:
		return "failed"
	case count["canceled"] > 0:
		return "canceled"
	case count["success"] > 0:
		return "success"
	}
	return "skipped"
}
