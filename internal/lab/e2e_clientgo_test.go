package lab_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey/internal/lab/labtest"
)

// e2eVersions are what each client has to do with: before and after managers were
// listed, the oldest and the newest shapes of tokens.
var e2eVersions = []string{"15.11", "16.11", "17.11", "18.11", "19.3"}

const e2eConfig = "e2e:\n  tags: [e2e]\n  script: [\"echo e2e\"]\n"

// TestE2EClientGo does with GitLab's own Go client what its users do. The client is
// the module of go.mod as it is.
func TestE2EClientGo(t *testing.T) {
	t.Parallel()
	t.Logf("client-go %s", e2eModule(t, "gitlab.com/gitlab-org/api/client-go/v2"))
	for _, version := range e2eVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := labtest.Start(t, labtest.Options{Version: version, Profile: "self-managed"})
			c := &clientGo{T: t, l: l, admin: e2eClient(t, l, l.Admin), since17: version >= "17"}
			c.people()
			c.places()
			c.members()
			c.settings()
			c.variables()
			c.runners()
			c.registration()
			c.jobs()
			c.refusals()
		})
	}
}

// e2eModule is the version of a module that go.mod names.
func e2eModule(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", path).CombinedOutput()
	if err != nil {
		t.Fatalf("go list -m %s: %v: %s", path, err, out)
	}
	return strings.TrimSpace(string(out))
}

func e2eClient(t *testing.T, l *labtest.Lab, token string) *gitlab.Client {
	t.Helper()
	client, err := gitlab.NewClient(token, gitlab.WithBaseURL(l.URL), gitlab.WithCustomRetryMax(0))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clientGo is one lab and what was made in it.
type clientGo struct {
	*testing.T
	l       *labtest.Lab
	since17 bool // managers are listed

	admin, dev           *gitlab.Client
	user, group, project int64
	runner               int64
	token                string // of the runner
}

// must returns what a call of the client returned, or ends the test.
func must[V any](t *testing.T) func(V, *gitlab.Response, error) V {
	return func(v V, _ *gitlab.Response, err error) V {
		t.Helper()
		if err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		return v
	}
}

func (c *clientGo) done(_ *gitlab.Response, err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *clientGo) same(what string, got, want any) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (c *clientGo) people() {
	made := must[*gitlab.User](c.T)(c.admin.Users.CreateUser(&gitlab.CreateUserOptions{Username: new("dev"), Name: new("Dev"), Email: new("dev@example.com"), ForceRandomPassword: new(true)}))
	c.user = made.ID
	found := must[[]*gitlab.User](c.T)(c.admin.Users.ListUsers(&gitlab.ListUsersOptions{Username: new("dev")}))
	c.same("users called dev", len(found), 1)
	token := must[*gitlab.PersonalAccessToken](c.T)(c.admin.Users.CreatePersonalAccessToken(c.user, &gitlab.CreatePersonalAccessTokenOptions{Name: new("e2e"), Scopes: &[]string{"api"}}))
	c.dev = e2eClient(c.T, c.l, token.Token)
	c.same("who the token speaks for", must[*gitlab.User](c.T)(c.dev.Users.CurrentUser()).Username, "dev")
	c.same("the token's scopes", must[*gitlab.PersonalAccessToken](c.T)(c.dev.PersonalAccessTokens.GetSinglePersonalAccessToken()).Scopes, []string{"api"})
	version := must[*gitlab.Version](c.T)(c.dev.Version.GetVersion())
	c.same("the metadata's version", must[*gitlab.Metadata](c.T)(c.dev.Metadata.GetMetadata()).Version, version.Version)
}

func (c *clientGo) places() {
	c.group = must[*gitlab.Group](c.T)(c.admin.Groups.CreateGroup(&gitlab.CreateGroupOptions{Name: new("Acme"), Path: new("acme")})).ID
	sub := must[*gitlab.Group](c.T)(c.admin.Groups.CreateGroup(&gitlab.CreateGroupOptions{Name: new("Sub"), Path: new("sub"), ParentID: &c.group}))
	c.same("the subgroup's path", sub.FullPath, "acme/sub")
	project := must[*gitlab.Project](c.T)(c.admin.Projects.CreateProject(&gitlab.CreateProjectOptions{Name: new("Web"), Path: new("web"), NamespaceID: &c.group, InitializeWithReadme: new(true)}))
	c.project = project.ID
	c.same("the project by its path", must[*gitlab.Project](c.T)(c.admin.Projects.GetProject("acme/web", nil)).ID, c.project)
	edited := must[*gitlab.Project](c.T)(c.admin.Projects.EditProject(c.project, &gitlab.EditProjectOptions{Description: new("edited"), CIPipelineVariablesMinimumOverrideRole: new(gitlab.CIPipelineVariablesDeveloperRole)}))
	c.same("the project's description", edited.Description, "edited")
	must[*gitlab.FileInfo](c.T)(c.admin.RepositoryFiles.CreateFile(c.project, ".gitlab-ci.yml", &gitlab.CreateFileOptions{Branch: new("main"), Content: new(e2eConfig), CommitMessage: new("ci [skip ci]")}))
	raw := must[[]byte](c.T)(c.admin.RepositoryFiles.GetRawFile(c.project, ".gitlab-ci.yml", &gitlab.GetRawFileOptions{Ref: new("main")}))
	c.same("the file", string(raw), e2eConfig)
	c.same("lint", must[*gitlab.ProjectLintResult](c.T)(c.admin.Validate.ProjectLint(c.project, nil)).Valid, true)
}

func (c *clientGo) members() {
	must[*gitlab.GroupMember](c.T)(c.admin.GroupMembers.AddGroupMember(c.group, &gitlab.AddGroupMemberOptions{UserID: &c.user, AccessLevel: new(gitlab.DeveloperPermissions)}))
	must[*gitlab.GroupMember](c.T)(c.admin.GroupMembers.EditGroupMember(c.group, c.user, &gitlab.EditGroupMemberOptions{AccessLevel: new(gitlab.OwnerPermissions)}))
	c.same("the member's level", must[*gitlab.GroupMember](c.T)(c.admin.GroupMembers.GetGroupMember(c.group, c.user)).AccessLevel, gitlab.OwnerPermissions)
	all := must[[]*gitlab.ProjectMember](c.T)(c.admin.ProjectMembers.ListAllProjectMembers(c.project, nil))
	c.same("the member in the project", slices.ContainsFunc(all, func(m *gitlab.ProjectMember) bool { return m.ID == c.user }), true)
}

func (c *clientGo) settings() {
	before := must[*gitlab.Settings](c.T)(c.admin.Settings.GetSettings())
	c.same("registration tokens", before.AllowRunnerRegistrationToken, true)
	after := must[*gitlab.Settings](c.T)(c.admin.Settings.UpdateSettings(&gitlab.UpdateSettingsOptions{ProjectRunnerTokenExpirationInterval: new(int64(864000))}))
	c.same("the tokens' life", after.ProjectRunnerTokenExpirationInterval, 864000)
}

func (c *clientGo) variables() {
	const secret = "CANARYvalue01"
	v := c.dev.ProjectVariables
	must[*gitlab.ProjectVariable](c.T)(v.CreateVariable(c.project, &gitlab.CreateProjectVariableOptions{Key: new("KEY"), Value: new(secret), Masked: new(true), Protected: new(false)}))
	must[*gitlab.ProjectVariable](c.T)(v.UpdateVariable(c.project, "KEY", &gitlab.UpdateProjectVariableOptions{Value: new(secret + "x"), VariableType: new(gitlab.FileVariableType)}))
	got := must[*gitlab.ProjectVariable](c.T)(v.GetVariable(c.project, "KEY", nil))
	c.same("the variable", fmt.Sprint(got.Value, got.VariableType, got.Masked, got.EnvironmentScope), secret+"xfiletrue*")
	must[*gitlab.GroupVariable](c.T)(c.dev.GroupVariables.CreateVariable(c.group, &gitlab.CreateGroupVariableOptions{Key: new("OF_GROUP"), Value: new("x")}))
	c.same("the group's variables", len(must[[]*gitlab.GroupVariable](c.T)(c.dev.GroupVariables.ListVariables(c.group, nil))), 1)
	c.done(v.RemoveVariable(c.project, "KEY", nil))
	c.same("the project's variables", len(must[[]*gitlab.ProjectVariable](c.T)(v.ListVariables(c.project, nil))), 0)
}

func (c *clientGo) runners() {
	r := c.dev.Runners
	made := must[*gitlab.UserRunner](c.T)(c.dev.Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{RunnerType: new("project_type"), ProjectID: &c.project, Description: new("e2e"), TagList: &[]string{"e2e", "linux"}, RunUntagged: new(false), MaximumTimeout: new(int64(900))}))
	c.runner, c.token = made.ID, made.Token
	c.same("the new token's shape", strings.HasPrefix(made.Token, "glrt-"), true)
	c.same("the new token has an end", made.TokenExpiresAt != nil, true)
	must[*gitlab.UserRunner](c.T)(c.admin.Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{RunnerType: new("instance_type"), TagList: &[]string{"other"}}))
	must[*gitlab.UserRunner](c.T)(c.dev.Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{RunnerType: new("group_type"), GroupID: &c.group, TagList: &[]string{"other"}}))
	c.done(r.VerifyRegisteredRunner(&gitlab.VerifyRegisteredRunnerOptions{Token: &c.token}))

	tagged := must[[]*gitlab.Runner](c.T)(c.admin.Runners.ListAllRunners(&gitlab.ListRunnersOptions{TagList: &[]string{"e2e", "linux"}}))
	c.same("runners with both tags", len(tagged), 1)
	c.same("all runners", len(must[[]*gitlab.Runner](c.T)(c.admin.Runners.ListAllRunners(nil))), 3)
	c.same("the project's own", len(must[[]*gitlab.Runner](c.T)(r.ListProjectRunners(c.project, &gitlab.ListProjectRunnersOptions{Type: new("project_type")}))), 1)
	c.same("the group's own", len(must[[]*gitlab.Runner](c.T)(r.ListGroupsRunners(c.group, &gitlab.ListGroupsRunnersOptions{Type: new("group_type")}))), 1)

	got := must[*gitlab.RunnerDetails](c.T)(r.GetRunnerDetails(c.runner))
	c.same("the details", fmt.Sprint(got.Description, got.TagList, got.RunUntagged, got.MaximumTimeout, len(got.Projects)), "e2e[e2e linux] false 900 1")
	got = must[*gitlab.RunnerDetails](c.T)(r.UpdateRunnerDetails(c.runner, &gitlab.UpdateRunnerDetailsOptions{Paused: new(true), Description: new("renamed"), TagList: &[]string{"e2e"}}))
	c.same("after the update", fmt.Sprint(got.Paused, got.Description, got.TagList), "truerenamed[e2e]")
	paused := must[[]*gitlab.Runner](c.T)(r.ListRunners(&gitlab.ListRunnersOptions{Paused: new(true)}))
	c.same("paused runners", len(paused), 1)
	must[*gitlab.RunnerDetails](c.T)(r.UpdateRunnerDetails(c.runner, &gitlab.UpdateRunnerDetailsOptions{Paused: new(false)}))

	fresh := must[*gitlab.RunnerAuthenticationToken](c.T)(r.ResetRunnerAuthenticationToken(c.runner))
	c.token = *fresh.Token
	c.same("polls with the fresh token", c.l.Call("POST", "jobs/request", "", labtest.M{"token": c.token, "system_id": "s_e2e"}).Status, 204)
	if c.since17 {
		managers := must[[]*gitlab.RunnerManager](c.T)(r.ListRunnerManagers(c.runner))
		i := slices.IndexFunc(managers, func(m *gitlab.RunnerManager) bool { return m.SystemID == "s_e2e" }) // verify left one without a system id
		if i < 0 || managers[i].Status != "online" {
			c.Errorf("managers: got %v, want s_e2e online among them", managers)
		}
	}
}

func (c *clientGo) registration() {
	token := c.l.Info.RegistrationTokens["instance"]
	made := must[*gitlab.Runner](c.T)(c.admin.Runners.RegisterNewRunner(&gitlab.RegisterNewRunnerOptions{Token: &token, Description: new("legacy"), TagList: &[]string{"legacy"}, Info: &gitlab.RegisterNewRunnerInfoOptions{Name: new("e2e")}}))
	c.same("the registered token", made.Token != "", true)
	c.done(c.admin.Runners.DeleteRegisteredRunner(&gitlab.DeleteRegisteredRunnerOptions{Token: &made.Token}))
	//lint:ignore SA1019 the legacy flow is what is tried
	project := must[*gitlab.RunnerRegistrationToken](c.T)(c.dev.Runners.ResetProjectRunnerRegistrationToken(c.project))
	made = must[*gitlab.Runner](c.T)(c.dev.Runners.RegisterNewRunner(&gitlab.RegisterNewRunnerOptions{Token: project.Token, RunUntagged: new(true)}))
	c.done(c.dev.Runners.RemoveRunner(made.ID))
}

func (c *clientGo) jobs() {
	pipeline := must[*gitlab.Pipeline](c.T)(c.dev.Pipelines.CreatePipeline(c.project, &gitlab.CreatePipelineOptions{Ref: new("main"), Variables: &[]*gitlab.PipelineVariableOptions{{Key: new("WHO"), Value: new("e2e")}}}))
	vars := must[[]*gitlab.PipelineVariable](c.T)(c.dev.Pipelines.GetPipelineVariables(c.project, pipeline.ID))
	c.same("pipeline variables", len(vars), 1)
	jobs := must[[]*gitlab.Job](c.T)(c.dev.Jobs.ListPipelineJobs(c.project, pipeline.ID, &gitlab.ListJobsOptions{Scope: &[]gitlab.BuildStateValue{gitlab.Pending}}))
	c.same("pending jobs", len(jobs), 1)
	c.work(jobs[0].ID, "hello e2e\n")
	job := must[*gitlab.Job](c.T)(c.dev.Jobs.GetJob(c.project, jobs[0].ID))
	c.same("the job", fmt.Sprint(job.Status, job.Runner.ID), fmt.Sprint("success", c.runner))
	trace, err := io.ReadAll(must[io.Reader](c.T)(asReader(c.dev.Jobs.GetTraceFile(c.project, job.ID))))
	c.same("the trace", string(trace), "hello e2e\n")
	c.same("no error", err, nil)
	c.same("the pipeline", must[*gitlab.Pipeline](c.T)(c.dev.Pipelines.GetPipeline(c.project, pipeline.ID)).Status, "success")
	of := must[[]*gitlab.Job](c.T)(c.dev.Runners.ListRunnerJobs(c.runner, nil))
	c.same("the runner's jobs", len(of), 1)
	must[*gitlab.Job](c.T)(c.dev.Jobs.EraseJob(c.project, job.ID))
	again := must[*gitlab.Job](c.T)(c.dev.Jobs.RetryJob(c.project, job.ID))
	c.same("cancelled", must[*gitlab.Job](c.T)(c.dev.Jobs.CancelJob(c.project, again.ID)).Status, "canceled")
}

func asReader[R io.Reader](r R, response *gitlab.Response, err error) (io.Reader, *gitlab.Response, error) {
	return r, response, err
}

// work runs the job as the runner.
func (c *clientGo) work(id int64, trace string) {
	c.Helper()
	a := c.l.Call("POST", "jobs/request", "", labtest.M{"token": c.token, "system_id": "s_e2e"})
	var job struct {
		ID    int64
		Token string
	}
	a.Decode(c.T, &job)
	c.same("the job that was given", fmt.Sprint(a.Status, job.ID), fmt.Sprint(201, id))
	r, err := http.NewRequestWithContext(c.Context(), http.MethodPatch, fmt.Sprintf("%s/api/v4/jobs/%d/trace", c.l.URL, job.ID), strings.NewReader(trace))
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Content-Range", fmt.Sprintf("0-%d", len(trace)-1))
	r.Header.Set("Job-Token", job.Token)
	c.same("the trace", c.l.Do(r).Status, 202)
	c.same("the end", c.l.Call("PUT", fmt.Sprintf("jobs/%d", job.ID), "", labtest.M{"token": job.Token, "state": "success"}).Status, 200)
}

// refusals are what the client makes errors of.
func (c *clientGo) refusals() {
	c.done(c.dev.Runners.RemoveRunner(c.runner))
	for status, got := range map[int]error{
		404: failed(c.admin.Runners.GetRunnerDetails(c.runner)),
		403: failed(c.dev.Runners.ListAllRunners(nil)),
		401: failed(e2eClient(c.T, c.l, "glpat-CANARYunknown").Users.CurrentUser()),
		400: failed(c.dev.Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{RunnerType: new("CANARY_type")})),
	} {
		if !gitlab.HasStatusCode(got, status) {
			c.Errorf("a refusal: got %v, want %d", got, status)
		}
	}
}

func failed[V any](_ V, _ *gitlab.Response, err error) error { return err }
