package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// startedJob is a job as its runner has it.
type startedJob struct {
	ID    int64
	Token string
}

// startJob makes a project with one job and gives it to an instance runner whose
// manager declares features.
func startJob(t *testing.T, l *labtest.Lab, features ...string) (startedJob, int64) {
	t.Helper()
	project, _ := l.Project("app", 0)
	r := l.Runner("instance", 0, nil)
	l.CIConfig(project, "job:\n  script: [echo hello]\n")
	l.Pipeline(project, nil)
	declared := labtest.M{}
	for _, name := range features {
		declared[name] = true
	}
	var j startedJob
	l.MustAs("", 201, "POST", "jobs/request", labtest.M{"token": r.Token, "system_id": "s_0123456789ab", "info": labtest.M{"features": declared}}, &j)
	return j, project
}

func (j startedJob) put(l *labtest.Lab, state string, more labtest.M) labtest.Answer {
	body := labtest.M{"token": j.Token, "state": state}
	for k, v := range more {
		body[k] = v
	}
	return l.Call("PUT", fmt.Sprintf("jobs/%d", j.ID), "", body)
}

func status(t *testing.T, l *labtest.Lab, project int64, j startedJob) string {
	t.Helper()
	var shown struct{ Status string }
	l.Must(200, "GET", fmt.Sprintf("projects/%d/jobs/%d", project, j.ID), nil, &shown)
	return shown.Status
}

// TestTwoPhaseCommit: with flag and feature a job is pending until the runner
// accepts it; without either it runs at once.
func TestTwoPhaseCommit(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	l.Must(201, "POST", "features/allow_runner_job_acknowledgement", labtest.M{"value": true}, nil)
	j, project := startJob(t, l, "two_phase_job_commit")
	for _, step := range []struct {
		state      string
		status     int
		body       string
		jobStatus  string
		afterwards string
	}{
		{"pending", 200, "200", "pending", "pending"},
		{"success", 400, "400", "", "pending"},
		{"running", 200, "200", "running", "running"},
		{"running", 200, "200", "running", "running"},
		{"pending", 403, forbidden, "", "running"},
		{"success", 200, "200", "success", "success"},
	} {
		got := j.put(l, step.state, nil)
		if got.Status != step.status || got.Body != step.body || got.Header.Get("Job-Status") != step.jobStatus {
			t.Errorf("state=%s: got %d %s %q, want %d %s %q", step.state, got.Status, got.Body, got.Header.Get("Job-Status"), step.status, step.body, step.jobStatus)
		}
		if now := status(t, l, project, j); now != step.afterwards {
			t.Errorf("after state=%s: got %s, want %s", step.state, now, step.afterwards)
		}
	}
	plain := labtest.Start(t, labtest.Options{Version: "18.11"})
	j, project = startJob(t, plain, "two_phase_job_commit")
	if now := status(t, plain, project, j); now != "running" {
		t.Errorf("without the flag: got %s, want running", now)
	}
}

// TestUnacceptedJobGoesOn: nobody else gets a job while it waits for its runner,
// somebody does afterwards.
func TestUnacceptedJobGoesOn(t *testing.T) {
	t.Parallel()
	clock := newClock()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Now: clock.Now})
	l.Must(201, "POST", "features/allow_runner_job_acknowledgement", labtest.M{"value": true}, nil)
	j, _ := startJob(t, l, "two_phase_job_commit")
	other := labtest.M{"token": l.Runner("instance", 0, nil).Token}
	if got := l.Call("POST", "jobs/request", "", other); got.Status != 204 {
		t.Errorf("while it waits: got %d, want 204", got.Status)
	}
	clock.advance(3 * time.Minute)
	if got := l.Call("POST", "jobs/request", "", other); got.Status != 201 {
		t.Errorf("afterwards: got %d, want 201", got.Status)
	}
	if got := j.put(l, "running", nil); got.Status != 403 {
		t.Errorf("the first runner: got %d, want 403", got.Status)
	}
}

// TestLiveTrace: the first final update is accepted with 202, the second taken.
func TestLiveTrace(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	l.Setting(labtest.M{"ci_job_live_trace_enabled": true})
	j, project := startJob(t, l)
	raw(t, l, "PATCH", fmt.Sprintf("/api/v4/jobs/%d/trace", j.ID), "text/plain", "hello", "Job-Token", j.Token, "Content-Range", "0-4")
	sum := labtest.M{"output": labtest.M{"checksum": "crc32:3610a686", "bytesize": 5}}
	got := j.put(l, "success", sum)
	if got.Status != 202 || got.Body != "202" || got.Header.Get("Job-Status") != "running" || got.Header.Get("X-GitLab-Trace-Update-Interval") == "" {
		t.Errorf("first: got %d %s %v, want 202 with Job-Status running and an interval", got.Status, got.Body, got.Header)
	}
	if now := status(t, l, project, j); now != "running" {
		t.Errorf("in between: got %s, want running", now)
	}
	if got := j.put(l, "success", sum); got.Status != 200 || got.Header.Get("Job-Status") != "success" || got.Header.Get("X-GitLab-Trace-Update-Interval") != "" {
		t.Errorf("second: got %d %v, want 200 without an interval", got.Status, got.Header)
	}
}

// TestGracefulCancel: a runner that can stop by itself is asked to, another is
// told to abort.
func TestGracefulCancel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		features  []string
		status    int
		jobStatus string
	}{{[]string{"cancel_gracefully"}, 200, "canceling"}, {nil, 403, "canceled"}} {
		l := labtest.Start(t, labtest.Options{Version: "18.11"})
		j, project := startJob(t, l, c.features...)
		l.Must(201, "POST", fmt.Sprintf("projects/%d/jobs/%d/cancel", project, j.ID), nil, nil)
		if got := j.put(l, "running", nil); got.Status != c.status || got.Header.Get("Job-Status") != c.jobStatus {
			t.Errorf("%v: got %d %q, want %d %q", c.features, got.Status, got.Header.Get("Job-Status"), c.status, c.jobStatus)
		}
		if c.status == 200 {
			j.put(l, "failed", nil)
		}
		if now := status(t, l, project, j); now != "canceled" {
			t.Errorf("%v: ended %s, want canceled", c.features, now)
		}
	}
}

// TestWatchedTrace: somebody looking makes the runner send more often.
func TestWatchedTrace(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	j, _ := startJob(t, l)
	send := func(start int) string {
		return raw(t, l, "PATCH", fmt.Sprintf("/api/v4/jobs/%d/trace", j.ID), "text/plain", "x", "Job-Token", j.Token, "Content-Range", fmt.Sprintf("%d-%d", start, start)).
			Header.Get("X-GitLab-Trace-Update-Interval")
	}
	if got := send(0); got != "60" {
		t.Errorf("unwatched: got %q, want 60", got)
	}
	l.Watch(j.ID)
	if got := send(1); got != "3" {
		t.Errorf("watched: got %q, want 3", got)
	}
}

// TestJobTokenRoutes: what a job's token opens beside its own updates.
func TestJobTokenRoutes(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	j, project := startJob(t, l)
	artifacts := fmt.Sprintf("/api/v4/jobs/%d/artifacts", j.ID)
	upload := func(size int) labtest.Answer {
		const boundary = "CANARYboundary"
		body := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"artifacts.zip\"\r\n\r\n" + strings.Repeat("z", size) + "\r\n--" + boundary + "--\r\n"
		return raw(t, l, "POST", artifacts+"?artifact_format=zip&artifact_type=archive", "multipart/form-data; boundary="+boundary, body, "Job-Token", j.Token)
	}
	steps := []struct {
		name   string
		got    func() labtest.Answer
		status int
		want   string
	}{
		{"its job", func() labtest.Answer { return raw(t, l, "GET", "/api/v4/job", "", "", "Job-Token", j.Token) }, 200, fmt.Sprintf(`{"id":%d,"status":"running"`, j.ID)},
		{"nobody's job", func() labtest.Answer { return raw(t, l, "GET", "/api/v4/job", "", "") }, 401, `{"message":"401 Unauthorized"}`},
		{"no artifact", func() labtest.Answer { return raw(t, l, "GET", artifacts+"?token="+j.Token, "", "") }, 404, `{"message":"404 Not Found"}`},
		{"invalid token", func() labtest.Answer { return raw(t, l, "GET", artifacts+"?token=CANARY", "", "") }, 401, `{"message":"401 Unauthorized"}`},
		{"upload", func() labtest.Answer { return upload(10) }, 201, "201"},
		{"download", func() labtest.Answer { return raw(t, l, "GET", artifacts, "", "", "Job-Token", j.Token) }, 200, "zzzzzzzzzz"},
		{"authorize without Workhorse", func() labtest.Answer {
			return raw(t, l, "POST", artifacts+"/authorize", "", "", "Job-Token", j.Token)
		}, 403, forbidden},
		{"over the project's limit", func() labtest.Answer {
			l.Must(200, "PUT", fmt.Sprintf("projects/%d", project), labtest.M{"max_artifacts_size": 1}, nil)
			return upload(1<<20 + 1)
		}, 413, `{"message":"413 Request Entity Too Large"}`},
		{"disabled", func() labtest.Answer {
			l.Must(201, "POST", "features/lab_artifacts_disabled", labtest.M{"value": true}, nil)
			return upload(1)
		}, 405, `{"message":"405 Method Not Allowed"}`},
	}
	for _, s := range steps {
		if got := s.got(); got.Status != s.status || !strings.HasPrefix(got.Body, s.want) {
			t.Errorf("%s: got %d %.200s, want %d %s", s.name, got.Status, got.Body, s.status, s.want)
		}
	}
}
