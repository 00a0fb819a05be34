package lab

import (
	"net/http"

	"encoding/json"

	"rekey/internal/lazyregexp"
)

var (
	runnerStatuses = []string{"online", "offline", "never_contacted", "stale", "active", "paused"}
	filterParams   = []param{may("type", text, instanceType, groupType, projectType), may("status", text, runnerStatuses...),
		may("paused", boolean), may("tag_list", words), may("version_prefix", text)}
	listParams    = takes(filterParams...).and(may("scope", text, "specific", "shared", "active", "paused", "online", "offline", instanceType, groupType, projectType))
	versionPrefix = lazyregexp.New(`^[\d+.]+`)
)

// runnerFilters turns the query into SQL over runners r. tag_list wants every tag.
func (c *call) runnerFilters(where string, args []any) (string, []any, error) {
	add := func(clause string, more ...any) {
		where += " AND " + clause
		args = append(args, more...)
	}
	if kind := c.text("type"); kind != "" {
		add("r.runner_type = ?", kind)
	}
	for _, status := range []string{c.text("status"), c.text("scope")} {
		clause, more := c.statusFilter(status)
		add(clause, more...)
	}
	switch scope := c.text("scope"); scope {
	case "shared":
		add("r.runner_type = 'instance_type'")
	case "specific":
		add("r.runner_type != 'instance_type'")
	case instanceType, groupType, projectType:
		add("r.runner_type = ?", scope)
	}
	if c.given("paused") {
		add("r.active = ?", !c.flag("paused", false))
	}
	if tags, given := c.words("tag_list"); given && len(tags) > 0 {
		raw, err := json.Marshal(tags)
		if err != nil {
			return "", nil, err
		}
		add("NOT EXISTS (SELECT 1 FROM json_each(?) wanted WHERE wanted.value NOT IN (SELECT value FROM json_each(r.tags)))", string(raw))
	}
	if prefix := c.text("version_prefix"); prefix != "" {
		if !versionPrefix.MatchString(prefix) {
			return "", nil, grape(http.StatusBadRequest, "version_prefix is invalid")
		}
		add("EXISTS (SELECT 1 FROM managers m WHERE m.runner_id = r.id AND substr(m.version, 1, length(?)) = ?)", prefix, prefix)
	}
	return where, args, nil
}

func (c *call) runnerPage(where string, args ...any) (answer, error) {
	where, args, err := c.runnerFilters(where, args)
	if err != nil {
		return answer{}, err
	}
	found, err := page(c, scanRunner, runnerColumns, "runners r WHERE "+where, "r.id DESC", args...)
	if err != nil {
		return answer{}, err
	}
	return eachOK(found, c.runnerEntity)
}

// getRunners lists what the caller may administer.
func getRunners(c *call) (answer, error) {
	if c.admin() {
		return c.runnerPage("1=1")
	}
	me := c.caller.ID
	return c.runnerPage(`(r.group_id IN `+groupsAt+` OR r.id IN (SELECT runner_id FROM runner_projects WHERE project_id IN (
		SELECT source_id FROM members WHERE source_kind = 'project' AND user_id = ? AND access_level >= 40
		UNION SELECT id FROM projects WHERE namespace_id IN `+groupsAt+`
		UNION SELECT p.id FROM projects p JOIN namespaces n ON n.id = p.namespace_id WHERE n.owner_id = ?)))`, me, levelOwner, me, me, levelMaintainer, me)
}

// groupsAt lists the groups, with those below, in which a user (first parameter)
// has at least a role (second).
const groupsAt = `(WITH RECURSIVE down(nid) AS (SELECT source_id FROM members WHERE source_kind = 'group' AND user_id = ? AND access_level >= ?
	UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)`

func getAllRunners(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	return c.runnerPage("1=1")
}

// getProjectRunners lists a project's own runners, and those it inherits from
// groups and the instance where it lets them in.
func getProjectRunners(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	return c.runnerPage(`(r.id IN (SELECT runner_id FROM runner_projects WHERE project_id = ?)
		OR (? AND r.runner_type = 'instance_type') OR (? AND r.group_id IN `+namespaceAndAbove+`))`, p.ID, p.SharedRunners, p.GroupRunners, p.NamespaceID)
}

const namespaceAndAbove = `(WITH RECURSIVE up(nid) AS (SELECT ? UNION ALL SELECT n.parent_id FROM namespaces n JOIN up ON n.id = up.nid
	WHERE n.parent_id IS NOT NULL) SELECT nid FROM up)`

func getGroupRunners(c *call) (answer, error) {
	least := levelOwner
	if c.Server.has(groupMaintainerReads) {
		least = levelMaintainer
	}
	g, err := c.needGroup("id", least)
	if err != nil {
		return answer{}, err
	}
	return c.runnerPage("(r.runner_type = 'instance_type' OR r.group_id IN "+namespaceAndAbove+")", g.ID)
}
