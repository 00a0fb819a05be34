package lab

import (
	"net/http"
	"time"
)

// auditEvent is one line of who did what. Names and texts of the runner events are
// unverified.
type auditEvent struct {
	ID         int64                      `json:"id"`
	AuthorID   int64                      `json:"author_id"`
	EntityID   int64                      `json:"entity_id"`
	EntityType string                     `json:"entity_type"`
	EventName  string                     `json:"event_name"`
	Details    jsonColumn[map[string]any] `json:"-"`
	Shown      map[string]any             `json:"details"`
	CreatedAt  stamp                      `json:"created_at"`
}

const (
	auditRunnerCreated      = "ci_runner_created"
	auditRunnerRegistered   = "ci_runner_registered"
	auditRunnerUnregistered = "ci_runner_unregistered"
	auditRunnerTokenReset   = "ci_runner_token_reset"
	auditRegistrationReset  = "ci_runner_registration_token_reset"
	auditRunnerAssigned     = "ci_runner_associated"
	auditRunnerUnassigned   = "ci_runner_disassociated"
	auditSettingsChanged    = "application_setting_updated"
)

// registrationAuthor stands for who registered with a token and no name.
const registrationAuthor = -1

const auditColumns = "id, author_id, entity_id, entity_type, event, details, created_at"

func scanAudit(sc scanner) (auditEvent, error) {
	var e auditEvent
	err := sc.Scan(&e.ID, &e.AuthorID, &e.EntityID, &e.EntityType, &e.EventName, &e.Details, &e.CreatedAt)
	e.Shown = e.Details.V
	return e, err
}

// audit writes an event about an entity ("Group", "Project", or "Gitlab::Audit::InstanceScope"
// with id 1) and what in it was the target.
func (c *call) audit(event, entity string, entityID int64, text, targetType string, targetID int64) error {
	author, name := int64(registrationAuthor), "An unauthenticated user"
	if c.caller != nil {
		author, name = c.caller.ID, c.caller.Name
	}
	details := map[string]any{"custom_message": text, "author_name": name, "target_id": targetID, "target_type": targetType, "event_name": event, "ip_address": clientIP(c)}
	return c.exec("INSERT INTO audit_events (author_id, entity_type, entity_id, event, details, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		author, entity, entityID, event, jsonColumn[map[string]any]{details}, at(c.now))
}

// auditRunner is audit for a runner, whose owner is the entity.
func (c *call) auditRunner(event, text string, r *runner) error {
	entity, id := "Gitlab::Audit::InstanceScope", int64(1)
	switch r.Type {
	case groupType:
		entity, id = "Group", r.GroupID
	case projectType:
		owner, err := c.ownerProject(r)
		if err != nil {
			return err
		}
		entity, id = "Project", owner
	}
	return c.audit(event, entity, id, text+" "+auditKind[r.Type]+" CI runner", "Ci::Runner", r.ID)
}

var auditKind = map[string]string{instanceType: "instance", groupType: "group", projectType: "project"}

var auditParams = takes(may("created_after", moment), may("created_before", moment), may("entity_type", text, "Project", "User", "Group", "Gitlab::Audit::InstanceScope"), may("entity_id", integer))

func (c *call) auditPage(where string, args ...any) (answer, error) {
	if since, given := c.params["created_after"].(time.Time); given {
		where, args = where+" AND created_at >= ?", append(args, at(since))
	}
	if until, given := c.params["created_before"].(time.Time); given {
		where, args = where+" AND created_at <= ?", append(args, at(until))
	}
	found, err := page(c, scanAudit, auditColumns, "audit_events WHERE "+where, "id DESC", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(nonNil(found))
}

func getAuditEvents(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	where, args := "1=1", []any{}
	if entity := c.text("entity_type"); entity != "" {
		where, args = "entity_type = ?", []any{entity}
	}
	if id, given := c.number("entity_id"); given {
		if c.text("entity_type") == "" {
			return answer{}, grape(http.StatusBadRequest, "entity_type is missing")
		}
		where, args = where+" AND entity_id = ?", append(args, id)
	}
	return c.auditPage(where, args...)
}

func getAuditEvent(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	id, err := c.pathID("audit_event_id")
	if err != nil {
		return answer{}, err
	}
	e, err := row(c.tx, scanAudit, "SELECT "+auditColumns+" FROM audit_events WHERE id = ?", id)
	return answer{status: http.StatusOK, body: e}, missing(err, lookupMiss())
}

func getGroupAudit(c *call) (answer, error) {
	g, err := c.needGroup("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	return c.auditPage("entity_type = 'Group' AND entity_id = ?", g.ID)
}

func getProjectAudit(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	return c.auditPage("entity_type = 'Project' AND entity_id = ?", p.ID)
}
