package lab

import (
	"database/sql"
	"errors"
	"strconv"

	"rekey/internal/lazyregexp"
)

const (
	kindUser  = "user"
	kindGroup = "group"
)

var (
	visibilities = []string{"private", "internal", "public"}
	pathPattern  = lazyregexp.New(`^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}$`)
)

// namespace is a group, or the place of a user's own projects.
type namespace struct {
	ID                    int64
	Kind                  string
	ParentID              int64
	OwnerID               int64
	Name                  string
	Path                  string
	FullPath              string
	Description           string
	Visibility            string
	AllowRegistration     bool // allow_runner_registration_token; GitLab keeps it out of REST
	RegistrationEnabled   bool // runner_registration_enabled
	RunnerExpiry          *int64
	SubgroupRunnerExpiry  *int64
	ProjectRunnerExpiry   *int64
	StalePruning          bool // allow_stale_runner_pruning
	SharedRunners         string
	MaxArtifacts          *int64 // MB
	CreatedAt             stamp
	registrationTokenSeal []byte
}

const namespaceColumns = `id, kind, coalesce(parent_id, 0), coalesce(owner_id, 0), name, path, full_path, description, visibility,
	allow_registration_token, runner_registration_enabled, runner_expiry, subgroup_runner_expiry, project_runner_expiry,
	stale_pruning, shared_runners_setting, max_artifacts_size, created_at, registration_sealed`

func scanNamespace(sc scanner) (namespace, error) {
	var n namespace
	err := sc.Scan(&n.ID, &n.Kind, &n.ParentID, &n.OwnerID, &n.Name, &n.Path, &n.FullPath, &n.Description, &n.Visibility,
		&n.AllowRegistration, &n.RegistrationEnabled, &n.RunnerExpiry, &n.SubgroupRunnerExpiry, &n.ProjectRunnerExpiry,
		&n.StalePruning, &n.SharedRunners, &n.MaxArtifacts, &n.CreatedAt, &n.registrationTokenSeal)
	return n, err
}

// insertNamespace adds a namespace with the registration switch of the profile.
// A group gets its registration token at once.
func (t *tx) insertNamespace(n namespace) (namespace, error) {
	var digest, sealed any
	if n.Kind == kindGroup {
		token := newRegistrationToken()
		digest, sealed = t.secrets.digest(domainRegistration, token), t.secrets.sealed(token)
	}
	id, err := t.insert(`INSERT INTO namespaces (kind, parent_id, owner_id, name, path, full_path, description, visibility,
		allow_registration_token, registration_digest, registration_sealed, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.Kind, nullable(n.ParentID), nullable(n.OwnerID), n.Name, n.Path, n.FullPath, n.Description, n.Visibility,
		!t.comSwitchedOff(), digest, sealed, at(t.now))
	if err != nil {
		return n, err
	}
	return t.namespaceByID(id)
}

func (t *tx) namespaceByID(id int64) (namespace, error) {
	return row(t, scanNamespace, "SELECT "+namespaceColumns+" FROM namespaces WHERE id = ?", id)
}

// ancestry lists the namespace and its ancestors, root last.
func (t *tx) ancestry(id int64) ([]namespace, error) {
	return rows(t, scanNamespace, `WITH RECURSIVE up(nid, depth) AS (
		SELECT ?, 0 UNION ALL SELECT n.parent_id, up.depth + 1 FROM namespaces n JOIN up ON n.id = up.nid WHERE n.parent_id IS NOT NULL)
		SELECT `+namespaceColumns+` FROM up JOIN namespaces ON id = nid ORDER BY depth`, id)
}

// findGroup resolves a group by id or full path for the caller; one that the
// caller may not see is not found.
func (c *call) findGroup(param string) (namespace, error) {
	where, arg := "full_path = ?", any(c.vars[param])
	if id, err := strconv.ParseInt(c.vars[param], 10, 64); err == nil {
		where, arg = "id = ?", id
	}
	g, err := row(c.tx, scanNamespace, "SELECT "+namespaceColumns+" FROM namespaces WHERE kind = 'group' AND "+where, arg)
	if errors.Is(err, sql.ErrNoRows) {
		return g, notFound("Group")
	}
	if err != nil {
		return g, err
	}
	level, err := c.groupLevel(g.ID)
	if err == nil && level == 0 && g.Visibility == "private" {
		return g, notFound("Group")
	}
	return g, err
}

// pathFree refuses a path that a namespace or project has.
func (t *tx) pathFree(fullPath string) error {
	taken, err := t.exists("SELECT 1 FROM namespaces WHERE full_path = ? UNION SELECT 1 FROM projects WHERE full_path = ?", fullPath, fullPath)
	if err == nil && taken {
		return &refusal{status: 400, body: messageBody{map[string][]string{"path": {"has already been taken"}}}}
	}
	return err
}
