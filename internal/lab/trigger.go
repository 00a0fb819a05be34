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
	made, err := c.createPipeline(&p, c.text("ref"), "trigger", owner, given)
	if err != nil {
		return answer{}, err
	}
	return c.showPipeline(http.StatusCreated, &p, made)
}
