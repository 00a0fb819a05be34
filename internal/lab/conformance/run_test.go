package conformance_test

import (
	"fmt"

	"rekey/internal/lab/labtest"
)

type (
	answer = labtest.Answer
	issued = labtest.Issued
)

// given is a job that a runner was given.
type given struct {
	ID       int64  `json:"id"`
	Token    string `json:"token"`
	project  int64
	pipeline int64
	runner   issued
	payload  M
}

const oneJob = `
job:
  script: ["echo one"]
  after_script: ["echo two"]
`

// waiting is a project with a pending job of that config, and a runner of its own.
func (w *world) waiting(config string) given {
	project := w.project(0)
	return w.waitingIn(project, config, w.Runner("project", project, nil))
}

func (w *world) waitingIn(project int64, config string, r issued) given {
	w.CIConfig(project, config)
	return given{project: project, runner: r, pipeline: w.Pipeline(project, nil)}
}

// running is a job that its runner was given.
func (w *world) running(polls ...M) given { return w.take(w.waiting(oneJob), polls...) }

// take polls for the pending job.
func (w *world) take(j given, polls ...M) given {
	a := w.poll(j.runner.Token, polls...)
	j.payload = w.object(a, 201)
	w.decode(a.Body, &j)
	return j
}

// finished is a job that ended as told.
func (w *world) finished(state string) given {
	j := w.running()
	w.want(w.update(j, M{"state": state}), 200, "")
	return j
}

func (w *world) update(j given, body M) answer {
	whole := M{"token": j.Token}
	for k, v := range body {
		whole[k] = v
	}
	return w.anon("PUT", at("jobs/%d", j.ID), whole)
}

func (w *world) trace(j given, contentRange, body string) answer {
	return w.send("PATCH", at("jobs/%d/trace", j.ID), "text/plain", body, "JOB-TOKEN", j.Token, "Content-Range", contentRange)
}

func (w *world) upload(j given, content string) answer {
	kind, body := multipartFile(content)
	return w.send("POST", at("jobs/%d/artifacts", j.ID), kind, body, "JOB-TOKEN", j.Token)
}

// job is GET /projects/:id/jobs/:job_id.
func (w *world) job(j given) M {
	return w.object(w.admin("GET", at("projects/%d/jobs/%d", j.project, j.ID), nil), 200)
}

func multipartFile(content string) (string, string) {
	const boundary = "CANARYboundary"
	return "multipart/form-data; boundary=" + boundary, fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"artifacts.zip\"\r\n"+
		"Content-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n", boundary, content, boundary)
}

// localSession: a runner whose session is on an address that the server may not
// call is told 409.
func (w *world) localSession() {
	j := w.waiting(oneJob)
	a := w.poll(j.runner.Token, M{"session": M{"url": "https://127.0.0.1:8093", "certificate": "", "authorization": "CANARY"}})
	w.want(a, 409, `{"message":"409 Conflict"}`)
	w.is("X-GitLab-Last-Update", a.Header.Get("X-GitLab-Last-Update"), "")
}
