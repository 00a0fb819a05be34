package lab

import (
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

var registerParams = func() paramSet {
	set := takes(need("token", text), may("info", hash), may("active", boolean), may("maintainer_note", text), may("maintenance_note", text)).and(attributeParams...)
	set.exclusive = [][2]string{{"active", "paused"}, {"maintainer_note", "maintenance_note"}}
	return set
}()

func disallowed() error { return message(http.StatusGone, "410 Gone - runner registration disallowed") }

func (s *Server) invalidRegistrationToken() error {
	if s.has(registrationRefusalText) {
		return forbidden("invalid token supplied")
	}
	return forbidden("")
}

// registerTarget is what a registration token belongs to.
type registerTarget struct {
	kind      string
	namespace int64 // the group, or the project's namespace
	project   int64
}

// postRunner is POST /runners, the legacy registration.
func postRunner(c *call) (answer, error) {
	token := c.text("token")
	c.dropBlank()
	target, err := c.registrationTarget(token)
	if err != nil {
		return answer{}, err
	}
	if err := c.switchedOn(target); err != nil {
		return answer{}, err
	}
	r := c.runnerFromParams()
	r.Type, r.RegistrationType = target.kind, byRegistration
	r.Active = c.flag("active", r.Active)
	if target.kind == groupType {
		r.GroupID = target.namespace
	}
	if r.MaintenanceNote == "" {
		r.MaintenanceNote = c.text("maintainer_note")
	}
	if info, given := c.params["info"].(map[string]any); given {
		r.Name, _ = info["name"].(string)
	}
	wrong, err := c.overQuota(r.Type, quotaOwner(&r, target.project))
	if err != nil {
		return answer{}, err
	}
	if err := asObject(append(r.check(true), wrong...)); err != nil {
		return answer{}, err
	}
	made, err := c.insertRunner(&r, target.project)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: made}, c.auditRunner(auditRunnerRegistered, "Registered", &r)
}

// registrationTarget resolves the token in GitLab's order: instance, project,
// group; then, while the instance switch is off, any text is "disallowed".
func (c *call) registrationTarget(token string) (registerTarget, error) {
	instance, err := c.instanceToken()
	if err != nil {
		return registerTarget{}, err
	}
	if instance != "" && subtle.ConstantTimeCompare([]byte(instance), []byte(token)) == 1 {
		return registerTarget{kind: instanceType}, nil
	}
	for _, find := range []func(string) (registerTarget, error){c.projectByRegistrationToken, c.groupByRegistrationToken} {
		target, err := find(token)
		if !errors.Is(err, sql.ErrNoRows) {
			return target, err
		}
	}
	if token != "" && !c.settings().flag("allow_runner_registration_token") {
		return registerTarget{}, disallowed()
	}
	return registerTarget{}, c.invalidRegistrationToken()
}

func (c *call) projectByRegistrationToken(token string) (registerTarget, error) {
	target := registerTarget{kind: projectType}
	if !slices.Contains(c.settings().words("valid_runner_registrars"), "project") {
		return target, sql.ErrNoRows
	}
	p, err := row(c.tx, scanProject, "SELECT "+projectColumns+" FROM projects WHERE registration_digest = ? AND runner_registration_enabled",
		c.secrets.digest(domainRegistration, token))
	target.namespace, target.project = p.NamespaceID, p.ID
	if err != nil {
		return target, err
	}
	return target, c.closedIsUnknown(p.NamespaceID)
}

// closedIsUnknown lets a token of a group or project whose members may not
// register runners be as unknown as any other: its section is gone.
func (t *tx) closedIsUnknown(namespaceID int64) error {
	up, err := t.ancestry(namespaceID)
	if err == nil && !registrationOpen(up) {
		err = sql.ErrNoRows
	}
	return err
}

func (c *call) groupByRegistrationToken(token string) (registerTarget, error) {
	target := registerTarget{kind: groupType}
	if !slices.Contains(c.settings().words("valid_runner_registrars"), "group") {
		return target, sql.ErrNoRows
	}
	g, err := row(c.tx, scanNamespace, "SELECT "+namespaceColumns+" FROM namespaces WHERE kind = 'group' AND registration_digest = ?",
		c.secrets.digest(domainRegistration, token))
	target.namespace = g.ID
	if err != nil {
		return target, err
	}
	return target, c.closedIsUnknown(g.ID)
}

// switchedOn checks the instance switch, and for groups and projects the one of
// their root namespace.
func (c *call) switchedOn(target registerTarget) error {
	allowed, err := c.registrationAllowed(target.namespace)
	if err == nil && !allowed {
		err = disallowed()
	}
	return err
}

// registrationAllowed reports whether registration tokens work in a namespace;
// 0 is the instance.
func (t *tx) registrationAllowed(namespaceID int64) (bool, error) {
	if !t.settings().flag("allow_runner_registration_token") {
		return false, nil
	}
	if namespaceID == 0 {
		return true, nil
	}
	up, err := t.ancestry(namespaceID)
	if err != nil || len(up) == 0 {
		return false, err
	}
	return up[len(up)-1].AllowRegistration, nil
}

// shownRegistrationToken is runners_token: null while disallowed. Where the secrets
// it was sealed with are lost it cannot be shown, and neither can the page: 500.
func (t *tx) shownRegistrationToken(box []byte, namespaceID int64) (*string, error) {
	allowed, err := t.registrationAllowed(namespaceID)
	if err != nil || !allowed || box == nil {
		return nil, err
	}
	token, err := t.secrets.opened(box)
	if err != nil {
		return nil, fmt.Errorf("decrypt a registration token: %w", err)
	}
	return &token, nil
}

// registrationToken is the 201 of the three reset_registration_token routes.
type registrationToken struct {
	Token string `json:"token"`
}

func resetInstanceRegistration(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	if err := c.audit(auditRegistrationReset, "Gitlab::Audit::InstanceScope", 1, "Reset instance runner registration token", "ApplicationSetting", 1); err != nil {
		return answer{}, err
	}
	return c.resetRegistration(0, func(token string) error { return c.storeInstanceToken(token) })
}

func resetGroupRegistration(c *call) (answer, error) {
	g, err := c.needGroup("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	if err := c.audit(auditRegistrationReset, "Group", g.ID, "Reset group runner registration token", "Group", g.ID); err != nil {
		return answer{}, err
	}
	return c.resetRegistration(g.ID, func(token string) error { return c.storeGroupToken(g.ID, token) })
}

func (t *tx) storeGroupToken(id int64, token string) error {
	return t.exec("UPDATE namespaces SET registration_digest = ?, registration_sealed = ? WHERE id = ?",
		t.secrets.digest(domainRegistration, token), t.secrets.sealed(token), id)
}

func resetProjectRegistration(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	if err := c.audit(auditRegistrationReset, "Project", p.ID, "Reset project runner registration token", "Project", p.ID); err != nil {
		return answer{}, err
	}
	return c.resetRegistration(p.NamespaceID, func(token string) error { return c.storeProjectToken(p.ID, token) })
}

func (t *tx) storeProjectToken(id int64, token string) error {
	return t.exec("UPDATE projects SET registration_digest = ?, registration_sealed = ? WHERE id = ?",
		t.secrets.digest(domainRegistration, token), t.secrets.sealed(token), id)
}

func (c *call) resetRegistration(namespaceID int64, store func(string) error) (answer, error) {
	allowed, err := c.registrationAllowed(namespaceID)
	if err != nil {
		return answer{}, err
	}
	if !allowed {
		return answer{}, forbidden("")
	}
	token := newRegistrationToken()
	return answer{status: http.StatusCreated, body: registrationToken{token}}, store(token)
}
