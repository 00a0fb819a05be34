package lab

import "strings"

// projectBasic is how runners and lists of assignments show a project.
type projectBasic struct {
	ID                int64  `json:"id"`
	Description       string `json:"description"`
	Name              string `json:"name"`
	NameWithNamespace string `json:"name_with_namespace"`
	Path              string `json:"path"`
	PathWithNamespace string `json:"path_with_namespace"`
	CreatedAt         stamp  `json:"created_at"`
}

type projectNamespace struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	FullPath string `json:"full_path"`
	ParentID *int64 `json:"parent_id"`
	WebURL   string `json:"web_url"`
}

// projectEntity is a project in API answers; runners_token only to its
// maintainers, and null while registration tokens are not allowed.
type projectEntity struct {
	projectBasic
	DefaultBranch       string             `json:"default_branch"`
	TagList             list               `json:"tag_list"`
	Topics              list               `json:"topics"`
	SSHURL              string             `json:"ssh_url_to_repo"`
	HTTPURL             string             `json:"http_url_to_repo"`
	WebURL              string             `json:"web_url"`
	LastActivityAt      stamp              `json:"last_activity_at"`
	Namespace           projectNamespace   `json:"namespace"`
	Visibility          string             `json:"visibility"`
	EmptyRepo           bool               `json:"empty_repo"`
	Archived            bool               `json:"archived"`
	JobsEnabled         bool               `json:"jobs_enabled"`
	BuildsAccessLevel   string             `json:"builds_access_level"`
	SharedRunners       bool               `json:"shared_runners_enabled"`
	GroupRunners        bool               `json:"group_runners_enabled"`
	CreatorID           int64              `json:"creator_id"`
	ConfigPath          string             `json:"ci_config_path"`
	BuildTimeout        int64              `json:"build_timeout"`
	MaxArtifacts        *int64             `json:"max_artifacts_size"`
	RunnerExpiry        *int64             `json:"runner_token_expiration_interval"`
	RegistrationEnabled bool               `json:"runner_registration_enabled"`
	VariablesRole       string             `json:"ci_pipeline_variables_minimum_override_role,omitempty"`
	RunnersToken        **string           `json:"runners_token,omitempty"`
	Permissions         *projectPermission `json:"permissions,omitempty"`
}

type projectPermission struct {
	ProjectAccess *accessEntity `json:"project_access"`
	GroupAccess   *accessEntity `json:"group_access"`
}

type accessEntity struct {
	AccessLevel       level `json:"access_level"`
	NotificationLevel int   `json:"notification_level"`
}

func projectBasicOf(p project) projectBasic {
	return projectBasic{p.ID, p.Description, p.Name, strings.ReplaceAll(p.FullPath, "/", " / "), p.Path, p.FullPath, p.CreatedAt}
}

func (c *call) projectEntity(p project) (projectEntity, error) {
	base := c.baseURL(c.r)
	n, err := c.namespaceByID(p.NamespaceID)
	if err != nil {
		return projectEntity{}, err
	}
	hasCommit, err := c.exists("SELECT 1 FROM branches WHERE project_id = ?", p.ID)
	e := projectEntity{projectBasic: projectBasicOf(p), DefaultBranch: p.DefaultBranch, SSHURL: "git@" + hostOf(base) + ":" + p.FullPath + ".git",
		HTTPURL: base + "/" + p.FullPath + ".git", WebURL: base + "/" + p.FullPath, LastActivityAt: p.CreatedAt, Visibility: p.Visibility,
		Namespace: projectNamespace{ID: n.ID, Name: n.Name, Path: n.Path, Kind: n.Kind, FullPath: n.FullPath, WebURL: base + "/" + n.FullPath},
		EmptyRepo: !hasCommit, JobsEnabled: true, BuildsAccessLevel: "enabled", SharedRunners: p.SharedRunners, GroupRunners: p.GroupRunners,
		CreatorID: p.CreatorID, ConfigPath: p.ConfigPath, BuildTimeout: p.BuildTimeout, MaxArtifacts: p.MaxArtifacts, Archived: p.Archived, RunnerExpiry: p.RunnerExpiry, RegistrationEnabled: p.RegistrationEnabled}
	if n.ParentID != 0 {
		e.Namespace.ParentID = &n.ParentID
	}
	if c.Server.has(pipelineVariablesRole) {
		e.VariablesRole = p.VariablesRole
	}
	return e, err
}

// projectDetail adds what maintainers see.
func (c *call) projectDetail(p project) (projectEntity, error) {
	e, err := c.projectEntity(p)
	if err != nil {
		return e, err
	}
	have, err := c.projectLevel(&p)
	if err != nil {
		return e, err
	}
	e.Permissions = &projectPermission{}
	if have > 0 {
		e.Permissions.ProjectAccess = &accessEntity{min(have, levelOwner), 3}
	}
	if have < levelMaintainer {
		return e, nil
	}
	token, err := c.shownRegistrationToken(p.registrationTokenSeal, p.NamespaceID)
	e.RunnersToken = &token
	return e, err
}

func hostOf(base string) string {
	_, host, _ := strings.Cut(base, "://")
	host, _, _ = strings.Cut(host, "/")
	return host
}

// memberProjects lists the projects that one user (three parameters) is in.
const memberProjects = `(SELECT source_id FROM members WHERE source_kind = 'project' AND user_id = ?
	UNION SELECT id FROM projects WHERE namespace_id IN ` + memberGroups + `
	UNION SELECT p.id FROM projects p JOIN namespaces n ON n.id = p.namespace_id WHERE n.kind = 'user' AND n.owner_id = ?)`

func getProjects(c *call) (answer, error) {
	where, args := "1=1", []any{}
	me := c.caller.ID
	switch {
	case c.flag("membership", false):
		where, args = "id IN "+memberProjects, []any{me, me, me}
	case !c.admin():
		where, args = "(visibility != 'private' OR id IN "+memberProjects+")", []any{me, me, me}
	}
	if c.flag("owned", false) {
		where += " AND id IN (SELECT source_id FROM members WHERE source_kind = 'project' AND user_id = ? AND access_level >= 50)"
		args = append(args, me)
	}
	if c.text("search") != "" {
		where += " AND (name LIKE ? OR path LIKE ?)"
		args = append(args, "%"+c.text("search")+"%", "%"+c.text("search")+"%")
	}
	return c.projectPage(where, args)
}

func getGroupProjects(c *call) (answer, error) {
	g, err := c.findGroup("id")
	if err != nil {
		return answer{}, err
	}
	where := "namespace_id = ?"
	if c.flag("include_subgroups", false) {
		where = `namespace_id IN (WITH RECURSIVE down(nid) AS (SELECT ? UNION SELECT n.id FROM namespaces n JOIN down ON n.parent_id = nid) SELECT nid FROM down)`
	}
	args := []any{g.ID}
	if !c.admin() {
		where += " AND (visibility != 'private' OR id IN " + memberProjects + ")"
		args = append(args, c.caller.ID, c.caller.ID, c.caller.ID)
	}
	return c.projectPage(where, args)
}

func (c *call) projectPage(where string, args []any) (answer, error) {
	found, err := page(c, scanProject, projectColumns, "projects WHERE "+where, "id DESC", args...)
	if err != nil {
		return answer{}, err
	}
	entities := []projectEntity{}
	for _, p := range found {
		e, err := c.projectEntity(p)
		if err != nil {
			return answer{}, err
		}
		entities = append(entities, e)
	}
	return ok(entities)
}
