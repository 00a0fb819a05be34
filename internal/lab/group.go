package lab

import "net/http"

// groupEntity is a group in API answers; runners_token only to its owners, and
// null while registration tokens are not allowed.
type groupEntity struct {
	ID                    int64           `json:"id"`
	WebURL                string          `json:"web_url"`
	Name                  string          `json:"name"`
	Path                  string          `json:"path"`
	Description           string          `json:"description"`
	Visibility            string          `json:"visibility"`
	ShareWithGroupLock    bool            `json:"share_with_group_lock"`
	ProjectCreationLevel  string          `json:"project_creation_level"`
	SubgroupCreationLevel string          `json:"subgroup_creation_level"`
	LFSEnabled            bool            `json:"lfs_enabled"`
	RequestAccessEnabled  bool            `json:"request_access_enabled"`
	FullName              string          `json:"full_name"`
	FullPath              string          `json:"full_path"`
	CreatedAt             stamp           `json:"created_at"`
	ParentID              *int64          `json:"parent_id"`
	SharedRunnersSetting  string          `json:"shared_runners_setting"`
	RunnerExpiry          *int64          `json:"runner_token_expiration_interval"`
	SubgroupRunnerExpiry  *int64          `json:"subgroup_runner_token_expiration_interval"`
	ProjectRunnerExpiry   *int64          `json:"project_runner_token_expiration_interval"`
	RegistrationEnabled   bool            `json:"runner_registration_enabled"`
	MaxArtifacts          *int64          `json:"max_artifacts_size"`
	RunnersToken          **string        `json:"runners_token,omitempty"`
	Projects              []projectEntity `json:"projects,omitempty"`
}

func (c *call) groupEntity(g namespace) groupEntity {
	e := groupEntity{ID: g.ID, WebURL: c.baseURL(c.r) + "/groups/" + g.FullPath, Name: g.Name, Path: g.Path, Description: g.Description,
		Visibility: g.Visibility, ProjectCreationLevel: "developer", SubgroupCreationLevel: "maintainer", LFSEnabled: true,
		RequestAccessEnabled: true, FullName: g.FullPath, FullPath: g.FullPath, CreatedAt: g.CreatedAt, SharedRunnersSetting: g.SharedRunners,
		RunnerExpiry: g.RunnerExpiry, SubgroupRunnerExpiry: g.SubgroupRunnerExpiry, ProjectRunnerExpiry: g.ProjectRunnerExpiry,
		RegistrationEnabled: g.RegistrationEnabled, MaxArtifacts: g.MaxArtifacts}
	if g.ParentID != 0 {
		e.ParentID = &g.ParentID
	}
	return e
}

// groupDetail adds what owners see.
func (c *call) groupDetail(g namespace) (groupEntity, error) {
	e := c.groupEntity(g)
	have, err := c.groupLevel(g.ID)
	if err != nil || have < levelOwner {
		return e, err
	}
	token, err := c.shownRegistrationToken(g.registrationTokenSeal, g.ID)
	e.RunnersToken = &token
	return e, err
}

var expiryParams = []param{may("runner_token_expiration_interval", integer), may("subgroup_runner_token_expiration_interval", integer),
	may("project_runner_token_expiration_interval", integer)}

var groupParams = takes(may("description", text), may("visibility", text, visibilities...), may("runner_registration_enabled", boolean),
	may(paramAllowRegistration, boolean), may(paramStalePruning, boolean), may("max_artifacts_size", integer),
	may("shared_runners_setting", text, "enabled", "disabled_and_overridable", "disabled_and_unoverridable", "disabled_with_override")).and(expiryParams...)

var createGroupParams = groupParams.and(need("name", text), need("path", text), may("parent_id", integer))

func postGroup(c *call) (answer, error) {
	n := namespace{Kind: kindGroup, Name: c.text("name"), Path: c.text("path"), FullPath: c.text("path"), Description: c.text("description"), Visibility: c.text("visibility")}
	if n.Visibility == "" {
		n.Visibility = c.settings().text("default_group_visibility")
	}
	if !pathPattern.MatchString(n.Path) {
		return answer{}, message(http.StatusBadRequest, "Failed to save group {:path=>[\"can contain only letters, digits, '_', '-' and '.'.\"]}")
	}
	if err := c.underParent(&n); err != nil {
		return answer{}, err
	}
	if c.pathFree(n.FullPath) != nil {
		return answer{}, message(http.StatusBadRequest, `Failed to save group {:path=>["has already been taken"]}`)
	}
	made, err := c.insertNamespace(n)
	if err != nil {
		return answer{}, err
	}
	if err := c.storeMember("group", made.ID, c.caller.ID, levelOwner); err != nil {
		return answer{}, err
	}
	if made, err = c.editGroup(made); err != nil {
		return answer{}, err
	}
	e, err := c.groupDetail(made)
	return answer{status: http.StatusCreated, body: e}, err
}

func (c *call) underParent(n *namespace) error {
	parent, given := c.number("parent_id")
	if !given {
		return nil
	}
	c.vars = map[string]string{"id": formatInt(parent)}
	above, err := c.needGroup("id", levelMaintainer)
	n.ParentID, n.FullPath = above.ID, above.FullPath+"/"+n.Path
	return err
}

func getGroups(c *call) (answer, error) {
	where, args := "kind = 'group'", []any{}
	if !c.admin() {
		where += " AND (visibility != 'private' OR id IN " + memberGroups + ")"
		args = append(args, c.caller.ID)
	}
	if c.text("search") != "" {
		where += " AND (name LIKE ? OR path LIKE ?)"
		args = append(args, "%"+c.text("search")+"%", "%"+c.text("search")+"%")
	}
	if c.flag("top_level_only", false) {
		where += " AND parent_id IS NULL"
	}
	found, err := page(c, scanNamespace, namespaceColumns, "namespaces WHERE "+where, "name, id", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(each(found, c.groupEntity))
}

// memberGroups lists the groups that one user (a parameter) is in, with those below.
const memberGroups = `(WITH RECURSIVE down(nid) AS (
	SELECT source_id FROM members WHERE source_kind = 'group' AND user_id = ? UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)`

func getGroup(c *call) (answer, error) {
	g, err := c.findGroup("id")
	if err != nil {
		return answer{}, err
	}
	e, err := c.groupDetail(g)
	return answer{status: http.StatusOK, body: e}, err
}

func putGroup(c *call) (answer, error) {
	g, err := c.needGroup("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	if g, err = c.editGroup(g); err != nil {
		return answer{}, err
	}
	e, err := c.groupDetail(g)
	return answer{status: http.StatusOK, body: e}, err
}

// editGroup stores the attributes given.
func (c *call) editGroup(g namespace) (namespace, error) {
	if c.given("name") {
		g.Name = c.text("name")
	}
	if c.given("description") {
		g.Description = c.text("description")
	}
	if c.text("visibility") != "" {
		g.Visibility = c.text("visibility")
	}
	if err := c.editGroupRunners(&g); err != nil {
		return g, err
	}
	for name, field := range map[string]**int64{"runner_token_expiration_interval": &g.RunnerExpiry,
		"subgroup_runner_token_expiration_interval": &g.SubgroupRunnerExpiry, "project_runner_token_expiration_interval": &g.ProjectRunnerExpiry} {
		if err := c.editInterval(name, field); err != nil {
			return g, err
		}
	}
	err := c.exec(`UPDATE namespaces SET name = ?, description = ?, visibility = ?, runner_registration_enabled = ?, runner_expiry = ?,
		subgroup_runner_expiry = ?, project_runner_expiry = ?, allow_registration_token = ?, stale_pruning = ?, shared_runners_setting = ?,
		max_artifacts_size = ? WHERE id = ?`, g.Name, g.Description, g.Visibility, g.RegistrationEnabled, g.RunnerExpiry, g.SubgroupRunnerExpiry,
		g.ProjectRunnerExpiry, g.AllowRegistration, g.StalePruning, g.SharedRunners, g.MaxArtifacts, g.ID)
	return g, err
}

// What GitLab has on its pages and in GraphQL but keeps out of REST, under names
// of the lab's own: the real ones are ignored as they are there.
const (
	paramAllowRegistration = "lab_allow_runner_registration_token"
	paramStalePruning      = "lab_allow_stale_runner_pruning"
)

// editGroupRunners takes what concerns a group's runners. Switching runner_registration_enabled off, which is an administrator's,
// makes the registration token a new one.
func (c *call) editGroupRunners(g *namespace) error {
	g.AllowRegistration = c.flag(paramAllowRegistration, g.AllowRegistration)
	g.StalePruning = c.flag(paramStalePruning, g.StalePruning)
	if setting := c.text("shared_runners_setting"); setting != "" {
		g.SharedRunners = setting
		if err := c.closeSharedRunners(g); err != nil {
			return err
		}
	}
	if c.given("max_artifacts_size") {
		g.MaxArtifacts = nil
		if most, given := c.number("max_artifacts_size"); given {
			g.MaxArtifacts = &most
		}
	}
	before := g.RegistrationEnabled
	if c.admin() {
		g.RegistrationEnabled = c.flag("runner_registration_enabled", before)
	}
	if !before || g.RegistrationEnabled {
		return nil
	}
	return c.storeGroupToken(g.ID, newRegistrationToken())
}

// editInterval sets a token expiration interval in seconds; null clears it, and
// less than two hours is refused.
func (c *call) editInterval(name string, field **int64) error {
	if !c.given(name) {
		return nil
	}
	seconds, given := c.number(name)
	switch {
	case !given:
		*field = nil
	case seconds < 7200:
		return modelErrors(name, "must be greater than or equal to 7200")
	default:
		*field = &seconds
	}
	return nil
}

func deleteGroup(c *call) (answer, error) {
	g, err := c.needGroup("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	if err := c.removeNamespace(g.ID); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: messageBody{"202 Accepted"}}, nil
}

// removeNamespace deletes a group with everything below; project runners whose
// last project goes are deleted too.
func (t *tx) removeNamespace(id int64) error {
	if t.flagOn(flagOrphanRunners) {
		err := t.exec("UPDATE runners SET group_id = NULL WHERE group_id IN (WITH RECURSIVE down(nid) AS (SELECT ? UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)", id)
		if err != nil {
			return err
		}
	}
	if err := t.exec("DELETE FROM namespaces WHERE id = ?", id); err != nil {
		return err
	}
	return t.removeUnowned()
}

// removeUnowned deletes project runners without a project: ownership moves to
// the oldest remaining project by itself, the first row of runner_projects.
func (t *tx) removeUnowned() error {
	t.onCommit(t.queue.tickAll)
	if t.flagOn(flagOrphanRunners) {
		return nil
	}
	return t.exec("DELETE FROM runners WHERE runner_type = 'project_type' AND id NOT IN (SELECT runner_id FROM runner_projects)")
}

// closeSharedRunners takes the instance's runners from every project below a group
// that disables them.
func (c *call) closeSharedRunners(g *namespace) error {
	if g.SharedRunners == "enabled" {
		return nil
	}
	c.onCommit(c.queue.tickAll)
	return c.exec(`UPDATE projects SET shared_runners_enabled = 0 WHERE namespace_id IN (
		WITH RECURSIVE down(nid) AS (SELECT ? UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)`, g.ID)
}
