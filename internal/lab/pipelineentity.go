package lab

import "net/http"

// pipelineEntity is a pipeline in lists and jobs.
type pipelineEntity struct {
	ID        int64  `json:"id"`
	IID       int64  `json:"iid"`
	ProjectID int64  `json:"project_id"`
	SHA       string `json:"sha"`
	Ref       string `json:"ref"`
	Status    string `json:"status"`
	Source    string `json:"source"`
	CreatedAt stamp  `json:"created_at"`
	UpdatedAt stamp  `json:"updated_at"`
	WebURL    string `json:"web_url"`
}

// pipelineDetail is one pipeline.
type pipelineDetail struct {
	pipelineEntity
	BeforeSHA  string    `json:"before_sha"`
	Tag        bool      `json:"tag"`
	YAMLErrors *string   `json:"yaml_errors"`
	User       userBrief `json:"user"`
	StartedAt  stamp     `json:"started_at"`
	FinishedAt stamp     `json:"finished_at"`
	Duration   *int64    `json:"duration"`
}

const zeroSHA = "0000000000000000000000000000000000000000"

func (c *call) pipelineEntity(p *project, in pipeline) pipelineEntity {
	return pipelineEntity{in.ID, in.IID, in.ProjectID, in.SHA, in.Ref, in.Status, in.Source, in.CreatedAt, in.UpdatedAt,
		c.baseURL(c.r) + "/" + p.FullPath + "/-/pipelines/" + formatInt(in.ID)}
}

func (c *call) showPipeline(status int, p *project, in pipeline) (answer, error) {
	d := pipelineDetail{pipelineEntity: c.pipelineEntity(p, in), BeforeSHA: zeroSHA, StartedAt: in.StartedAt, FinishedAt: in.FinishedAt}
	u, err := c.userByID(in.UserID)
	if err := missing(err, nil); err != nil {
		return answer{}, err
	}
	d.User = c.userBrief(u)
	if !in.FinishedAt.IsZero() && !in.StartedAt.IsZero() {
		took := int64(in.FinishedAt.Sub(in.StartedAt.Time).Seconds())
		d.Duration = &took
	}
	return answer{status: status, body: d}, nil
}

var listPipelineParams = takes(may("ref", text), may("status", text), may("source", text), may("sha", text))

func getPipelines(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	where, args := "project_id = ?", []any{p.ID}
	for _, column := range []string{"ref", "status", "source", "sha"} {
		if c.text(column) != "" {
			where, args = where+" AND "+column+" = ?", append(args, c.text(column))
		}
	}
	found, err := page(c, scanPipeline, pipelineColumns, "pipelines WHERE "+where, "id DESC", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(each(found, func(in pipeline) pipelineEntity { return c.pipelineEntity(&p, in) }))
}

// findPipeline finds the pipeline of the path in a project where the caller has
// the role.
func (c *call) findPipeline(least level) (project, pipeline, error) {
	p, err := c.needProject("id", least)
	if err != nil {
		return p, pipeline{}, err
	}
	id, err := c.pathID("pipeline_id")
	if err != nil {
		return p, pipeline{}, err
	}
	in, err := row(c.tx, scanPipeline, "SELECT "+pipelineColumns+" FROM pipelines WHERE id = ? AND project_id = ?", id, p.ID)
	return p, in, missing(err, lookupMiss())
}

func getPipeline(c *call) (answer, error) {
	p, in, err := c.findPipeline(levelReporter)
	if err != nil {
		return answer{}, err
	}
	return c.showPipeline(http.StatusOK, &p, in)
}

func getPipelineVariables(c *call) (answer, error) {
	_, in, err := c.findPipeline(levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	return ok(in.Variables.V)
}

func cancelPipeline(c *call) (answer, error) {
	p, in, err := c.findPipeline(levelDeveloper)
	if err != nil {
		return answer{}, err
	}
	jobs, err := rows(c.tx, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.pipeline_id = ?", in.ID)
	if err != nil {
		return answer{}, err
	}
	for _, j := range jobs {
		if err := c.cancelOne(&j); err != nil {
			return answer{}, err
		}
	}
	if in, err = c.pipelineByID(in.ID); err != nil {
		return answer{}, err
	}
	return c.showPipeline(http.StatusOK, &p, in)
}

func deletePipeline(c *call) (answer, error) {
	_, in, err := c.findPipeline(levelOwner)
	if err != nil {
		return answer{}, err
	}
	if err := c.exec("DELETE FROM pipelines WHERE id = ?", in.ID); err != nil {
		return answer{}, err
	}
	return noContent()
}
