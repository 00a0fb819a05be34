package gitlab

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// Job is one CI job.
type Job struct {
	ID            int64
	Name          string
	Stage         string
	Status        string // GitLab's: created, pending, running, success, failed, canceled, …
	Ref           string
	Tags          []string
	RunnerID      rekey.RunnerID // 0 while no runner has it
	SystemID      rekey.SystemID // of the manager that ran it; from 16.3
	FailureReason string
	WebURL        string
	PipelineID    int64
	ProjectID     int64 // 0 where GitLab does not say
	CreatedAt     time.Time
	StartedAt     time.Time
	FinishedAt    time.Time
}

// wireJob is GitLab's job; client-go's has no runner_manager.
type wireJob struct {
	ID            int64    `json:"id"`
	Name          string   `json:"name"`
	Stage         string   `json:"stage"`
	Status        string   `json:"status"`
	Ref           string   `json:"ref"`
	TagList       []string `json:"tag_list"`
	FailureReason string   `json:"failure_reason"`
	WebURL        string   `json:"web_url"`
	CreatedAt     string   `json:"created_at"`
	StartedAt     string   `json:"started_at"`
	FinishedAt    string   `json:"finished_at"`
	Runner        *struct {
		ID int64 `json:"id"`
	} `json:"runner"`
	Manager *struct {
		SystemID string `json:"system_id"`
	} `json:"runner_manager"`
	Pipeline struct {
		ID        int64 `json:"id"`
		ProjectID int64 `json:"project_id"`
	} `json:"pipeline"`
}

func (w wireJob) job() Job {
	j := Job{
		ID: w.ID, Name: w.Name, Stage: w.Stage, Status: w.Status, Ref: w.Ref, Tags: w.TagList,
		FailureReason: w.FailureReason, WebURL: w.WebURL, PipelineID: w.Pipeline.ID, ProjectID: w.Pipeline.ProjectID,
		CreatedAt: timestamp(w.CreatedAt), StartedAt: timestamp(w.StartedAt), FinishedAt: timestamp(w.FinishedAt),
	}
	if w.Runner != nil {
		j.RunnerID = rekey.RunnerID(w.Runner.ID)
	}
	if w.Manager != nil {
		j.SystemID = rekey.SystemID(w.Manager.SystemID)
	}
	return j
}

// Job reads one job of a project, named by full path or id.
func (c *Client) Job(ctx context.Context, project string, id int64) (Job, error) {
	op := operation{what: fmt.Sprintf("read job %d of project %s", id, project), scope: scopeList, role: "Reporter of the project"}
	w, _, err := fetch[wireJob](ctx, c, op, fmt.Sprintf("projects/%s/jobs/%d", api.PathEscape(project), id), nil)
	return w.job(), err
}

// JobTrace reads a job's log as text, at most its first MiB.
func (c *Client) JobTrace(ctx context.Context, project string, id int64) ([]byte, error) {
	op := operation{what: fmt.Sprintf("read the log of job %d of project %s", id, project), scope: scopeList, role: "Reporter of the project"}
	var trace io.Reader
	err := c.read(ctx, op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		found, resp, err := c.api.Jobs.GetTraceFile(project, id, o...)
		trace = found
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(trace, 1<<20))
}

// RunnerJobs lists the running jobs of a record. known is false where the user
// may not ask. GitLab shows only jobs of projects where the user is Reporter or
// more: for anyone but an administrator an empty list is not proof of idleness.
func (c *Client) RunnerJobs(ctx context.Context, id rekey.RunnerID) (jobs []Job, known bool, err error) {
	op := operation{what: fmt.Sprintf("list the jobs of runner %d", id), scope: scopeRead, role: roleRead}
	query := &api.ListRunnerJobsOptions{ListOptions: api.ListOptions{PerPage: 100}, Status: api.Ptr("running")}
	jobs, err = c.jobs(ctx, op, fmt.Sprintf("runners/%d/jobs", id), query, &query.ListOptions)
	if rekey.KindOf(err) == rekey.KindDenied && err != nil {
		return nil, false, nil
	}
	return jobs, err == nil, err
}

// PipelineJobs lists the jobs of a pipeline.
func (c *Client) PipelineJobs(ctx context.Context, project string, pipeline int64) ([]Job, error) {
	op := operation{what: fmt.Sprintf("list the jobs of pipeline %d", pipeline), scope: scopeList, role: "Reporter of the project"}
	query := &api.ListJobsOptions{ListOptions: api.ListOptions{PerPage: 100}}
	return c.jobs(ctx, op, fmt.Sprintf("projects/%s/pipelines/%d/jobs", api.PathEscape(project), pipeline), query, &query.ListOptions)
}

func (c *Client) jobs(ctx context.Context, op operation, path string, query any, pages *api.ListOptions) ([]Job, error) {
	var jobs []Job
	for page := int64(1); ; {
		pages.Page = page
		wire, resp, err := fetch[[]wireJob](ctx, c, op, path, query)
		if err != nil {
			return nil, err
		}
		for _, w := range wire {
			jobs = append(jobs, w.job())
		}
		if page = nextPage(resp, page); page == 0 {
			return jobs, nil
		}
	}
}

var jobPath = regexp.MustCompile(`^/(.+?)(?:/-)?/jobs/([0-9]+)/?$`)

// ParseJobURL takes the address of a job's page apart. It refuses a page of
// another GitLab: the user token is not for that one.
func (c *Client) ParseJobURL(text string) (project string, id int64, err error) {
	page, err := url.Parse(text)
	base, baseErr := url.Parse(c.base)
	if err != nil || baseErr != nil || page.Host == "" {
		return "", 0, rekey.Errorf(rekey.KindInvalid, "that is not the URL of a job").WithHint("copy it from the job's page: %s/GROUP/PROJECT/-/jobs/123", c.base)
	}
	prefix := strings.TrimRight(base.Path, "/")
	if originKey(page) != originKey(base) || !strings.HasPrefix(page.Path, prefix+"/") {
		return "", 0, rekey.Errorf(rekey.KindInvalid, "the job is not on %s, for which the user token was given", c.base)
	}
	m := jobPath.FindStringSubmatch(strings.TrimPrefix(page.Path, prefix))
	if m == nil {
		return "", 0, rekey.Errorf(rekey.KindInvalid, "that is not the URL of a job").WithHint("copy it from the job's page: %s/GROUP/PROJECT/-/jobs/123", c.base)
	}
	id, err = strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return "", 0, rekey.Errorf(rekey.KindInvalid, "the job's number is too large")
	}
	return m[1], id, nil
}
