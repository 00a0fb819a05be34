package gitlab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// Pipeline is one pipeline.
type Pipeline struct {
	ID     int64
	Status string
	WebURL string
}

// CreatePipeline starts a pipeline on ref. It is never repeated. Where the
// project refuses pipeline variables the error is ErrVariablesRefused; GitLab's
// other reasons are in the message. Needs api and the right to run pipelines.
func (c *Client) CreatePipeline(ctx context.Context, project, ref string, vars map[string]string) (Pipeline, error) {
	op := operation{what: "start a pipeline in project " + project, scope: scopeAPI, role: "Developer of the project, with the right to push to or merge into a protected branch"}
	var variables []*api.PipelineVariableOptions
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		variables = append(variables, &api.PipelineVariableOptions{Key: api.Ptr(key), Value: api.Ptr(vars[key])})
	}
	options := &api.CreatePipelineOptions{Ref: &ref}
	if len(variables) > 0 {
		options.Variables = &variables
	}
	var p *api.Pipeline
	err := c.change(ctx, "pipeline", op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		p, resp, err = c.api.Pipelines.CreatePipeline(project, options, o...)
		return resp, err
	})
	if err != nil {
		return Pipeline{}, variablesRefused(op, err)
	}
	return Pipeline{ID: p.ID, Status: p.Status, WebURL: p.WebURL}, nil
}

func variablesRefused(op operation, err error) error {
	if rekey.KindOf(err) != rekey.KindInvalid || !strings.Contains(err.Error(), "Insufficient permissions to set pipeline variables") {
		return err
	}
	return op.fail(rekey.KindDenied, ErrVariablesRefused, "the project does not let this user set pipeline variables").
		WithHint("in the project's CI/CD settings choose a minimum role to use pipeline variables, or let the job's tags be fixed in its .gitlab-ci.yml")
}

// Pipeline reads one pipeline.
func (c *Client) Pipeline(ctx context.Context, project string, id int64) (Pipeline, error) {
	op := operation{what: fmt.Sprintf("read pipeline %d", id), scope: scopeList, role: "Reporter of the project"}
	var p *api.Pipeline
	err := c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		p, resp, err = c.api.Pipelines.GetPipeline(project, id, o...)
		return resp, err
	})
	if err != nil {
		return Pipeline{}, err
	}
	return Pipeline{ID: p.ID, Status: p.Status, WebURL: p.WebURL}, nil
}

// CancelPipeline cancels what has not finished of a pipeline.
func (c *Client) CancelPipeline(ctx context.Context, project string, id int64) error {
	op := operation{what: fmt.Sprintf("cancel pipeline %d", id), scope: scopeAPI, role: "Developer of the project"}
	return c.change(ctx, "cancel", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		_, resp, err := c.api.Pipelines.CancelPipelineBuild(project, id, o...)
		return resp, err
	})
}
