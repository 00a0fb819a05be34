package lab

import (
	"errors"
	"net/http"
)

func getRunner(c *call) (answer, error) {
	r, err := c.readable("id")
	if err != nil {
		return answer{}, err
	}
	return c.showRunner(r)
}

func (c *call) showRunner(r runner) (answer, error) {
	d, err := c.runnerDetail(r)
	if c.Server.has(includeProjects) && !c.flag("include_projects", true) {
		d.Projects = nil
	}
	return answer{status: http.StatusOK, body: d}, err
}

var updateRunnerParams = paramSet{
	params: []param{may("description", text), may("active", boolean), may("paused", boolean), may("tag_list", words), may("run_untagged", boolean),
		may("locked", boolean), may("access_level", text, notProtected, refProtected), may("maximum_timeout", integer), may("maintenance_note", text)},
	exclusive: [][2]string{{"active", "paused"}}, atLeastOne: true,
}

// putRunner changes the attributes given and makes waiting runners ask again.
func putRunner(c *call) (answer, error) {
	r, err := c.updatable("id")
	if err != nil {
		return answer{}, err
	}
	c.editRunner(&r)
	_, tagsChanged := c.words("tag_list")
	if err := asObject(r.check(tagsChanged)); err != nil {
		return answer{}, err
	}
	r.UpdatedAt = at(c.now)
	c.onCommit(func() { c.queue.changed(r.ID) })
	err = c.exec(`UPDATE runners SET description = ?, active = ?, tags = ?, run_untagged = ?, locked = ?, access_level = ?, maximum_timeout = ?,
		maintenance_note = ?, updated_at = ? WHERE id = ?`, r.Description, r.Active, r.Tags, r.RunUntagged, r.Locked, r.AccessLevel, r.MaximumTimeout,
		r.MaintenanceNote, r.UpdatedAt, r.ID)
	if err != nil {
		return answer{}, err
	}
	return c.showRunner(r)
}

func (c *call) editRunner(r *runner) {
	if c.given("description") {
		r.Description = c.text("description")
	}
	if c.given("maintenance_note") {
		r.MaintenanceNote = c.text("maintenance_note")
	}
	r.Active = !c.flag("paused", !c.flag("active", r.Active))
	r.RunUntagged = c.flag("run_untagged", r.RunUntagged)
	r.Locked = c.flag("locked", r.Locked)
	if tags, given := c.words("tag_list"); given {
		r.Tags = tags
	}
	if l := c.text("access_level"); l != "" {
		r.AccessLevel = l
	}
	if c.given("maximum_timeout") {
		r.MaximumTimeout = nil
		if seconds, given := c.number("maximum_timeout"); given {
			r.MaximumTimeout = &seconds
		}
	}
}

func deleteRunnerByID(c *call) (answer, error) {
	r, err := c.updatable("id")
	if err != nil {
		return answer{}, err
	}
	var projects int
	if err := c.value(&projects, "SELECT count(*) FROM runner_projects WHERE runner_id = ?", r.ID); err != nil {
		return answer{}, err
	}
	if projects > 1 && !c.admin() {
		return answer{}, forbidden("Runner associated with more than one project")
	}
	if err := c.preconditionFailed(r.UpdatedAt); err != nil {
		return answer{}, err
	}
	if err := errors.Join(c.auditRunner(auditRunnerUnregistered, "Deleted", &r), c.deleteRunner(&r)); err != nil {
		return answer{}, err
	}
	return noContent()
}

func resetByID(c *call) (answer, error) {
	r, err := c.updatable("id")
	if err != nil {
		return answer{}, err
	}
	made, err := c.resetToken(&r)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: made}, c.auditRunner(auditRunnerTokenReset, "Reset token of", &r)
}

// getManagers is the whole array, without pages.
func getManagers(c *call) (answer, error) {
	r, err := c.readable("id")
	if err != nil {
		return answer{}, err
	}
	found, err := rows(c.tx, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.runner_id = ? ORDER BY m.id DESC", r.ID)
	if err != nil {
		return answer{}, err
	}
	return eachOK(found, c.managerEntity)
}

func getRunnerProjects(c *call) (answer, error) {
	r, err := c.readable("id")
	if err != nil {
		return answer{}, err
	}
	where, args := c.visible(r.ID)
	found, err := page(c, scanProject, projectColumns, "projects WHERE "+where, "id", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(each(found, projectBasicOf))
}

// eachOK answers 200 with the entity of each record.
func eachOK[A, B any](in []A, f func(A) (B, error)) (answer, error) {
	out := make([]B, 0, len(in))
	for _, one := range in {
		entity, err := f(one)
		if err != nil {
			return answer{}, err
		}
		out = append(out, entity)
	}
	return ok(out)
}
