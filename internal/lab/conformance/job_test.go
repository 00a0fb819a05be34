package conformance_test

import (
	"strings"
	"time"
)

// jobCases are sections 3.2 and 3.4: a running job's state and artifacts.
var jobCases = []testCase{
	prove("3.2-running 3.2-job-status-header 3.2-no-interval", func(w *world) {
		a := w.update(w.running(), M{"state": "running"})
		w.want(a, 200, "200")
		w.is("Job-Status", a.Header.Get("Job-Status"), "running")
		w.is("interval", a.Header.Get("X-GitLab-Trace-Update-Interval"), "")
	}),
	prove("3.2-success", func(w *world) { w.is("status", w.job(w.finished("success"))["status"], "success") }),
	prove("3.2-failed-reason 3.2-exit-code", func(w *world) {
		j := w.running()
		w.want(w.update(j, M{"state": "failed", "failure_reason": "script_failure", "exit_code": 3}), 200, "200")
		w.is("reason", w.job(j)["failure_reason"], "script_failure")
	}),
	prove("3.2-unknown-reason", func(w *world) {
		j := w.running()
		w.want(w.update(j, M{"state": "failed", "failure_reason": "CANARY"}), 200, "200")
		w.is("reason", w.job(j)["failure_reason"], "unknown_failure")
	}),
	prove("3.2-live-trace", func(w *world) {
		w.Setting(M{"ci_job_live_trace_enabled": true})
		j := w.running()
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		a := w.update(j, M{"state": "success", "checksum": "crc32:1", "output": M{"checksum": "crc32:1", "bytesize": 6}})
		w.want(a, 202, "202")
		w.is("Job-Status", a.Header.Get("Job-Status"), "running")
		w.true("an interval", a.Header.Get("X-GitLab-Trace-Update-Interval") != "")
		w.want(w.update(j, M{"state": "success", "checksum": "crc32:1", "output": M{"checksum": "crc32:1", "bytesize": 6}}), 200, "200")
	}).elsewhere(func(w *world) {
		j := w.running()
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		w.want(w.update(j, M{"state": "success", "checksum": "crc32:1"}), 200, "200")
	}).byItself(),
	prove("3.2-unknown-state 3.2-missing-state", func(w *world) {
		j := w.running()
		w.want(w.update(j, M{"state": "CANARY"}), 400, "400")
		w.want(w.update(j, nil), 400, "400")
	}),
	prove("3.2-token-missing 3.2-token-in-header-not-enough", func(w *world) {
		j := w.running()
		w.want(w.anon("PUT", at("jobs/%d", j.ID), M{"state": "running"}), 400, tokenMissing)
		w.want(w.send("PUT", at("jobs/%d", j.ID), inJSON, `{"state":"running"}`, "JOB-TOKEN", j.Token), 400, tokenMissing)
	}),
	prove("3.2-bad-token 3.2-missing-job", func(w *world) {
		j := w.running()
		w.want(w.anon("PUT", at("jobs/%d", j.ID), M{"token": "CANARY", "state": "running"}), 403, forbidden)
		w.want(w.anon("PUT", "jobs/99999999", M{"token": "CANARY", "state": "running"}), 403, forbidden)
	}),
	prove("3.2-erased", func(w *world) {
		j := w.finished("success")
		w.Must(201, "POST", at("projects/%d/jobs/%d/erase", j.project, j.ID), nil, nil)
		w.want(w.update(j, M{"state": "success"}), 403, `{"message":"403 Forbidden - Job has been erased!"}`)
	}),
	prove("3.2-not-running-old", func(w *world) {
		w.want(w.update(w.finished("success"), M{"state": "success"}), 403, `{"message":"403 Forbidden - Job is not running"}`)
	}).beside("3.2-not-running-new"),
	prove("3.2-not-running-new", func(w *world) {
		w.want(w.update(w.finished("success"), M{"state": "success"}), 403, `{"message":"403 Forbidden - Job is not processing on runner"}`)
	}).beside("3.2-not-running-old"),
	prove("3.2-not-running-status", func(w *world) {
		w.is("Job-Status", w.update(w.finished("failed"), M{"state": "failed"}).Header.Get("Job-Status"), "failed")
	}),
	prove("3.2-project-deleted", func(w *world) {
		j := w.running()
		w.want(w.admin("DELETE", at("projects/%d", j.project), nil), 202, "")
		w.want(w.update(j, M{"state": "running"}), 403, "")
	}),
	prove("3.2-token-expired", func(w *world) {
		j := w.running()
		w.clock.advance(48 * time.Hour)
		w.want(w.update(j, M{"state": "running"}), 403, `{"message":"403 Forbidden - Job token has expired"}`)
		got := w.job(j)
		w.is("job", []any{got["status"], got["failure_reason"]}, []any{"failed", "job_token_expired"})
	}).byItself(),
	prove("3.2-cancel-at-once", func(w *world) {
		j := w.running()
		w.want(w.admin("POST", at("projects/%d/jobs/%d/cancel", j.project, j.ID), nil), 201, "")
		a := w.update(j, M{"state": "running"})
		w.want(a, 403, "")
		w.is("Job-Status", a.Header.Get("Job-Status"), "canceled")
	}),
	prove("3.2-cancel-gracefully", func(w *world) {
		j := w.cancelled()
		a := w.update(j, M{"state": "running"})
		w.want(a, 200, "200")
		w.is("Job-Status", a.Header.Get("Job-Status"), "canceling")
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		w.want(w.update(j, M{"state": "failed"}), 200, "200")
		w.is("status", w.job(j)["status"], "canceled")
	}).elsewhere(func(w *world) { w.want(w.update(w.cancelled(), M{"state": "running"}), 403, "") }),
	prove("3.2-pending-refused", func(w *world) { w.want(w.update(w.running(), M{"state": "pending"}), 403, "") }),
	prove("3.2-two-phase", func(w *world) {
		w.Must(201, "POST", "features/allow_runner_job_acknowledgement", M{"value": true}, nil)
		j := w.running(M{"info": M{"features": M{"two_phase_job_commit": true}}})
		w.is("status", w.job(j)["status"], "pending")
		w.want(w.update(j, M{"state": "success"}), 400, "400")
		w.want(w.update(j, M{"state": "pending"}), 200, "200")
		w.want(w.update(j, M{"state": "running"}), 200, "200")
		w.is("status", w.job(j)["status"], "running")
	}).byItself(),
	prove("3.2-limit", func(w *world) {
		w.Setting(M{"runner_jobs_endpoints_api_limit": 1})
		j := w.running()
		w.want(w.update(j, M{"state": "running"}), 200, "")
		w.want(w.update(j, M{"state": "running"}), 429, "")
	}).elsewhere(func(w *world) {
		w.Setting(M{"runner_jobs_endpoints_api_limit": 1})
		j := w.running()
		w.update(j, M{"state": "running"})
		w.want(w.update(j, M{"state": "running"}), 200, "")
	}).byItself(),
	prove("3.4-authorize-forbidden", func(w *world) {
		j := w.running()
		w.want(w.anon("POST", at("jobs/%d/artifacts/authorize", j.ID), M{"token": j.Token}), 403, "")
	}),
	prove("3.4-uploaded", func(w *world) { w.want(w.upload(w.running(), "CANARY"), 201, "201") }),
	prove("3.4-missing-file", func(w *world) {
		j := w.running()
		w.want(w.anon("POST", at("jobs/%d/artifacts", j.ID), M{"token": j.Token}), 400, "")
	}),
	prove("3.4-bad-format", func(w *world) {
		j := w.running()
		kind, body := multipartFile("CANARY")
		w.want(w.send("POST", at("jobs/%d/artifacts?artifact_format=x", j.ID), kind, body, "JOB-TOKEN", j.Token), 400, `{"error":"artifact_format does not have a valid value"}`)
	}),
	prove("3.4-bad-token", func(w *world) {
		j := w.running()
		j.Token = "CANARY"
		w.want(w.upload(j, "x"), 403, forbidden)
	}),
	prove("3.4-finished", func(w *world) { w.want(w.upload(w.finished("success"), "CANARY"), 403, "") }),
	prove("3.4-too-large", func(w *world) {
		w.Setting(M{"max_artifacts_size": 1})
		w.want(w.upload(w.running(), strings.Repeat("x", 3<<20)), 413, `{"message":"413 Request Entity Too Large"}`)
	}).byItself(),
	prove("3.4-download 3.4-download-bad-token", func(w *world) {
		first, second := w.twoStages()
		w.want(w.upload(first, "CANARY"), 201, "")
		w.want(w.update(first, M{"state": "success"}), 200, "")
		second = w.take(second)
		path := at("jobs/%d/artifacts", first.ID)
		w.want(w.send("GET", path, "", "", "JOB-TOKEN", second.Token), 200, "CANARY")
		w.want(w.send("GET", path, "", "", "JOB-TOKEN", "CANARYbad"), 401, "")
	}),
	prove("3.1-payload-dependencies", func(w *world) {
		first, second := w.twoStages()
		w.want(w.upload(first, "CANARY"), 201, "")
		w.want(w.update(first, M{"state": "success"}), 200, "")
		needed := rowsOf(w.take(second).payload["dependencies"])
		if len(needed) != 1 {
			w.Fatalf("got %d dependencies, want 1", len(needed))
		}
		w.has(needed[0], "id", "name", "token", "artifacts_file")
		w.is("id and name", []any{needed[0]["id"], needed[0]["name"]}, []any{first.ID, "build"})
		token, _ := needed[0]["token"].(string)
		w.want(w.send("GET", at("jobs/%d/artifacts", first.ID), "", "", "JOB-TOKEN", token), 200, "CANARY")
	}),
	prove("3.4-disabled", func(w *world) {
		w.Must(201, "POST", "features/lab_artifacts_disabled", M{"value": true}, nil)
		w.want(w.upload(w.running(), "CANARY"), 405, `{"message":"405 Method Not Allowed"}`)
	}).byItself(),
	prove("3.4-download-other-project", func(w *world) {
		first, _ := w.twoStages()
		w.want(w.upload(first, "CANARY"), 201, "")
		w.want(w.send("GET", at("jobs/%d/artifacts", first.ID), "", "", "JOB-TOKEN", w.running().Token), 403, "")
	}),
	prove("3.4-download-nothing", func(w *world) {
		first, second := w.twoStages()
		w.want(w.update(first, M{"state": "success"}), 200, "")
		w.want(w.send("GET", at("jobs/%d/artifacts", first.ID), "", "", "JOB-TOKEN", w.take(second).Token), 404, "")
	}),
	prove("3.4-environment-key 3.4-environment-key-none", func(w *world) {
		j := w.running()
		path := at("jobs/%d/runtime_environment_key", j.ID)
		w.want(w.send("GET", path, "", "", "JOB-TOKEN", "CANARYbad"), 403, "")
		w.wantPart(w.send("GET", path, "", "", "JOB-TOKEN", j.Token), 404, `{"message":"404`)
	}).elsewhere(func(w *world) {
		j := w.running()
		w.want(w.send("GET", at("jobs/%d/runtime_environment_key", j.ID), "", "", "JOB-TOKEN", j.Token), 404, `{"error":"404 Not Found"}`)
	}),
}

// cancelled is a running job that was cancelled on a runner that stops gracefully.
func (w *world) cancelled() given {
	j := w.running(M{"info": M{"features": M{"cancel_gracefully": true}}})
	w.want(w.admin("POST", at("projects/%d/jobs/%d/cancel", j.project, j.ID), nil), 201, "")
	return j
}

// twoStages is a running job, and one that waits for its artifacts.
func (w *world) twoStages() (first, second given) {
	second = w.waiting("stages: [build, test]\nbuild:\n  stage: build\n  script: [\"true\"]\n  artifacts: {paths: [a]}\ntest:\n  stage: test\n  script: [\"true\"]\n")
	return w.take(second), second
}
