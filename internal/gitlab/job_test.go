package gitlab

import (
	"errors"
	"strings"
	"testing"

	"rekey"
)

func TestJob(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{
		"GET /api/v4/projects/g%2Fp/jobs/11": {200, `{"id":11,"status":"success","name":"canary","tag_list":["x"],"failure_reason":null,"web_url":"http://h/j","runner":{"id":7,"active":true},
			"runner_manager":{"id":1,"system_id":"s_0123456789ab"},"pipeline":{"id":4,"project_id":3},"started_at":"2026-01-02T03:04:05.678Z"}`, nil},
		"GET /api/v4/projects/g%2Fp/jobs/12":       {200, `{"id":12,"status":"pending","runner":null,"tag_list":[]}`, nil},
		"GET /api/v4/projects/g%2Fp/jobs/11/trace": {200, "line one\nline two\n", nil},
	})
	c := testClient(t, f.URL)
	j, err := c.Job(t.Context(), "g/p", 11)
	if err != nil || j.RunnerID != 7 || j.SystemID != "s_0123456789ab" || j.PipelineID != 4 || j.ProjectID != 3 || j.StartedAt.IsZero() {
		t.Errorf("got %+v, %v", j, err)
	}
	if j, err = c.Job(t.Context(), "g/p", 12); err != nil || j.RunnerID != 0 || j.SystemID != "" || j.Status != "pending" {
		t.Errorf("pending: got %+v, %v", j, err)
	}
	if trace, err := c.JobTrace(t.Context(), "g/p", 11); err != nil || string(trace) != "line one\nline two\n" {
		t.Errorf("trace %q, %v", trace, err)
	}
}

func TestRunnerJobsUnknownWhenDenied(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		n      int
		known  bool
		fails  bool
	}{
		{200, `[{"id":1,"status":"running"}]`, 1, true, false},
		{200, `[]`, 0, true, false},
		{403, `{"message":"403 Forbidden"}`, 0, false, false},
		{500, `{"message":"500 Internal Server Error"}`, 0, false, true},
	} {
		f := newFake(t, map[string]canned{"GET /api/v4/runners/7/jobs": {c.status, c.body, nil}})
		jobs, known, err := testClient(t, f.URL).RunnerJobs(t.Context(), 7)
		if len(jobs) != c.n || known != c.known || (err != nil) != c.fails {
			t.Errorf("%d: %d jobs, known %v, %v, want %d, %v, error %v", c.status, len(jobs), known, err, c.n, c.known, c.fails)
		}
		if q := f.last["GET /api/v4/runners/7/jobs"].URL.Query(); q.Get("status") != "running" {
			t.Errorf("query %v, want status=running", q)
		}
	}
}

func TestCreatePipeline(t *testing.T) {
	t.Parallel()
	const path = "POST /api/v4/projects/g%2Fp/pipeline"
	f := newFake(t, map[string]canned{
		path: {201, `{"id":4,"status":"created","web_url":"http://h/p"}`, nil},
		"GET /api/v4/projects/g%2Fp/pipelines/4/jobs":    {200, `[{"id":11},{"id":12}]`, nil},
		"POST /api/v4/projects/g%2Fp/pipelines/4/cancel": {200, `{"id":4,"status":"canceled"}`, nil},
		"GET /api/v4/projects/g%2Fp/pipelines/4":         {200, `{"id":4,"status":"success"}`, nil},
	})
	c := testClient(t, f.URL)
	p, err := c.CreatePipeline(t.Context(), "g/p", "main", map[string]string{"B": "2", "A": "1"})
	if err != nil || p.ID != 4 || p.WebURL != "http://h/p" {
		t.Errorf("got %+v, %v", p, err)
	}
	if want := `{"ref":"main","variables":[{"key":"A","value":"1"},{"key":"B","value":"2"}]}`; f.bodies[path] != want {
		t.Errorf("sent %s, want %s", f.bodies[path], want)
	}
	if jobs, err := c.PipelineJobs(t.Context(), "g/p", 4); err != nil || len(jobs) != 2 {
		t.Errorf("jobs %v, %v, want two", jobs, err)
	}
	if p, err := c.Pipeline(t.Context(), "g/p", 4); err != nil || p.Status != "success" {
		t.Errorf("pipeline %+v, %v", p, err)
	}
	if err := c.CancelPipeline(t.Context(), "g/p", 4); err != nil {
		t.Error(err)
	}
	for body, want := range map[string]struct {
		kind   rekey.Kind
		reason error
		says   string
	}{
		`{"message":{"base":["Insufficient permissions to set pipeline variables"]}}`: {rekey.KindDenied, ErrVariablesRefused, "pipeline variables"},
		`{"message":{"base":["Reference not found"]}}`:                                {rekey.KindInvalid, nil, "Reference not found"},
		`{"message":{"base":["Missing CI config file"]}}`:                             {rekey.KindInvalid, nil, "Missing CI config file"},
	} {
		f.answers[path] = []canned{{400, body, nil}}
		_, err := c.CreatePipeline(t.Context(), "g/p", "main", nil)
		if rekey.KindOf(err) != want.kind || want.reason != nil && !errors.Is(err, want.reason) || !strings.Contains(err.Error(), want.says) || OutcomeUnknown(err) {
			t.Errorf("%s: %v (%s), want %s, %v", body, err, rekey.KindOf(err), want.kind, want.reason)
		}
	}
}

func TestProjectAndGroup(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]canned{
		"GET /api/v4/projects/g%2Fp": {200, `{"id":3,"path_with_namespace":"g/p","default_branch":"main","namespace":{"id":2,"full_path":"g"},"group_runners_enabled":true}`, nil},
		"GET /api/v4/groups/top":     {200, `{"id":2,"full_path":"top","web_url":"http://h/groups/top"}`, nil},
		"GET /api/v4/projects/9":     {404, `{"message":"404 Project Not Found"}`, nil},
	})
	c := testClient(t, f.URL)
	if p, err := c.Project(t.Context(), "g/p"); err != nil || p.ID != 3 || p.Path != "g/p" || p.Namespace != "g" || p.DefaultBranch != "main" || !p.GroupRunners {
		t.Errorf("project %+v, %v", p, err)
	}
	if g, err := c.Group(t.Context(), "top"); err != nil || g.ID != 2 || g.Path != "top" {
		t.Errorf("group %+v, %v", g, err)
	}
	if _, err := c.Project(t.Context(), "9"); rekey.KindOf(err) != rekey.KindNotFound || !strings.Contains(err.Error(), "404 Project Not Found") {
		t.Errorf("missing project: %v, want not found", err)
	}
}

func TestParseJobURL(t *testing.T) {
	t.Parallel()
	c := testClient(t, "https://h/gitlab")
	for text, want := range map[string]string{
		"https://h/gitlab/g/sub/p/-/jobs/123":                "g/sub/p",
		"https://H:443/gitlab/g/p/-/jobs/123#L5":             "g/p",
		"https://h/gitlab/g/p/-/jobs/123/?x=1":               "g/p",
		"https://h/gitlab/g/p/jobs/123":                      "g/p",
		"https://h/g/p/-/jobs/123":                           "",
		"https://other/gitlab/g/p/-/jobs/123":                "",
		"https://h/gitlab/g/p/-/pipelines/123":               "",
		"https://h/gitlab/g/p/-/jobs/":                       "",
		"https://h/gitlab/g/p/-/jobs/9999999999999999999999": "",
		"g/p/-/jobs/123":                                     "",
	} {
		project, id, err := c.ParseJobURL(text)
		if want == "" && rekey.KindOf(err) != rekey.KindInvalid || want != "" && (err != nil || project != want || id != 123) {
			t.Errorf("ParseJobURL(%q) = %q, %d, %v, want %q", text, project, id, err, want)
		}
	}
}
