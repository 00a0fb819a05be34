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

const (
	leastTokenLife = 5 * time.Minute
	mostTokenLife  = 15 * 24 * time.Hour
)

// ownExpiry lets the caller of POST /user/runners choose when the first token
// ends: five minutes to fifteen days ahead, and not beyond what the settings
// allow. Until the rotation deadline the token may be reset; a deadline equal to
// the expiry switches rotation off.
func (c *call) ownExpiry(r *runner, made *issued) error {
	if !c.Server.has(explicitTokenExpiry) {
		return nil
	}
	ends, given := c.params["token_expires_at"].(time.Time)
	deadline, limited := c.params["token_rotation_deadline"].(time.Time)
	if !given && !limited {
		return nil
	}
	if wrong := c.expiryErrors(ends, deadline, given, limited, made.ExpiresAt); len(wrong) > 0 {
		return badRequest(sentence(wrong))
	}
	made.ExpiresAt = at(ends)
	r.TokenExpiresAt = made.ExpiresAt
	if limited {
		r.RotationDeadline = at(deadline)
	}
	return c.exec("UPDATE runners SET token_expires_at = ?, token_rotation_deadline = ? WHERE id = ?", r.TokenExpiresAt, r.RotationDeadline, r.ID)
}

// expiryErrors are GitLab's texts for both parameters; derived is the expiry
// that the settings give.
func (c *call) expiryErrors(ends, deadline time.Time, given, limited bool, derived stamp) []string {
	if !given {
		return []string{"token_expires_at is required when token_rotation_deadline is specified"}
	}
	most := c.now.Add(mostTokenLife)
	if !derived.IsZero() && derived.Before(most) {
		most = derived.Time
	}
	var wrong []string
	switch {
	case ends.Before(c.now.Add(leastTokenLife)):
		wrong = append(wrong, "token_expires_at must be at least 5 minutes in the future")
	case ends.After(most):
		wrong = append(wrong, "token_expires_at is too far in the future (maximum is "+most.UTC().Format(time.RFC3339)+")")
	}
	switch {
	case limited && deadline.Before(c.now):
		wrong = append(wrong, "token_rotation_deadline cannot be in the past")
	case limited && deadline.After(ends):
		wrong = append(wrong, "token_rotation_deadline must be less than or equal to token_expires_at")
	}
	return wrong
}

// rotationOver reports whether the token may not be reset any more: its deadline
// has passed, or is the expiry itself.
func (t *tx) rotationOver(r *runner) bool {
	if r.RotationDeadline.IsZero() || !t.has(explicitTokenExpiry) {
		return false
	}
	return t.now.After(r.RotationDeadline.Time) || r.RotationDeadline.Equal(r.TokenExpiresAt.Time)
}
