package lab

import "net/http"

// triggerEntity is a pipeline trigger token; whole only when made.
type triggerEntity struct {
	ID          int64     `json:"id"`
	Description string    `json:"description"`
	CreatedAt   stamp     `json:"created_at"`
	UpdatedAt   stamp     `json:"updated_at"`
	LastUsed    *string   `json:"last_used"`
	Token       string    `json:"token"`
	Owner       userBrief `json:"owner"`
}

func postTrigger(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	token := newTriggerToken()
	id, err := c.insert("INSERT INTO triggers (project_id, owner_id, description, digest, created_at) VALUES (?, ?, ?, ?, ?)",
		p.ID, c.caller.ID, c.text("description"), c.secrets.digest(domainTrigger, token), at(c.now))
	return answer{status: http.StatusCreated, body: triggerEntity{id, c.text("description"), at(c.now), at(c.now), nil, token, c.userBrief(c.caller.user)}}, err
}

var triggerParams = takes(need("ref", text), need("token", text), may("variables", hash))

// postTriggerPipeline runs a pipeline as the trigger's owner; a token that is
// not this project's is 404.
func postTriggerPipeline(c *call) (answer, error) {
	var owner, projectID int64
	digest := c.secrets.digest(domainTrigger, c.text("token"))
	if err := c.value(&owner, "SELECT owner_id FROM triggers WHERE digest = ?", digest); err != nil {
		return answer{}, missing(err, notFound(""))
	}
	u, err := c.userByID(owner)
	if err != nil {
		return answer{}, missing(err, notFound(""))
	}
	c.caller = &caller{user: u, scopes: list{"api", "admin_mode"}}
	p, err := c.findProject("id")
	if err != nil {
		return answer{}, err
	}
	if err := c.value(&projectID, "SELECT project_id FROM triggers WHERE digest = ?", digest); err != nil {
		return answer{}, err
	}
	if projectID != p.ID {
		return answer{}, notFound("")
	}
	given := []pipelineVariable{}
	variables, _ := c.params["variables"].(map[string]any)
	for _, key := range sortedKeys(variables) {
		value, _ := coerceText(variables[key])
		spelled, _ := value.(string)
		given = append(given, pipelineVariable{key, spelled, "env_var"})
	}
	have, err := c.projectLevel(&p)
	if err != nil {
		return answer{}, err
	}
	if len(given) > 0 && !c.mayGiveVariables(&p, have) {
		return answer{}, baseError("Insufficient permissions to set pipeline variables")
	}
	ref := c.text("ref")
	if inPath, given := c.vars["ref"]; given {
		ref = inPath
	}
	made, err := c.createPipeline(&p, ref, "trigger", owner, given)
	if err != nil {
		return answer{}, err
	}
	return c.showPipeline(http.StatusCreated, &p, made)
}

const triggerColumns = "id, description, created_at, owner_id"

// scanTrigger shows no more of a token than GitLab shows to who does not own it:
// the lab keeps a digest alone.
func (c *call) scanTrigger(sc scanner) (triggerEntity, error) {
	e := triggerEntity{Token: "glpt"}
	err := sc.Scan(&e.ID, &e.Description, &e.CreatedAt, &e.Owner.ID)
	e.UpdatedAt = e.CreatedAt
	return e, err
}

func (c *call) withOwner(e triggerEntity) (triggerEntity, error) {
	u, err := c.userByID(e.Owner.ID)
	e.Owner = c.userBrief(u)
	return e, missing(err, nil)
}

func getTriggers(c *call) (answer, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return answer{}, err
	}
	found, err := page(c, c.scanTrigger, triggerColumns, "triggers WHERE project_id = ?", "id", p.ID)
	if err != nil {
		return answer{}, err
	}
	return eachOK(found, c.withOwner)
}

func (c *call) findTrigger() (triggerEntity, error) {
	p, err := c.needProject("id", levelMaintainer)
	if err != nil {
		return triggerEntity{}, err
	}
	id, err := c.pathID("trigger_id")
	if err != nil {
		return triggerEntity{}, err
	}
	e, err := row(c.tx, c.scanTrigger, "SELECT "+triggerColumns+" FROM triggers WHERE project_id = ? AND id = ?", p.ID, id)
	if err != nil {
		return e, missing(err, notFound("Trigger"))
	}
	return c.withOwner(e)
}

func getTrigger(c *call) (answer, error) {
	e, err := c.findTrigger()
	return answer{status: http.StatusOK, body: e}, err
}

func putTrigger(c *call) (answer, error) {
	e, err := c.findTrigger()
	if err != nil {
		return answer{}, err
	}
	if c.given("description") {
		e.Description = c.text("description")
	}
	return answer{status: http.StatusOK, body: e}, c.exec("UPDATE triggers SET description = ? WHERE id = ?", e.Description, e.ID)
}

func deleteTrigger(c *call) (answer, error) {
	e, err := c.findTrigger()
	if err != nil {
		return answer{}, err
	}
	if err := c.preconditionFailed(e.UpdatedAt); err != nil {
		return answer{}, err
	}
	if err := c.exec("DELETE FROM triggers WHERE id = ?", e.ID); err != nil {
		return answer{}, err
	}
	return noContent()
}
