package lab

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// runner is the record.
type runner struct {
	ID               int64
	Type             string // instance_type, group_type, project_type
	GroupID          int64
	Name             string
	Description      string
	Active           bool
	Locked           bool
	RunUntagged      bool
	AccessLevel      string
	MaximumTimeout   *int64
	MaintenanceNote  string
	Tags             list
	TokenExpiresAt   stamp
	RotationDeadline stamp // after it the token cannot be reset
	RegistrationType string
	CreationState    string // started until the first jobs/request, then finished
	CreatorID        int64
	ContactedAt      stamp
	CreatedAt        stamp
	UpdatedAt        stamp
}

const (
	instanceType = "instance_type"
	groupType    = "group_type"
	projectType  = "project_type"

	stateStarted  = "started"
	stateFinished = "finished"

	notProtected = "not_protected"
	refProtected = "ref_protected"
)

const runnerColumns = `r.id, r.runner_type, coalesce(r.group_id, 0), r.name, r.description, r.active, r.locked, r.run_untagged, r.access_level,
	r.maximum_timeout, r.maintenance_note, r.tags, r.token_expires_at, r.token_rotation_deadline, r.registration_type, r.creation_state, coalesce(r.creator_id, 0),
	r.contacted_at, r.created_at, r.updated_at`

func scanRunner(sc scanner) (runner, error) {
	var r runner
	err := sc.Scan(&r.ID, &r.Type, &r.GroupID, &r.Name, &r.Description, &r.Active, &r.Locked, &r.RunUntagged, &r.AccessLevel,
		&r.MaximumTimeout, &r.MaintenanceNote, &r.Tags, &r.TokenExpiresAt, &r.RotationDeadline, &r.RegistrationType, &r.CreationState, &r.CreatorID,
		&r.ContactedAt, &r.CreatedAt, &r.UpdatedAt)
	return r, err
}

func (t *tx) runnerByID(id int64) (runner, error) {
	return row(t, scanRunner, "SELECT "+runnerColumns+" FROM runners r WHERE r.id = ?", id)
}

// runnerByToken is the lookup of every runner endpoint. Expiry is part of it:
// an expired token is not found, so it cannot even rotate itself. All failures
// are the same 403.
func (t *tx) runnerByToken(token string) (runner, error) {
	r, err := row(t, scanRunner, "SELECT "+runnerColumns+" FROM runners r WHERE r.token_digest = ? AND (r.token_expires_at IS NULL OR r.token_expires_at >= ?)",
		t.secrets.digest(domainRunner, token), at(t.now))
	return r, missing(err, forbidden(""))
}

// issued is what a created, registered or reset runner is told, once.
type issued struct {
	ID        int64  `json:"id,omitempty"`
	Token     string `json:"token"`
	ExpiresAt stamp  `json:"token_expires_at"`
}

// insertRunner adds the record, for a project runner with its owner project,
// and returns its token.
func (t *tx) insertRunner(r *runner, project int64) (issued, error) {
	r.CreatedAt, r.UpdatedAt, r.CreationState = at(t.now), at(t.now), stateStarted
	token := newRunnerToken(t.version, r, project, t.tokenPrefix())
	id, err := t.insert(`INSERT INTO runners (runner_type, group_id, name, description, active, locked, run_untagged, access_level, maximum_timeout,
		maintenance_note, tags, token_digest, registration_type, creation_state, creator_id, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Type, nullable(r.GroupID), r.Name, r.Description, r.Active, r.Locked, r.RunUntagged,
		r.AccessLevel, r.MaximumTimeout, r.MaintenanceNote, r.Tags, t.secrets.digest(domainRunner, token), r.RegistrationType, r.CreationState,
		nullable(r.CreatorID), r.CreatedAt, r.UpdatedAt)
	if err != nil {
		return issued{}, err
	}
	r.ID = id
	if r.Type == projectType {
		if err := t.exec("INSERT INTO runner_projects (runner_id, project_id) VALUES (?, ?)", id, project); err != nil {
			return issued{}, err
		}
	}
	if r.TokenExpiresAt, err = t.expiryFor(r); err != nil {
		return issued{}, err
	}
	return issued{id, token, r.TokenExpiresAt}, t.exec("UPDATE runners SET token_expires_at = ? WHERE id = ?", r.TokenExpiresAt, id)
}

// tokenPrefix is instance_token_prefix where its feature flag lets it act.
func (s *Server) tokenPrefix() string {
	if !s.flagOn(flagCustomPrefix) {
		return ""
	}
	return s.settings().text("instance_token_prefix")
}

// resetToken replaces the token. The old one stops matching at the commit; the
// new one has this version's shape and an expiry by the current settings.
func (t *tx) resetToken(r *runner) (issued, error) {
	if t.rotationOver(r) {
		return issued{}, grape(http.StatusForbidden, "Token rotation deadline has passed")
	}
	owner, err := t.ownerProject(r)
	if err != nil {
		return issued{}, err
	}
	expires, err := t.expiryFor(r)
	if err != nil {
		return issued{}, err
	}
	token := newRunnerToken(t.version, r, owner, t.tokenPrefix())
	t.onCommit(func() { t.queue.forgetRunner(r.ID) })
	return issued{Token: token, ExpiresAt: expires}, t.exec("UPDATE runners SET token_digest = ?, token_expires_at = ?, token_rotation_deadline = NULL, updated_at = ? WHERE id = ?",
		t.secrets.digest(domainRunner, token), expires, at(t.now), r.ID)
}

func (t *tx) deleteRunner(r *runner) error {
	t.onCommit(func() { t.queue.forgetRunner(r.ID) })
	return t.exec("DELETE FROM runners WHERE id = ?", r.ID)
}

// ownerProject is the first project that a project runner was assigned to and
// still has; 0 for other runners.
func (t *tx) ownerProject(r *runner) (int64, error) {
	var id int64
	err := t.value(&id, "SELECT coalesce((SELECT project_id FROM runner_projects WHERE runner_id = ? ORDER BY id LIMIT 1), 0)", r.ID)
	return id, err
}

// attributeError is what a model validation says about one attribute.
type attributeError struct{ attribute, label, text string }

const maxTags = 50

// check validates the attributes as the runner model does. The number of tags
// counts only when they change: records of old may have more.
func (r *runner) check(tagsChanged bool) []attributeError {
	var wrong []attributeError
	if tagsChanged && len(r.Tags) > maxTags {
		wrong = append(wrong, attributeError{"tags_list", "Tags list", "Too many tags specified. Please limit the number of tags to 50"})
	}
	if !r.RunUntagged && len(r.Tags) == 0 {
		wrong = append(wrong, attributeError{"tags_list", "Tags list", "can not be empty when runner is not allowed to pick untagged jobs"})
	}
	if r.MaximumTimeout != nil && *r.MaximumTimeout < 600 {
		wrong = append(wrong, attributeError{"maximum_timeout", "Maximum timeout", "needs to be at least 10 minutes"})
	}
	if utf8.RuneCountInString(r.Description) > 1024 {
		wrong = append(wrong, attributeError{"description", "Description", "is too long (maximum is 1024 characters)"})
	}
	if utf8.RuneCountInString(r.MaintenanceNote) > 1024 {
		wrong = append(wrong, attributeError{"maintenance_note", "Maintenance note", "is too long (maximum is 1024 characters)"})
	}
	return wrong
}

// asObject is the 400 of POST /runners and PUT /runners/:id.
func asObject(wrong []attributeError) error {
	if len(wrong) == 0 {
		return nil
	}
	body := map[string][]string{}
	for _, w := range wrong {
		body[w.attribute] = append(body[w.attribute], w.text)
	}
	return &refusal{status: http.StatusBadRequest, body: messageBody{body}}
}

// asSentence is the 400 of POST /user/runners: the same errors in one string.
func asSentence(wrong []attributeError) error {
	if len(wrong) == 0 {
		return nil
	}
	texts := make([]string, len(wrong))
	for i, w := range wrong {
		texts[i] = w.label + " " + w.text
	}
	return badRequest(sentence(texts))
}

// sentence joins as Rails does: "a", "a and b", "a, b, and c".
func sentence(words []string) string {
	switch n := len(words); n {
	case 1:
		return words[0]
	case 2:
		return words[0] + " and " + words[1]
	default:
		return strings.Join(words[:n-1], ", ") + ", and " + words[n-1]
	}
}
