package lab

import "time"

// expiryFor is when a token issued now ends: the shortest interval that applies,
// or never. Instance runners follow the instance setting; group runners also
// their group's and what ancestors set for subgroups; project runners the least
// over all their projects.
func (t *tx) expiryFor(r *runner) (stamp, error) {
	var least *int64
	var err error
	switch r.Type {
	case instanceType:
		least = t.interval("runner_token_expiration_interval")
	case groupType:
		least, err = t.groupInterval(r.GroupID)
	case projectType:
		least, err = t.projectsInterval(r.ID)
	}
	if err != nil || least == nil {
		return stamp{}, err
	}
	return at(t.now.Add(time.Duration(*least) * time.Second)), nil
}

func (t *tx) interval(key string) *int64 {
	if n, set := t.settings().number(key); set {
		return &n
	}
	return nil
}

func (t *tx) groupInterval(id int64) (*int64, error) {
	least := t.interval("group_runner_token_expiration_interval")
	up, err := t.ancestry(id)
	for i, n := range up {
		if i == 0 {
			least = lesser(least, n.RunnerExpiry)
		} else {
			least = lesser(least, n.SubgroupRunnerExpiry)
		}
	}
	return least, err
}

func (t *tx) projectsInterval(runnerID int64) (*int64, error) {
	least := t.interval("project_runner_token_expiration_interval")
	projects, err := rows(t, scanProject, "SELECT "+projectColumns+" FROM projects WHERE id IN (SELECT project_id FROM runner_projects WHERE runner_id = ?)", runnerID)
	if err != nil {
		return nil, err
	}
	for _, p := range projects {
		least = lesser(least, p.RunnerExpiry)
		up, err := t.ancestry(p.NamespaceID)
		if err != nil {
			return nil, err
		}
		for _, n := range up {
			least = lesser(least, n.ProjectRunnerExpiry)
		}
	}
	return least, nil
}

// lesser is the smaller of two intervals; nil is unlimited.
func lesser(a, b *int64) *int64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}
