package lab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

const canary = `
stages: [test]
canary:
  stage: test
  tags: ["$RUNNER_TAG"]
  variables: {GREETING: hello}
  script: ["echo $GREETING"]
  after_script: ["echo bye"]
`

// TestJobFromPipelineToTrace walks one job: planned with a tag from a variable,
// given to the runner that has the tag, traced, finished, shown with its manager.
func TestJobFromPipelineToTrace(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	project, _ := l.Project("app", 0)
	r := l.Runner("project", project, labtest.M{"tag_list": []string{"rekey-canary"}, "run_untagged": false})
	l.CIConfig(project, canary)
	poll := labtest.M{"token": r.Token, "system_id": "s_0123456789ab"}
	idle := l.Call("POST", "jobs/request", "", poll)
	if idle.Status != 204 || idle.Header.Get("X-GitLab-Last-Update") == "" {
		t.Fatalf("idle poll: got %d %q, want 204 with X-GitLab-Last-Update", idle.Status, idle.Header)
	}
	poll["last_update"] = idle.Header.Get("X-GitLab-Last-Update")
	if a := l.Call("POST", "jobs/request", "", poll); a.Status != 204 || a.Header.Get("X-GitLab-Last-Update") != poll["last_update"] {
		t.Fatalf("second poll: got %d %q, want 204 with the same value", a.Status, a.Header)
	}
	l.AllowVariables(project)
	pipeline := l.Pipeline(project, map[string]string{"RUNNER_TAG": "rekey-canary"})
	a := l.Call("POST", "jobs/request", "", poll)
	if a.Status != 201 || a.Header.Get("X-GitLab-Last-Update") != "" || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("poll with a pending job: got %d %v %s, want 201 in JSON without a last update", a.Status, a.Header, a.Body)
	}
	var job struct {
		ID    int64
		Token string
		Steps []struct{ Name string }
	}
	a.Decode(t, &job)
	if len(job.Steps) != 2 || !strings.HasPrefix(job.Token, "glcbt-") {
		t.Errorf("job: got %d steps, token %.6s, want script and after_script and a glcbt- token", len(job.Steps), job.Token)
	}
	trace := func(contentRange, body string, status int, wantRange string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", fmt.Sprintf("%s/api/v4/jobs/%d/trace", l.URL, job.ID), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Job-Token", job.Token)
		req.Header.Set("Content-Range", contentRange)
		req.Header.Set("Content-Type", "text/plain")
		if a := l.Do(req); a.Status != status || a.Header.Get("Range") != wantRange {
			t.Errorf("trace %s: got %d Range %q %s, want %d %q", contentRange, a.Status, a.Header.Get("Range"), a.Body, status, wantRange)
		}
	}
	trace("0-4", "hello", 202, "0-5")
	trace("7-9", "xyz", 416, "0-5")
	trace("2-4", "llo", 416, "0-5")
	trace("", "x", 400, "")
	trace("5-9", " CANARY", 202, "0-12")
	done := l.Call("PUT", fmt.Sprintf("jobs/%d", job.ID), "", labtest.M{"token": job.Token, "state": "success", "exit_code": 0})
	if done.Status != 200 || done.Body != "200" || done.Header.Get("Job-Status") != "success" {
		t.Errorf("final update: got %d %q %q, want 200 \"200\" success", done.Status, done.Body, done.Header.Get("Job-Status"))
	}
	if late := l.Call("PUT", fmt.Sprintf("jobs/%d", job.ID), "", labtest.M{"token": job.Token, "state": "running"}); late.Status != 403 || late.Body != `{"message":"403 Forbidden - Job is not processing on runner"}` {
		t.Errorf("late update: got %d %s", late.Status, late.Body)
	}
	if a := l.Call("GET", fmt.Sprintf("projects/%d/jobs/%d/trace", project, job.ID), l.Admin, nil); a.Body != "hello CANARY" {
		t.Errorf("trace: got %q, want %q", a.Body, "hello CANARY")
	}
	var jobs []struct {
		Status        string
		Runner        struct{ ID int64 }
		RunnerManager struct {
			SystemID string `json:"system_id"`
		} `json:"runner_manager"`
		Tags     []string `json:"tag_list"`
		Pipeline struct{ Status string }
	}
	l.Must(200, "GET", fmt.Sprintf("projects/%d/pipelines/%d/jobs", project, pipeline), nil, &jobs)
	if len(jobs) != 1 || jobs[0].Status != "success" || jobs[0].Runner.ID != r.ID || jobs[0].RunnerManager.SystemID != "s_0123456789ab" || jobs[0].Pipeline.Status != "success" {
		t.Errorf("jobs of the pipeline: got %+v", jobs)
	}
}
