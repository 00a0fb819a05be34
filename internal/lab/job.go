package lab

import (
	"errors"
	"net/http"
)

// job is one job of a pipeline.
type job struct {
	ID            int64
	PipelineID    int64
	ProjectID     int64
	Name          string
	Stage         string
	StageIndex    int
	Status        string
	Tags          list
	When          string
	AllowFailure  bool
	Protected     bool
	Plan          jsonColumn[jobPlan]
	UserID        int64
	RunnerID      int64
	ManagerID     int64
	FailureReason string
	ExitCode      *int64
	TraceSize     int64
	CreatedAt     stamp
	QueuedAt      stamp
	StartedAt     stamp
	FinishedAt    stamp
	ErasedAt      stamp
	AcknowledgeBy stamp // pending, given to a runner that has to accept it until then
	FinalSince    stamp // a final state was sent while the live trace moves
}

const jobColumns = `j.id, j.pipeline_id, j.project_id, j.name, j.stage, j.stage_index, j.status, j.tags, j.run_when, j.allow_failure, j.protected, j.plan, j.user_id,
	coalesce(j.runner_id, 0), coalesce(j.manager_id, 0), j.failure_reason, j.exit_code, j.trace_size, j.created_at, j.queued_at, j.started_at, j.finished_at, j.erased_at, j.acknowledge_by, j.final_since`

func scanJob(sc scanner) (job, error) {
	var j job
	err := sc.Scan(&j.ID, &j.PipelineID, &j.ProjectID, &j.Name, &j.Stage, &j.StageIndex, &j.Status, &j.Tags, &j.When, &j.AllowFailure, &j.Protected, &j.Plan, &j.UserID,
		&j.RunnerID, &j.ManagerID, &j.FailureReason, &j.ExitCode, &j.TraceSize, &j.CreatedAt, &j.QueuedAt, &j.StartedAt, &j.FinishedAt, &j.ErasedAt, &j.AcknowledgeBy, &j.FinalSince)
	return j, err
}

// jobEntity is a job to API clients.
type jobEntity struct {
	ID             int64           `json:"id"`
	Status         string          `json:"status"`
	Stage          string          `json:"stage"`
	Name           string          `json:"name"`
	Ref            string          `json:"ref"`
	Tag            bool            `json:"tag"`
	AllowFailure   bool            `json:"allow_failure"`
	CreatedAt      stamp           `json:"created_at"`
	StartedAt      stamp           `json:"started_at"`
	FinishedAt     stamp           `json:"finished_at"`
	ErasedAt       stamp           `json:"erased_at"`
	Duration       *float64        `json:"duration"`
	QueuedDuration *float64        `json:"queued_duration"`
	User           userBrief       `json:"user"`
	Commit         jobCommit       `json:"commit"`
	Pipeline       pipelineEntity  `json:"pipeline"`
	FailureReason  *string         `json:"failure_reason,omitempty"`
	WebURL         string          `json:"web_url"`
	Project        map[string]bool `json:"project"`
	Artifacts      []jobArtifact   `json:"artifacts"`
	Runner         *runnerEntity   `json:"runner"`
	RunnerManager  **managerEntity `json:"runner_manager,omitempty"`
	Tags           list            `json:"tag_list"`
}

type jobCommit struct {
	ID      string `json:"id"`
	ShortID string `json:"short_id"`
	Message string `json:"message"`
	Title   string `json:"title"`
}

type jobArtifact struct {
	FileType   string  `json:"file_type"`
	Size       int64   `json:"size"`
	Filename   string  `json:"filename"`
	FileFormat *string `json:"file_format"`
}

func (c *call) jobEntity(j job) (jobEntity, error) {
	p, err := c.projectByID(j.ProjectID)
	if err != nil {
		return jobEntity{}, err
	}
	in, err := c.pipelineByID(j.PipelineID)
	if err != nil {
		return jobEntity{}, err
	}
	e := jobEntity{ID: j.ID, Status: j.Status, Stage: j.Stage, Name: j.Name, Ref: in.Ref, AllowFailure: j.AllowFailure, CreatedAt: j.CreatedAt, StartedAt: j.StartedAt,
		FinishedAt: j.FinishedAt, ErasedAt: j.ErasedAt, Pipeline: c.pipelineEntity(&p, in), Commit: jobCommit{ID: in.SHA, ShortID: in.SHA[:8]},
		WebURL: c.baseURL(c.r) + "/" + p.FullPath + "/-/jobs/" + formatInt(j.ID), Project: map[string]bool{"ci_job_token_scope_enabled": false}, Tags: j.Tags}
	if j.FailureReason != "" {
		e.FailureReason = &j.FailureReason
	}
	e.Duration, e.QueuedDuration = c.took(j.StartedAt, j.FinishedAt), c.took(j.QueuedAt, j.StartedAt)
	u, err := c.userByID(j.UserID)
	if err := missing(err, nil); err != nil {
		return e, err
	}
	e.User = c.userBrief(u)
	return e, errors.Join(c.addCommit(&e), c.addArtifacts(&e), c.addRunner(&e, &j))
}

// took is the seconds between two moments, up to now where the second is to come.
func (c *call) took(from, to stamp) *float64 {
	if from.IsZero() {
		return nil
	}
	if to.IsZero() {
		to = at(c.now)
	}
	seconds := to.Sub(from.Time).Seconds()
	return &seconds
}

func (c *call) addCommit(e *jobEntity) error {
	err := c.value(&e.Commit.Message, "SELECT message FROM commits WHERE sha = ?", e.Commit.ID)
	e.Commit.Title = e.Commit.Message
	return missing(err, nil)
}

func (c *call) addArtifacts(e *jobEntity) error {
	found, err := rows(c.tx, func(sc scanner) (jobArtifact, error) {
		a := jobArtifact{FileFormat: new(string)}
		err := sc.Scan(&a.FileType, &a.Size, &a.Filename, a.FileFormat)
		return a, err
	}, "SELECT file_type, length(data), filename, file_format FROM artifacts WHERE job_id = ? ORDER BY file_type", e.ID)
	if e.Artifacts = nonNil(found); e.FinishedAt.IsZero() || err != nil {
		return err
	}
	var size int64
	err = c.value(&size, "SELECT trace_size FROM jobs WHERE id = ?", e.ID)
	e.Artifacts = append(e.Artifacts, jobArtifact{FileType: "trace", Size: size, Filename: "job.log"})
	return err
}

// addRunner names who ran the job; runner_manager from 16.3 on.
func (c *call) addRunner(e *jobEntity, j *job) error {
	if j.RunnerID != 0 {
		r, err := c.runnerByID(j.RunnerID)
		if err != nil {
			return err
		}
		shown, err := c.runnerEntity(r)
		if err != nil {
			return err
		}
		e.Runner = &shown
	}
	if !c.Server.has(runnerManagerInJob) {
		return nil
	}
	var none *managerEntity
	e.RunnerManager = &none
	if j.ManagerID == 0 {
		return nil
	}
	m, err := row(c.tx, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.id = ?", j.ManagerID)
	if err != nil {
		return missing(err, nil)
	}
	shown, err := c.managerEntity(m)
	*e.RunnerManager = &shown
	return err
}

var (
	jobStatuses = []string{"created", "waiting_for_resource", "preparing", "pending", "running", "success", "failed", "canceled", "canceling", "skipped", "manual", "scheduled"}
	scopeParams = takes(may("scope", words, jobStatuses...), may("include_retried", boolean))
	runnerJobs  = takes(may("status", text, jobStatuses...), may("system_id", text), may("order_by", text, "id"), may("sort", text, "asc", "desc")).and(keysetParams...)
)

// jobPage lists jobs j; scope filters by status.
func (c *call) jobPage(where string, args ...any) (answer, error) {
	if scopes, given := c.words("scope"); given && len(scopes) > 0 {
		where += " AND j.status IN (SELECT value FROM json_each(?))"
		raw, err := list(scopes).Value()
		if err != nil {
			return answer{}, err
		}
		args = append(args, raw)
	}
	order := "j.id DESC"
	if c.text("sort") == "asc" {
		order = "j.id"
	}
	if c.text("pagination") == "keyset" && c.Server.has(keysetRunnerJobs) {
		return c.keyset(where, args)
	}
	found, err := page(c, scanJob, jobColumns, "jobs j WHERE "+where, order, args...)
	if err != nil {
		return answer{}, err
	}
	return eachOK(found, c.jobEntity)
}

func getProjectJobs(c *call) (answer, error) {
	p, err := c.needProject("id", levelReporter)
	if err != nil {
		return answer{}, err
	}
	if err := c.jobsLimited(); err != nil {
		return answer{}, err
	}
	return c.jobPage("j.project_id = ?", p.ID)
}

func getPipelineJobs(c *call) (answer, error) {
	_, in, err := c.findPipeline(levelReporter)
	if err != nil {
		return answer{}, err
	}
	return c.jobPage("j.pipeline_id = ? AND (? OR NOT j.retried)", in.ID, c.flag("include_retried", false))
}

// getRunnerJobs shows only jobs of projects where the caller is Reporter or
// more: an empty list is not an idle runner.
func getRunnerJobs(c *call) (answer, error) {
	r, err := c.readable("id")
	if err != nil {
		return answer{}, err
	}
	if r.Type == instanceType && !c.admin() {
		return answer{}, noAccess()
	}
	where, args := "j.runner_id = ?", []any{r.ID}
	if status := c.text("status"); status != "" {
		where, args = where+" AND j.status = ?", append(args, status)
	}
	if systemID := c.text("system_id"); systemID != "" {
		c.uncounted = true
		where, args = where+" AND j.manager_id = (SELECT id FROM managers WHERE runner_id = ? AND system_id = ?)", append(args, r.ID, systemID)
	}
	where, args = c.reporterOnly(where, args)
	return c.jobPage(where, args...)
}

// reporterOnly leaves the jobs j of projects where the caller is Reporter or more.
func (c *call) reporterOnly(where string, args []any) (string, []any) {
	if c.admin() {
		return where, args
	}
	where += ` AND j.project_id IN (SELECT source_id FROM members WHERE source_kind = 'project' AND user_id = ? AND access_level >= 20
			UNION SELECT id FROM projects WHERE namespace_id IN ` + groupsAt + `)`
	return where, append(args, c.caller.ID, c.caller.ID, levelReporter)
}

// findJob finds the job of the path in a project where the caller has the role.
func (c *call) findJob(least level) (job, error) {
	p, err := c.needProject("id", least)
	if err != nil {
		return job{}, err
	}
	id, err := c.pathID("job_id")
	if err != nil {
		return job{}, err
	}
	j, err := row(c.tx, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.id = ? AND j.project_id = ?", id, p.ID)
	return j, missing(err, notFound(""))
}

func getJob(c *call) (answer, error) {
	j, err := c.findJob(levelReporter)
	if err != nil {
		return answer{}, err
	}
	return c.showJob(http.StatusOK, j.ID)
}

func (c *call) showJob(status int, id int64) (answer, error) {
	j, err := c.jobByID(id)
	if err != nil {
		return answer{}, err
	}
	e, err := c.jobEntity(j)
	return answer{status: status, body: e}, err
}

func (t *tx) jobByID(id int64) (job, error) {
	return row(t, scanJob, "SELECT "+jobColumns+" FROM jobs j WHERE j.id = ?", id)
}
