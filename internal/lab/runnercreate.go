package lab

import (
	"net/http"
	"slices"
)

var attributeParams = []param{may("description", text), may("paused", boolean), may("locked", boolean), may("run_untagged", boolean),
	may("tag_list", words), may("access_level", text, notProtected, refProtected), may("maximum_timeout", integer)}

var createRunnerParams = takes(need("runner_type", text, instanceType, groupType, projectType)).and(attributeParams...).
	and(may("maintenance_note", text), may("group_id", integer), may("project_id", integer), may("token_expires_at", moment), may("token_rotation_deadline", moment))

// runnerFromParams takes the attributes given over GitLab's defaults.
func (c *call) runnerFromParams() runner {
	r := runner{Description: c.text("description"), Active: !c.flag("paused", false), Locked: c.flag("locked", false),
		RunUntagged: c.flag("run_untagged", true), AccessLevel: c.text("access_level"), MaintenanceNote: c.text("maintenance_note")}
	r.Tags, _ = c.words("tag_list")
	if r.AccessLevel == "" {
		r.AccessLevel = notProtected
	}
	if seconds, given := c.number("maximum_timeout"); given {
		r.MaximumTimeout = &seconds
	}
	return r
}

// postUserRunner is POST /user/runners: the record first, its token shown once.
// Whether a group or project exists is answered before whether the caller may.
func postUserRunner(c *call) (answer, error) {
	c.dropBlank()
	r := c.runnerFromParams()
	r.Type, r.RegistrationType, r.CreatorID = c.text("runner_type"), byUser, c.caller.ID
	var project int64
	var allowed bool
	var err error
	switch r.Type {
	case instanceType:
		allowed = c.admin()
	case groupType:
		r.GroupID, allowed, err = c.groupForRunner()
	case projectType:
		project, allowed, err = c.projectForRunner()
	}
	switch {
	case err != nil:
		return answer{}, err
	case !allowed || !c.workflowOn(r.Type):
		return answer{}, forbidden("Insufficient permissions")
	}
	wrong, err := c.overQuota(r.Type, quotaOwner(&r, project))
	if err != nil {
		return answer{}, err
	}
	if err := asSentence(append(r.check(true), wrong...)); err != nil {
		return answer{}, err
	}
	made, err := c.insertRunner(&r, project)
	if err != nil {
		return answer{}, err
	}
	if err := c.ownExpiry(&r, &made); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: made}, c.auditRunner(auditRunnerCreated, "Created", &r)
}

// workflowOn is false where 15.11 to 16.1 have the creation of runners switched off.
func (c *call) workflowOn(kind string) bool {
	name := flagCreateForNamespace
	if kind == instanceType {
		name = flagCreateForAdmin
	}
	return c.version.AtLeast(16, 2) || c.flagOn(name)
}

func (c *call) groupForRunner() (int64, bool, error) {
	id, given := c.number("group_id")
	if !given {
		return 0, false, grape(http.StatusBadRequest, "group_id is missing")
	}
	up, err := c.ancestry(id)
	if err != nil {
		return 0, false, err
	}
	if len(up) == 0 || up[0].Kind != kindGroup {
		return 0, false, badRequest("Missing/invalid group")
	}
	have, err := c.groupLevel(id)
	open := slices.Contains(c.settings().words("valid_runner_registrars"), "group") && registrationOpen(up)
	return id, have == levelAdmin || have >= levelOwner && open, err
}

func (c *call) projectForRunner() (int64, bool, error) {
	id, given := c.number("project_id")
	if !given {
		return 0, false, grape(http.StatusBadRequest, "project_id is missing")
	}
	p, err := c.projectByID(id)
	if err != nil {
		return 0, false, missing(err, badRequest("Missing/invalid project"))
	}
	have, err := c.projectLevel(&p)
	if err != nil {
		return 0, false, err
	}
	up, err := c.ancestry(p.NamespaceID)
	open := slices.Contains(c.settings().words("valid_runner_registrars"), "project") && p.RegistrationEnabled && registrationOpen(up)
	return id, !p.Archived && (have == levelAdmin || have >= levelMaintainer && open), err
}

// registrationOpen is runner_registration_enabled over a group and its ancestors.
func registrationOpen(up []namespace) bool {
	return !slices.ContainsFunc(up, func(n namespace) bool { return !n.RegistrationEnabled })
}
