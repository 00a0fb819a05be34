package lab_test

import (
	"fmt"
	"testing"

	"rekey/internal/lab/labtest"
)

type given struct {
	ID    int64
	Token string
	Name  string                `json:"-"`
	Info  struct{ Name string } `json:"job_info"`
}

// ask polls once and returns the job, or nil on 204.
func ask(t *testing.T, l *labtest.Lab, r labtest.Issued, features labtest.M) *given {
	t.Helper()
	got := l.Call("POST", "jobs/request", "", labtest.M{"token": r.Token, "system_id": "s_CANARY000001", "info": labtest.M{"features": features}})
	switch got.Status {
	case 204:
		return nil
	case 201:
		var j given
		got.Decode(t, &j)
		return &j
	}
	t.Fatalf("jobs/request: got %d %s", got.Status, got.Body)
	return nil
}

// TestEligibility: which runner may take which job.
func TestEligibility(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		scope   string // instance, group, subgroup, other group, project, other project
		runner  labtest.M
		project labtest.M
		tags    string
		branch  string
		want    bool
	}{
		{"untagged to any", "instance", nil, nil, "", "main", true},
		{"untagged to tagged only", "instance", labtest.M{"tag_list": "a", "run_untagged": false}, nil, "", "main", false},
		{"tags are a subset", "instance", labtest.M{"tag_list": "a,b,c"}, nil, "a, b", "main", true},
		{"a tag is missing", "instance", labtest.M{"tag_list": "a"}, nil, "a, b", "main", false},
		{"paused", "instance", labtest.M{"paused": true}, nil, "", "main", false},
		{"instance runners off", "instance", nil, labtest.M{"shared_runners_enabled": false}, "", "main", false},
		{"protected runner, protected ref", "instance", labtest.M{"access_level": "ref_protected"}, nil, "", "main", true},
		{"protected runner, other ref", "instance", labtest.M{"access_level": "ref_protected"}, nil, "", "topic", false},
		{"own group", "group", nil, nil, "", "main", true},
		{"ancestor group", "top", nil, nil, "", "main", true},
		{"other group", "elsewhere", nil, nil, "", "main", false},
		{"group runners off", "group", nil, labtest.M{"group_runners_enabled": false}, "", "main", false},
		{"own project", "project", nil, nil, "", "main", true},
		{"other project", "other", nil, nil, "", "main", false},
	} {
		l := labtest.Start(t, labtest.Options{Version: "17.11"})
		top := l.Group("top", 0)
		group := l.Group("team", top)
		elsewhere := l.Group("elsewhere", 0)
		project, _ := l.Project("app", group)
		other, _ := l.Project("other", group)
		scope, owner := map[string]string{"top": "group", "elsewhere": "group", "other": "project"}[c.scope], map[string]int64{"top": top, "group": group, "elsewhere": elsewhere, "project": project, "other": other}[c.scope]
		if scope == "" {
			scope = c.scope
		}
		r := l.Runner(scope, owner, c.runner)
		if c.project != nil {
			l.Must(200, "PUT", fmt.Sprintf("projects/%d", project), c.project, nil)
		}
		l.Must(201, "POST", fmt.Sprintf("projects/%d/repository/files/.gitlab-ci.yml", project),
			labtest.M{"branch": c.branch, "content": "j:\n  tags: [" + c.tags + "]\n  script: [true]\n", "commit_message": "run"}, nil)
		if got := ask(t, l, r, nil); (got != nil) != c.want {
			t.Errorf("%s: got a job %t, want %t", c.name, got != nil, c.want)
		}
		l.Stop()
	}
}

// TestCancel: at once for a runner that cannot do better, gracefully for one
// that says so.
func TestCancel(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	project, _ := l.Project("app", 0)
	l.CIConfig(project, "j:\n  script: [true]\n")
	r := l.Runner("instance", 0, nil)
	for _, c := range []struct {
		graceful        bool
		cancelled       string
		status          int
		jobStatus, last string
	}{
		{false, "canceled", 403, "canceled", "canceled"},
		{true, "canceling", 200, "canceling", "canceled"},
	} {
		l.Pipeline(project, nil)
		j := ask(t, l, r, labtest.M{"cancel_gracefully": c.graceful})
		var shown struct{ Status string }
		l.Must(201, "POST", fmt.Sprintf("projects/%d/jobs/%d/cancel", project, j.ID), nil, &shown)
		if shown.Status != c.cancelled {
			t.Errorf("graceful %t: job is %s, want %s", c.graceful, shown.Status, c.cancelled)
		}
		path := fmt.Sprintf("jobs/%d", j.ID)
		got := l.Call("PUT", path, "", labtest.M{"token": j.Token, "state": "running"})
		if got.Status != c.status || got.Header.Get("Job-Status") != c.jobStatus {
			t.Errorf("graceful %t: update got %d %q, want %d %q", c.graceful, got.Status, got.Header.Get("Job-Status"), c.status, c.jobStatus)
		}
		l.Call("PUT", path, "", labtest.M{"token": j.Token, "state": "failed", "failure_reason": "script_failure"})
		l.Must(200, "GET", fmt.Sprintf("projects/%d/jobs/%d", project, j.ID), nil, &shown)
		if shown.Status != c.last {
			t.Errorf("graceful %t: job ended %s, want %s", c.graceful, shown.Status, c.last)
		}
	}
}

// TestPipelineOrder: stages wait, needs do not, a failure skips what follows, and
// retry goes on from there.
func TestPipelineOrder(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	project, _ := l.Project("app", 0)
	l.CIConfig(project, `
stages: [build, test, deploy]
build: {stage: build, script: [true]}
early: {stage: deploy, script: [true], needs: []}
test: {stage: test, script: [true]}
cleanup: {stage: deploy, script: [true], when: always}
deploy: {stage: deploy, script: [true]}
`)
	r := l.Runner("instance", 0, nil)
	pipeline := l.Pipeline(project, nil)
	finish := func(want, state, reason string) int64 {
		t.Helper()
		j := ask(t, l, r, nil)
		if j == nil || j.Info.Name != want {
			t.Fatalf("next job: got %+v, want %s", j, want)
		}
		l.Call("PUT", fmt.Sprintf("jobs/%d", j.ID), "", labtest.M{"token": j.Token, "state": state, "failure_reason": reason, "exit_code": 3})
		return j.ID
	}
	status := func(want string) {
		t.Helper()
		var p struct{ Status string }
		l.Must(200, "GET", fmt.Sprintf("projects/%d/pipelines/%d", project, pipeline), nil, &p)
		if p.Status != want {
			t.Errorf("pipeline: got %s, want %s", p.Status, want)
		}
	}
	status("pending")
	finish("build", "success", "")
	status("running")
	finish("early", "success", "")
	failed := finish("test", "failed", "no_such_reason")
	finish("cleanup", "success", "")
	status("failed")
	var j struct {
		Status string
		Reason string `json:"failure_reason"`
	}
	l.Must(200, "GET", fmt.Sprintf("projects/%d/jobs/%d", project, failed), nil, &j)
	if j.Reason != "unknown_failure" {
		t.Errorf("failure reason: got %q, want unknown_failure", j.Reason)
	}
	l.Must(201, "POST", fmt.Sprintf("projects/%d/jobs/%d/retry", project, failed), nil, &j)
	if j.Status != "pending" {
		t.Errorf("retried job: got %s, want pending", j.Status)
	}
	finish("test", "success", "")
}

// TestPipelineRefusals are the 400 of POST /projects/:id/pipeline.
func TestPipelineRefusals(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11", Profile: "self-managed"})
	project, _ := l.Project("app", 0)
	path := fmt.Sprintf("projects/%d/pipeline", project)
	refuse := func(name string, body labtest.M, want string) {
		t.Helper()
		if got := l.Call("POST", path, l.Admin, body); got.Status != 400 || got.Body != want {
			t.Errorf("%s: got %d %s, want 400 %s", name, got.Status, got.Body, want)
		}
	}
	refuse("no ref", labtest.M{}, `{"error":"ref is missing"}`)
	refuse("unknown ref", labtest.M{"ref": "x"}, `{"message":{"base":["Reference not found"]}}`)
	refuse("no config", labtest.M{"ref": "main"}, `{"message":{"base":["Missing CI config file"]}}`)
	l.CIConfig(project, "j:\n  script: [true]\n  rules:\n    - if: $RUN == \"yes\"\n")
	refuse("empty", labtest.M{"ref": "main"}, `{"message":{"base":["The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs."]}}`)
	l.Must(200, "PUT", fmt.Sprintf("projects/%d", project), labtest.M{"ci_pipeline_variables_minimum_override_role": "no_one_allowed"}, nil)
	refuse("variables", labtest.M{"ref": "main", "variables": []labtest.M{{"key": "RUN", "value": "yes"}}}, `{"message":{"base":["Insufficient permissions to set pipeline variables"]}}`)
	l.Must(200, "PUT", fmt.Sprintf("projects/%d", project), labtest.M{"ci_pipeline_variables_minimum_override_role": "developer"}, nil)
	l.Pipeline(project, map[string]string{"RUN": "yes"})
	if got := raw(t, l, "POST", "/api/v4/"+path, "application/x-www-form-urlencoded", "ref=main&variables[][key]=RUN&variables[][value]=yes", "Private-Token", l.Admin); got.Status != 201 {
		t.Errorf("variables in a form: got %d %s", got.Status, got.Body)
	}
}
