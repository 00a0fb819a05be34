package lab

import "net/http"

var assignParams = takes(need("runner_id", integer))

// postProjectRunner assigns a project runner to one more project.
func postProjectRunner(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	id, _ := c.number("runner_id")
	r, err := c.runnerByID(id)
	if err != nil {
		return answer{}, missing(err, lookupMiss())
	}
	if err := c.mayAssign(&r); err != nil {
		return answer{}, err
	}
	there, err := c.exists("SELECT 1 FROM runner_projects WHERE runner_id = ? AND project_id = ?", r.ID, p.ID)
	if err != nil {
		return answer{}, err
	}
	if there {
		return answer{}, c.alreadyAssigned()
	}
	if err := c.assignmentQuota(p.ID); err != nil {
		return answer{}, err
	}
	c.onCommit(func() { c.queue.changed(r.ID) })
	if err := c.exec("INSERT INTO runner_projects (runner_id, project_id) VALUES (?, ?)", r.ID, p.ID); err != nil {
		return answer{}, err
	}
	if err := c.audit(auditRunnerAssigned, "Project", p.ID, "Assigned CI runner to project", "Ci::Runner", r.ID); err != nil {
		return answer{}, err
	}
	e, err := c.runnerEntity(r)
	return answer{status: http.StatusCreated, body: e}, err
}

// mayAssign refuses group and locked runners to everybody, others to those who
// may not change the runner.
func (c *call) mayAssign(r *runner) error {
	allowed, err := c.mayUpdate(r)
	switch {
	case err != nil:
		return err
	case r.Type == groupType:
		return forbidden("Runner is a group runner")
	case r.Type == instanceType:
		return noAccess()
	case r.Locked:
		return forbidden("Runner is locked")
	case !allowed:
		return noAccess()
	}
	return nil
}

func (c *call) alreadyAssigned() error {
	if c.Server.has(assignFlatError) {
		return message(http.StatusBadRequest, "Validation failed: Runner has already been assigned")
	}
	return modelErrors("assign_to", "Validation failed: Runner projects is invalid")
}

// assignmentQuota is the plan limit of the project that a runner is assigned to.
func (c *call) assignmentQuota(project int64) error {
	wrong, err := c.overQuota(projectType, project)
	if err != nil || len(wrong) == 0 {
		return err
	}
	if c.Server.has(assignFlatError) {
		return message(http.StatusBadRequest, "Validation failed: "+wrong[0].text)
	}
	return modelErrors("assign_to", "Validation failed: "+wrong[0].text)
}

// deleteProjectRunner takes a runner from a project, never from its owner project.
func deleteProjectRunner(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	id, err := c.pathID("runner_id")
	if err != nil {
		return answer{}, err
	}
	r, err := row(c.tx, scanRunner, "SELECT "+runnerColumns+" FROM runners r WHERE r.id = (SELECT runner_id FROM runner_projects WHERE runner_id = ? AND project_id = ?)", id, p.ID)
	if err != nil {
		return answer{}, missing(err, notFound("Runner"))
	}
	owner, err := c.ownerProject(&r)
	if err != nil {
		return answer{}, err
	}
	if r.Locked && owner != p.ID {
		return answer{}, forbidden("Runner is locked")
	}
	if owner == p.ID {
		if err := c.ownerProjectStays(&r); err != nil {
			return answer{}, err
		}
	}
	if err := c.preconditionFailed(r.UpdatedAt); err != nil {
		return answer{}, err
	}
	c.onCommit(func() { c.queue.changed(r.ID) })
	if err := c.exec("DELETE FROM runner_projects WHERE runner_id = ? AND project_id = ?", r.ID, p.ID); err != nil {
		return answer{}, err
	}
	if err := c.audit(auditRunnerUnassigned, "Project", p.ID, "Unassigned CI runner from project", "Ci::Runner", r.ID); err != nil {
		return answer{}, err
	}
	return noContent()
}

// ownerProjectStays refuses to take a runner from its owner project; older
// versions only when it has no other.
func (c *call) ownerProjectStays(r *runner) error {
	if c.Server.has(unassignOwnerText) {
		return forbidden("You cannot unassign a runner from the owner project. Delete the runner instead")
	}
	several, err := c.exists("SELECT 1 FROM runner_projects WHERE runner_id = ? LIMIT 1 OFFSET 1", r.ID)
	if err == nil && !several {
		err = forbidden("Only one project associated with the runner. Please remove the runner instead")
	}
	return err
}
