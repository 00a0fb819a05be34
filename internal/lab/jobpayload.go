package lab

import (
	"net/url"
	"strings"
	"time"
)

// jobPayload is the 201 of POST /jobs/request.
type jobPayload struct {
	ID            int64               `json:"id"`
	Token         string              `json:"token"`
	AllowGitFetch bool                `json:"allow_git_fetch"`
	JobInfo       jobInfo             `json:"job_info"`
	GitInfo       gitInfo             `json:"git_info"`
	RunnerInfo    runnerInfo          `json:"runner_info"`
	Inputs        []any               `json:"inputs"`
	Variables     []jobVariable       `json:"variables"`
	Steps         []jobStep           `json:"steps"`
	Image         *jobImage           `json:"image"`
	Services      []any               `json:"services"`
	Artifacts     []payloadArtifact   `json:"artifacts"`
	Cache         []any               `json:"cache"`
	Credentials   []any               `json:"credentials"`
	Dependencies  []payloadDependency `json:"dependencies"`
	Features      jobFeatures         `json:"features"`
}

type jobInfo struct {
	ID                 int64   `json:"id"`
	Name               string  `json:"name"`
	Stage              string  `json:"stage"`
	PipelineID         int64   `json:"pipeline_id"`
	ProjectID          int64   `json:"project_id"`
	ProjectName        string  `json:"project_name"`
	ProjectFullPath    string  `json:"project_full_path"`
	NamespaceID        int64   `json:"namespace_id"`
	RootNamespaceID    int64   `json:"root_namespace_id"`
	OrganizationID     int64   `json:"organization_id"`
	InstanceID         string  `json:"instance_id"`
	UserID             int64   `json:"user_id"`
	TimeInQueueSeconds float64 `json:"time_in_queue_seconds"`
	RunningOnInstance  string  `json:"project_jobs_running_on_instance_runners_count"`
	QueueSize          int     `json:"queue_size"`
	QueueDepth         int     `json:"queue_depth"`
}

type gitInfo struct {
	RepoURL          string `json:"repo_url"`
	Ref              string `json:"ref"`
	SHA              string `json:"sha"`
	BeforeSHA        string `json:"before_sha"`
	RefType          string `json:"ref_type"`
	Refspecs         list   `json:"refspecs"`
	Depth            int    `json:"depth"`
	RepoObjectFormat string `json:"repo_object_format"`
	Protected        bool   `json:"protected"`
}

type runnerInfo struct {
	Timeout          int64   `json:"timeout"`
	RunnerSessionURL *string `json:"runner_session_url"`
}

type jobVariable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	Masked bool   `json:"masked"`
	File   bool   `json:"file,omitempty"`
	Raw    bool   `json:"raw,omitempty"`
}

type jobStep struct {
	Name         string `json:"name"`
	Script       list   `json:"script"`
	Timeout      int64  `json:"timeout"`
	When         string `json:"when"`
	AllowFailure bool   `json:"allow_failure"`
}

type jobImage struct {
	Name  string `json:"name"`
	Ports []any  `json:"ports"`
}

type payloadArtifact struct {
	Name     string `json:"name"`
	Paths    list   `json:"paths"`
	Exclude  list   `json:"exclude,omitempty"`
	When     string `json:"when,omitempty"`
	ExpireIn string `json:"expire_in,omitempty"`
	Type     string `json:"artifact_type"`
	Format   string `json:"artifact_format"`
}

type jobFeatures struct {
	TraceSections     bool `json:"trace_sections"`
	TokenMaskPrefixes list `json:"token_mask_prefixes"`
	FailureReasons    list `json:"failure_reasons"`
}

// failureReasons are what a runner may report; others are stored as
// unknown_failure.
var failureReasons = list{"unknown_failure", "script_failure", "api_failure", "stuck_or_timeout_failure", "runner_system_failure", "missing_dependency_failure",
	"runner_unsupported", "stale_schedule", "job_execution_timeout", "archived_failure", "unmet_prerequisites", "scheduler_failure", "data_integrity_failure",
	"forward_deployment_failure", "user_blocked", "project_deleted", "trace_size_exceeded", "configuration_error", "image_pull_failure"}

func (c *call) payload(r *runner, j *job, token string) (jobPayload, error) {
	p, err := c.projectByID(j.ProjectID)
	if err != nil {
		return jobPayload{}, err
	}
	in, err := c.pipelineByID(j.PipelineID)
	if err != nil {
		return jobPayload{}, err
	}
	up, err := c.ancestry(p.NamespaceID)
	if err != nil {
		return jobPayload{}, err
	}
	timeout := j.timeout(&p, r)
	out := jobPayload{ID: j.ID, Token: token, AllowGitFetch: true, RunnerInfo: runnerInfo{Timeout: timeout}, Steps: j.steps(timeout),
		JobInfo: jobInfo{ID: j.ID, Name: j.Name, Stage: j.Stage, PipelineID: in.ID, ProjectID: p.ID, ProjectName: p.Name, ProjectFullPath: p.FullPath,
			NamespaceID: p.NamespaceID, RootNamespaceID: up[len(up)-1].ID, OrganizationID: 1, InstanceID: "rekey-lab", UserID: in.UserID,
			TimeInQueueSeconds: c.now.Sub(j.QueuedAt.Time).Round(time.Millisecond).Seconds(), RunningOnInstance: "+Inf"},
		GitInfo: gitInfo{RepoURL: repositoryURL(c.baseURL(c.r), p.FullPath, token), Ref: in.Ref, SHA: in.SHA, BeforeSHA: zeroSHA, RefType: "branch",
			Refspecs: list{"+refs/heads/" + in.Ref + ":refs/remotes/origin/" + in.Ref}, Depth: 20, RepoObjectFormat: "sha1", Protected: j.Protected},
		Inputs: []any{}, Services: []any{}, Cache: []any{}, Credentials: []any{}, Artifacts: []payloadArtifact{},
		Features: jobFeatures{TraceSections: true, TokenMaskPrefixes: list{"glpat-", "gloas-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-"}, FailureReasons: failureReasons}}
	if j.Plan.V.Image != "" {
		out.Image = &jobImage{j.Plan.V.Image, []any{}}
	}
	for _, a := range j.Plan.V.Artifacts {
		out.Artifacts = append(out.Artifacts, payloadArtifact{a.Name, a.Paths, a.Exclude, a.When, a.ExpireIn, "archive", "zip"})
	}
	if out.Dependencies, err = c.dependencies(j, token); err != nil {
		return out, err
	}
	secret, err := c.variablesFor(&p, j.Protected)
	if err != nil {
		return out, err
	}
	out.Variables = c.jobVariables(&p, &in, j, r, token, secret)
	return out, nil
}

// timeout is the least of the job's, or the project's, and the runner's.
func (j *job) timeout(p *project, r *runner) int64 {
	seconds := p.BuildTimeout
	if j.Plan.V.Timeout > 0 {
		seconds = j.Plan.V.Timeout
	}
	if r.MaximumTimeout != nil {
		seconds = min(seconds, *r.MaximumTimeout)
	}
	return seconds
}

func (j *job) steps(timeout int64) []jobStep {
	plan := &j.Plan.V
	script := append(append(list{}, plan.BeforeScript...), plan.Script...)
	steps := []jobStep{{"script", script, timeout, "on_success", false}}
	if len(plan.AfterScript) > 0 {
		steps = append(steps, jobStep{"after_script", plan.AfterScript, timeout, "always", true})
	}
	return steps
}

// repositoryURL is where GitLab would serve the repository; the lab serves none.
func repositoryURL(base, path, token string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base + "/" + path + ".git"
	}
	u.User = url.UserPassword("gitlab-ci-token", token)
	return strings.TrimSuffix(u.String(), "/") + "/" + path + ".git"
}

// predefined are the CI_ variables that rules may look at, which are known
// before a job is.
func (c *call) predefined(p *project, in *pipeline) map[string]string {
	base := c.baseURL(c.r)
	vars := map[string]string{"CI": "true", "GITLAB_CI": "true", "CI_SERVER": "yes", "CI_SERVER_NAME": "GitLab", "CI_SERVER_URL": base, "CI_SERVER_HOST": hostOf(base),
		"CI_SERVER_VERSION": c.version.String(), "CI_API_V4_URL": base + "/api/v4", "CI_PROJECT_ID": formatInt(p.ID), "CI_PROJECT_NAME": p.Path,
		"CI_PROJECT_PATH": p.FullPath, "CI_PROJECT_NAMESPACE": strings.TrimSuffix(p.FullPath, "/"+p.Path), "CI_PROJECT_URL": base + "/" + p.FullPath,
		"CI_PROJECT_VISIBILITY": p.Visibility, "CI_DEFAULT_BRANCH": p.DefaultBranch, "CI_PIPELINE_SOURCE": in.Source, "CI_COMMIT_SHA": in.SHA,
		"CI_COMMIT_SHORT_SHA": in.SHA[:min(8, len(in.SHA))], "CI_COMMIT_BRANCH": in.Ref, "CI_COMMIT_REF_NAME": in.Ref, "CI_CONFIG_PATH": p.configPath()}
	if in.ID != 0 {
		vars["CI_PIPELINE_ID"], vars["CI_PIPELINE_IID"] = formatInt(in.ID), formatInt(in.IID)
		vars["CI_PIPELINE_URL"] = base + "/" + p.FullPath + "/-/pipelines/" + formatInt(in.ID)
	}
	return vars
}

// jobVariables lists them in order of precedence, lowest first. GIT_STRATEGY
// comes before all: the lab has no git repository to fetch from.
func (c *call) jobVariables(p *project, in *pipeline, j *job, r *runner, token string, secret []ciVariable) []jobVariable {
	out := []jobVariable{{Key: "GIT_STRATEGY", Value: "none", Public: true}}
	add := func(key, value string) { out = append(out, jobVariable{Key: key, Value: value, Public: true}) }
	predefined := c.predefined(p, in)
	for _, key := range sortedKeys(predefined) {
		add(key, predefined[key])
	}
	add("CI_JOB_ID", formatInt(j.ID))
	add("CI_JOB_NAME", j.Name)
	add("CI_JOB_STAGE", j.Stage)
	add("CI_JOB_URL", predefined["CI_PROJECT_URL"]+"/-/jobs/"+formatInt(j.ID))
	add("CI_JOB_STARTED_AT", c.now.UTC().Format(time.RFC3339))
	add("CI_RUNNER_ID", formatInt(r.ID))
	add("CI_RUNNER_DESCRIPTION", r.Description)
	add("CI_RUNNER_TAGS", strings.Join(r.Tags, ", "))
	for _, key := range []string{"CI_JOB_TOKEN", "CI_BUILD_TOKEN"} {
		out = append(out, jobVariable{Key: key, Value: token, Masked: true})
	}
	for _, v := range j.Plan.V.Variables {
		add(v.Key, v.Value)
	}
	for _, v := range secret {
		out = append(out, jobVariable{Key: v.Key, Value: v.text, Masked: v.Masked, File: v.Type == "file", Raw: v.Raw})
	}
	for _, v := range in.Variables.V {
		out = append(out, jobVariable{Key: v.Key, Value: v.Value, File: v.Type == "file"})
	}
	return out
}
