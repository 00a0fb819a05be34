package lab

import (
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strings"

	"rekey/internal/lab/ciconfig"
)

// pipeline is one run of a project's CI.
type pipeline struct {
	ID         int64
	IID        int64
	ProjectID  int64
	Ref        string
	SHA        string
	Status     string
	Source     string
	UserID     int64
	Variables  jsonColumn[[]pipelineVariable]
	CreatedAt  stamp
	UpdatedAt  stamp
	StartedAt  stamp
	FinishedAt stamp
}

// pipelineVariable is one given at creation.
type pipelineVariable struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Type  string `json:"variable_type"`
}

const pipelineColumns = "id, iid, project_id, ref, sha, status, source, user_id, variables, created_at, updated_at, started_at, finished_at"

func scanPipeline(sc scanner) (pipeline, error) {
	var p pipeline
	err := sc.Scan(&p.ID, &p.IID, &p.ProjectID, &p.Ref, &p.SHA, &p.Status, &p.Source, &p.UserID, &p.Variables, &p.CreatedAt, &p.UpdatedAt, &p.StartedAt, &p.FinishedAt)
	return p, err
}

func (t *tx) pipelineByID(id int64) (pipeline, error) {
	return row(t, scanPipeline, "SELECT "+pipelineColumns+" FROM pipelines WHERE id = ?", id)
}

// jobPlan is what a job was planned to do; it holds no token.
type jobPlan struct {
	BeforeScript []string            `json:"before_script"`
	Script       []string            `json:"script"`
	AfterScript  []string            `json:"after_script"`
	Variables    []pipelineVariable  `json:"variables"`
	Needs        []string            `json:"needs"`
	HasNeeds     bool                `json:"has_needs"`
	Image        string              `json:"image"`
	Timeout      int64               `json:"timeout"`
	Artifacts    []ciconfig.Artifact `json:"artifacts"`
}

func baseError(text string) error { return modelErrors("base", text) }

func (p *project) configPath() string {
	if p.ConfigPath != "" {
		return p.ConfigPath
	}
	return ".gitlab-ci.yml"
}

// createPipeline plans the jobs of a ref and starts the first of them. Refusals
// are those of POST /projects/:id/pipeline.
func (c *call) createPipeline(p *project, ref, source string, userID int64, given []pipelineVariable) (pipeline, error) {
	ref = strings.TrimPrefix(ref, "refs/heads/")
	sha, err := c.branchSHA(p.ID, ref)
	if err != nil {
		return pipeline{}, missing(err, baseError("Reference not found"))
	}
	file, err := c.fileAt(p.ID, ref, p.configPath())
	if err != nil {
		return pipeline{}, missing(err, baseError("Missing CI config file"))
	}
	config, err := ciconfig.Parse(file.content)
	if err != nil {
		return pipeline{}, baseError(err.Error())
	}
	made := pipeline{ProjectID: p.ID, Ref: ref, SHA: sha, Status: "created", Source: source, UserID: userID}
	made.Variables.V = nonNil(given)
	known, err := c.knownVariables(p, ref, given)
	if err != nil {
		return pipeline{}, err
	}
	jobs := config.Plan(c.predefined(p, &made), known)
	if len(jobs) == 0 {
		return pipeline{}, baseError("The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs.")
	}
	if err := c.insertPipeline(&made); err != nil {
		return made, err
	}
	for _, job := range jobs {
		if err := c.insertJob(p, &made, config, job); err != nil {
			return made, err
		}
	}
	if err := c.advance(made.ID); err != nil {
		return made, err
	}
	return c.pipelineByID(made.ID)
}

func (c *call) insertPipeline(p *pipeline) error {
	if err := c.value(&p.IID, "SELECT coalesce(max(iid), 0) + 1 FROM pipelines WHERE project_id = ?", p.ProjectID); err != nil {
		return err
	}
	id, err := c.insert("INSERT INTO pipelines (iid, project_id, ref, sha, status, source, user_id, variables, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		p.IID, p.ProjectID, p.Ref, p.SHA, p.Status, p.Source, p.UserID, p.Variables, at(c.now), at(c.now))
	p.ID = id
	return err
}

func (c *call) insertJob(p *project, in *pipeline, config *ciconfig.Config, job ciconfig.Job) error {
	protected, err := c.exists("SELECT 1 FROM branches WHERE project_id = ? AND name = ? AND protected", p.ID, in.Ref)
	if err != nil {
		return err
	}
	plan := jobPlan{job.BeforeScript, job.Script, job.AfterScript, nil, job.Needs, job.HasNeeds, job.Image, job.Timeout, job.Artifacts}
	for _, v := range append(slices.Clone(config.Variables), job.Variables...) {
		plan.Variables = append(plan.Variables, pipelineVariable{Key: v.Key, Value: v.Value})
	}
	return c.exec(`INSERT INTO jobs (pipeline_id, project_id, name, stage, stage_index, status, tags, run_when, allow_failure, protected, plan, user_id, created_at)
		VALUES (?, ?, ?, ?, ?, 'created', ?, ?, ?, ?, ?, ?, ?)`, in.ID, p.ID, job.Name, job.Stage, slices.Index(config.Stages, job.Stage), list(job.Tags), job.When,
		job.AllowFailure || job.When == "manual" && job.Rules == nil, protected, jsonColumn[jobPlan]{plan}, in.UserID, at(c.now))
}

// knownVariables are those that win over the file's: the project's and its
// groups', then the ones given with the pipeline.
func (c *call) knownVariables(p *project, ref string, given []pipelineVariable) (map[string]string, error) {
	protected, err := c.exists("SELECT 1 FROM branches WHERE project_id = ? AND name = ? AND protected", p.ID, ref)
	if err != nil {
		return nil, err
	}
	secret, err := c.variablesFor(p, protected)
	vars := map[string]string{}
	for _, v := range secret {
		vars[v.Key] = v.text
	}
	for _, v := range given {
		vars[v.Key] = v.Value
	}
	return vars, err
}

// pipelineForPush runs CI for a commit unless its message says to skip it. A
// branch without a config, or with one that yields no job, has no pipeline.
func (c *call) pipelineForPush(p *project, branch, text string) error {
	lower := strings.ToLower(text)
	if strings.Contains(lower, "[skip ci]") || strings.Contains(lower, "[ci skip]") {
		return nil
	}
	_, err := c.createPipeline(p, branch, "push", c.caller.ID, nil)
	var refused *refusal
	if errors.As(err, &refused) || errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// mayGiveVariables applies ci_pipeline_variables_minimum_override_role.
func (c *call) mayGiveVariables(p *project, have level) bool {
	if !c.Server.has(pipelineVariablesRole) {
		return true
	}
	switch p.VariablesRole {
	case "no_one_allowed":
		return false
	case "maintainer":
		return have >= levelMaintainer
	case "owner":
		return have >= levelOwner
	}
	return have >= levelDeveloper
}

var createPipelineParams = takes(need("ref", text), may("variables", array))

func postPipeline(c *call) (answer, error) {
	p, err := c.needProject("id", levelDeveloper)
	if err == nil && p.Archived {
		err = forbidden("")
	}
	if err != nil {
		return answer{}, err
	}
	given, err := c.givenVariables()
	if err != nil {
		return answer{}, err
	}
	have, err := c.projectLevel(&p)
	if err != nil {
		return answer{}, err
	}
	if len(given) > 0 && !c.mayGiveVariables(&p, have) {
		return answer{}, baseError("Insufficient permissions to set pipeline variables")
	}
	made, err := c.createPipeline(&p, c.text("ref"), "api", c.caller.ID, given)
	if err != nil {
		return answer{}, err
	}
	return c.showPipeline(http.StatusCreated, &p, made)
}

func (c *call) givenVariables() ([]pipelineVariable, error) {
	items, _ := c.params["variables"].([]any)
	var found []pipelineVariable
	for _, item := range items {
		object, isObject := item.(map[string]any)
		if !isObject {
			return nil, grape(http.StatusBadRequest, "variables is invalid")
		}
		v := pipelineVariable{Type: "env_var"}
		for name, field := range map[string]*string{"key": &v.Key, "value": &v.Value, "variable_type": &v.Type} {
			if spelled, isText := coerceText(object[name]); isText && object[name] != nil {
				*field, _ = spelled.(string)
			}
		}
		if v.Key == "" {
			return nil, grape(http.StatusBadRequest, "variables[0][key] is missing")
		}
		found = append(found, v)
	}
	return found, nil
}
