package lab

// findRunner is the lookup of /runners/:id; existence is answered before rights.
func (c *call) findRunner(param string) (runner, error) {
	id, err := c.pathID(param)
	if err != nil {
		return runner{}, err
	}
	r, err := c.runnerByID(id)
	return r, missing(err, lookupMiss())
}

func noAccess() error { return forbidden("No access granted") }

// readable is a runner that the caller may see: any instance runner, a group's
// for its Maintainers, a project's for Maintainers of a project it has.
func (c *call) readable(param string) (runner, error) {
	r, err := c.findRunner(param)
	if err != nil || r.Type == instanceType {
		return r, err
	}
	have, err := c.bestLevel(&r)
	if err == nil && have < levelMaintainer {
		err = noAccess()
	}
	return r, err
}

// bestLevel is the caller's highest role over what the runner belongs to.
func (c *call) bestLevel(r *runner) (level, error) {
	if c.admin() {
		return levelAdmin, nil
	}
	switch r.Type {
	case groupType:
		return c.groupLevel(r.GroupID)
	case projectType:
		return c.bestProjectLevel(r.ID)
	}
	return 0, nil
}

func (c *call) bestProjectLevel(runnerID int64) (level, error) {
	projects, err := rows(c.tx, scanProject, "SELECT "+projectColumns+" FROM projects WHERE id IN (SELECT project_id FROM runner_projects WHERE runner_id = ?)", runnerID)
	if err != nil {
		return 0, err
	}
	var best level
	for _, p := range projects {
		have, err := c.projectLevel(&p)
		if err != nil {
			return 0, err
		}
		best = max(best, have)
	}
	return best, nil
}

// mayUpdate: administrators for instance runners, Owners for a group's,
// Maintainers of a project for a project's.
func (c *call) mayUpdate(r *runner) (bool, error) {
	have, err := c.bestLevel(r)
	switch r.Type {
	case groupType:
		return have >= levelOwner, err
	case projectType:
		return have >= levelMaintainer, err
	}
	return have == levelAdmin, err
}

// updatable is a runner that the caller may change.
func (c *call) updatable(param string) (runner, error) {
	r, err := c.findRunner(param)
	if err != nil {
		return r, err
	}
	allowed, err := c.mayUpdate(&r)
	if err == nil && !allowed {
		err = noAccess()
	}
	return r, err
}
