package lab

import (
	"database/sql"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"rekey/internal/lazyregexp"
)

// project is a repository with CI.
type project struct {
	ID                    int64
	NamespaceID           int64
	CreatorID             int64
	Name                  string
	Path                  string
	FullPath              string
	Description           string
	Visibility            string
	DefaultBranch         string
	ConfigPath            string
	SharedRunners         bool
	GroupRunners          bool
	RegistrationEnabled   bool
	RunnerExpiry          *int64
	VariablesRole         string
	BuildTimeout          int64
	MaxArtifacts          *int64 // MB
	Archived              bool
	CreatedAt             stamp
	registrationTokenSeal []byte
}

const projectColumns = `id, namespace_id, creator_id, name, path, full_path, description, visibility, default_branch, ci_config_path,
	shared_runners_enabled, group_runners_enabled, runner_registration_enabled, runner_expiry, variables_role, build_timeout,
	max_artifacts_size, archived, created_at, registration_sealed`

func scanProject(sc scanner) (project, error) {
	var p project
	err := sc.Scan(&p.ID, &p.NamespaceID, &p.CreatorID, &p.Name, &p.Path, &p.FullPath, &p.Description, &p.Visibility, &p.DefaultBranch, &p.ConfigPath,
		&p.SharedRunners, &p.GroupRunners, &p.RegistrationEnabled, &p.RunnerExpiry, &p.VariablesRole, &p.BuildTimeout,
		&p.MaxArtifacts, &p.Archived, &p.CreatedAt, &p.registrationTokenSeal)
	return p, err
}

func (t *tx) projectByID(id int64) (project, error) {
	return row(t, scanProject, "SELECT "+projectColumns+" FROM projects WHERE id = ?", id)
}

// findProject resolves a project by id or full path for the caller; one that
// the caller may not see is not found.
func (c *call) findProject(param string) (project, error) {
	where, arg := "full_path = ?", any(c.vars[param])
	if id, err := strconv.ParseInt(c.vars[param], 10, 64); err == nil {
		where, arg = "id = ?", id
	}
	p, err := row(c.tx, scanProject, "SELECT "+projectColumns+" FROM projects WHERE "+where, arg)
	if errors.Is(err, sql.ErrNoRows) {
		return p, notFound("Project")
	}
	if err != nil {
		return p, err
	}
	have, err := c.projectLevel(&p)
	if err == nil && have == 0 && p.Visibility == "private" {
		return p, notFound("Project")
	}
	return p, err
}

var variableRoles = []string{"no_one_allowed", "developer", "maintainer", "owner"}

var projectParams = takes(may("description", text), may("visibility", text, visibilities...), may("default_branch", text),
	may("ci_config_path", text), may("shared_runners_enabled", boolean), may("group_runners_enabled", boolean),
	may("runner_registration_enabled", boolean), may("runner_token_expiration_interval", integer), may("build_timeout", integer), may("max_artifacts_size", integer),
	may("ci_pipeline_variables_minimum_override_role", text, variableRoles...), may("name", text), may("path", text))

var createProjectParams = projectParams.and(may("namespace_id", integer), may("initialize_with_readme", boolean))

var slugPattern = lazyregexp.New(`[^a-z0-9_.-]+`)

func postProject(c *call) (answer, error) {
	if c.text("name") == "" && c.text("path") == "" {
		return answer{}, grape(http.StatusBadRequest, "name, path are missing, at least one parameter must be provided")
	}
	p := project{CreatorID: c.caller.ID, Name: c.text("name"), Path: c.text("path"), Visibility: c.settings().text("default_project_visibility"),
		DefaultBranch: "main", SharedRunners: c.settings().flag("shared_runners_enabled"), GroupRunners: true, RegistrationEnabled: true,
		VariablesRole: "developer", BuildTimeout: 3600}
	if p.Name == "" {
		p.Name = p.Path
	}
	if p.Path == "" {
		p.Path = strings.Trim(slugPattern.ReplaceAllString(strings.ToLower(p.Name), "-"), "-.")
	}
	if !pathPattern.MatchString(p.Path) {
		return answer{}, modelErrors("path", "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'")
	}
	if err := c.placeProject(&p); err != nil {
		return answer{}, err
	}
	return c.createProject(p)
}

// placeProject finds the namespace: the one given, or the caller's own.
func (c *call) placeProject(p *project) error {
	id, given := c.number("namespace_id")
	if !given {
		if err := c.value(&id, "SELECT id FROM namespaces WHERE kind = 'user' AND owner_id = ?", c.caller.ID); err != nil {
			return err
		}
	}
	n, err := c.namespaceByID(id)
	if err != nil {
		return missing(err, modelErrors("namespace", "is not valid"))
	}
	have, err := c.groupLevel(n.ID)
	if err != nil {
		return err
	}
	if have < levelDeveloper {
		return modelErrors("namespace", "is not valid")
	}
	if c.profile == ProfileCom && c.Server.has(comVariablesOff) {
		p.VariablesRole = "no_one_allowed" // new namespaces of GitLab.com
	}
	p.NamespaceID, p.FullPath = n.ID, n.FullPath+"/"+p.Path
	return c.pathFree(p.FullPath)
}

func (c *call) createProject(p project) (answer, error) {
	token := newRegistrationToken()
	id, err := c.insert(`INSERT INTO projects (namespace_id, creator_id, name, path, full_path, visibility, variables_role, shared_runners_enabled,
		registration_digest, registration_sealed, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, p.NamespaceID, p.CreatorID, p.Name, p.Path, p.FullPath,
		p.Visibility, p.VariablesRole, p.SharedRunners, c.secrets.digest(domainRegistration, token), c.secrets.sealed(token), at(c.now))
	if err != nil {
		return answer{}, err
	}
	if err := c.storeMember("project", id, c.caller.ID, levelOwner); err != nil {
		return answer{}, err
	}
	made, err := c.projectByID(id)
	if err != nil {
		return answer{}, err
	}
	if made, err = c.editProject(made); err != nil {
		return answer{}, err
	}
	if c.flag("initialize_with_readme", false) {
		if err := c.commit(&made, made.DefaultBranch, "Initial commit", []fileChange{{"README.md", []byte("# " + made.Name + "\n"), false}}); err != nil {
			return answer{}, err
		}
	}
	e, err := c.projectDetail(made)
	return answer{status: http.StatusCreated, body: e}, err
}

func getProject(c *call) (answer, error) {
	p, err := c.findProject("id")
	if err != nil {
		return answer{}, err
	}
	e, err := c.projectDetail(p)
	return answer{status: http.StatusOK, body: e}, err
}

func putProject(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	if p, err = c.editProject(p); err != nil {
		return answer{}, err
	}
	e, err := c.projectDetail(p)
	return answer{status: http.StatusOK, body: e}, err
}

// editProject stores the attributes given; path stays as it is.
func (c *call) editProject(p project) (project, error) {
	for name, field := range map[string]*string{"name": &p.Name, "description": &p.Description, "visibility": &p.Visibility,
		"default_branch": &p.DefaultBranch, "ci_config_path": &p.ConfigPath} {
		if c.given(name) && (c.text(name) != "" || name == "description" || name == "ci_config_path") {
			*field = c.text(name)
		}
	}
	if role := c.text("ci_pipeline_variables_minimum_override_role"); role != "" && c.Server.has(pipelineVariablesRole) {
		p.VariablesRole = role
	}
	p.SharedRunners = c.flag("shared_runners_enabled", p.SharedRunners)
	p.GroupRunners = c.flag("group_runners_enabled", p.GroupRunners)
	if err := c.closeProjectRegistration(&p); err != nil {
		return p, err
	}
	if c.given("max_artifacts_size") {
		p.MaxArtifacts = nil
		if most, given := c.number("max_artifacts_size"); given {
			p.MaxArtifacts = &most
		}
	}
	if timeout, given := c.number("build_timeout"); given {
		p.BuildTimeout = timeout
	}
	if err := c.editInterval("runner_token_expiration_interval", &p.RunnerExpiry); err != nil {
		return p, err
	}
	c.onCommit(c.queue.tickAll)
	return p, c.exec(`UPDATE projects SET name = ?, description = ?, visibility = ?, default_branch = ?, ci_config_path = ?, shared_runners_enabled = ?,
		group_runners_enabled = ?, runner_registration_enabled = ?, runner_expiry = ?, variables_role = ?, build_timeout = ?, max_artifacts_size = ? WHERE id = ?`, p.Name, p.Description,
		p.Visibility, p.DefaultBranch, p.ConfigPath, p.SharedRunners, p.GroupRunners, p.RegistrationEnabled, p.RunnerExpiry, p.VariablesRole, p.BuildTimeout, p.MaxArtifacts, p.ID)
}

// closeProjectRegistration takes runner_registration_enabled. Switching it off
// makes the project's registration token a new one.
func (c *call) closeProjectRegistration(p *project) error {
	before := p.RegistrationEnabled
	p.RegistrationEnabled = c.flag("runner_registration_enabled", before)
	if !before || p.RegistrationEnabled {
		return nil
	}
	return c.storeProjectToken(p.ID, newRegistrationToken())
}

func postArchive(c *call) (answer, error)   { return c.archiveProject(true) }
func postUnarchive(c *call) (answer, error) { return c.archiveProject(false) }

// archiveProject makes a project read-only, or lets it be written again.
func (c *call) archiveProject(archived bool) (answer, error) {
	p, err := c.needProject("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	p.Archived = archived
	c.onCommit(c.queue.tickAll)
	if err := c.exec("UPDATE projects SET archived = ? WHERE id = ?", archived, p.ID); err != nil {
		return answer{}, err
	}
	e, err := c.projectDetail(p)
	return answer{status: http.StatusCreated, body: e}, err
}

func deleteProject(c *call) (answer, error) {
	p, err := c.needProject("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	if err := c.exec("DELETE FROM projects WHERE id = ?", p.ID); err != nil {
		return answer{}, err
	}
	if err := c.removeUnowned(); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: messageBody{"202 Accepted"}}, nil
}
