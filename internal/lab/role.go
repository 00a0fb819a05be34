package lab

// level is a role in a group or project; 0 is none. Administrators have
// levelAdmin everywhere.
type level int

const (
	levelMinimal    level = 5
	levelGuest      level = 10
	levelReporter   level = 20
	levelDeveloper  level = 30
	levelMaintainer level = 40
	levelOwner      level = 50
	levelAdmin      level = 60
)

// knownLevels are the values that members may be given.
var knownLevels = []level{levelMinimal, levelGuest, 15, levelReporter, levelDeveloper, levelMaintainer, levelOwner}

// groupLevel is the caller's role in a group, the highest over its ancestors.
func (c *call) groupLevel(id int64) (level, error) {
	if c.admin() {
		return levelAdmin, nil
	}
	var found level
	err := c.value(&found, `WITH RECURSIVE up(nid) AS (
		SELECT ? UNION ALL SELECT n.parent_id FROM namespaces n JOIN up ON n.id = up.nid WHERE n.parent_id IS NOT NULL)
		SELECT max(coalesce((SELECT max(access_level) FROM members WHERE source_kind = 'group' AND user_id = ? AND source_id IN (SELECT nid FROM up)), 0),
			CASE WHEN EXISTS (SELECT 1 FROM namespaces WHERE id = ? AND kind = 'user' AND owner_id = ?) THEN 50 ELSE 0 END)`,
		id, c.caller.ID, id, c.caller.ID)
	return found, err
}

// projectLevel is the caller's role in a project: the highest of their own
// membership and that in its namespace.
func (c *call) projectLevel(p *project) (level, error) {
	inherited, err := c.groupLevel(p.NamespaceID)
	if err != nil || inherited == levelAdmin {
		return inherited, err
	}
	var direct level
	err = c.value(&direct, "SELECT coalesce(max(access_level), 0) FROM members WHERE source_kind = 'project' AND source_id = ? AND user_id = ?", p.ID, c.caller.ID)
	return max(inherited, direct), err
}

// needGroup finds a group in which the caller has at least the role.
func (c *call) needGroup(param string, least level) (namespace, error) {
	g, err := c.findGroup(param)
	if err != nil {
		return g, err
	}
	have, err := c.groupLevel(g.ID)
	if err == nil && have < least {
		err = forbidden("")
	}
	return g, err
}

// needProject finds a project in which the caller has at least the role.
func (c *call) needProject(param string, least level) (project, error) {
	p, err := c.findProject(param)
	if err != nil {
		return p, err
	}
	have, err := c.projectLevel(&p)
	if err == nil && have < least {
		err = forbidden("")
	}
	return p, err
}
