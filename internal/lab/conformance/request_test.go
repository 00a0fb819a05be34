package conformance_test

import (
	"regexp"
	"strings"
	"time"
)

// requestCases are section 3.1: POST /jobs/request.
var requestCases = []testCase{
	prove("3.1-assigned 3.1-assigned-no-last-update", func(w *world) {
		a := w.poll(w.waiting(oneJob).runner.Token)
		w.want(a, 201, "")
		w.is("Content-Type", a.Header.Get("Content-Type"), inJSON)
		w.is("X-GitLab-Last-Update", len(a.Header.Values("X-GitLab-Last-Update")), 0)
	}),
	prove("3.1-nothing 3.1-last-update-hex", func(w *world) {
		a := w.poll(w.Runner("instance", 0, nil).Token)
		w.true("204 without a body", a.Status == 204 && a.Body == "")
		w.true("X-GitLab-Last-Update in hex", regexp.MustCompile(`^[0-9a-f]+$`).MatchString(a.Header.Get("X-GitLab-Last-Update")))
	}),
	prove("3.1-still-current 3.1-tick-edit 3.1-tick-unpause 3.1-tick-job 3.1-value-per-runner 3.1-long-poll", func(w *world) {
		project := w.project(0)
		r, other := w.Runner("project", project, nil), w.Runner("project", project, nil)
		value := func(r issued, last string) string {
			a := w.poll(r.Token, M{"last_update": last})
			w.want(a, 204, "")
			return a.Header.Get("X-GitLab-Last-Update")
		}
		begun := time.Now()
		first := value(r, "")
		w.is("echoed", value(r, first), first)
		w.true("without waiting", time.Since(begun) < 10*time.Second)
		w.true("another runner's differs", value(other, "") != first)
		w.Must(200, "PUT", at("runners/%d", r.ID), M{"paused": true}, nil)
		paused := value(r, first)
		w.true("an edit changes it", paused != first)
		w.Must(200, "PUT", at("runners/%d", r.ID), M{"paused": false}, nil)
		active := value(r, paused)
		w.true("so does the end of a pause", active != paused)
		w.waitingIn(project, oneJob, r)
		w.want(w.poll(r.Token, M{"last_update": active}), 201, "")
	}).byItself(),
	prove("3.1-paused 3.1-paused-contact 9-paused", func(w *world) {
		j := w.waiting(oneJob)
		w.Must(200, "PUT", at("runners/%d", j.runner.ID), M{"paused": true}, nil)
		w.want(w.poll(j.runner.Token), 204, "")
		got := w.runner(j.runner.ID)
		w.is("paused, online", []any{got["paused"], got["online"]}, []any{true, true})
	}),
	prove("3.1-token-missing", func(w *world) { w.want(w.anon("POST", "jobs/request", M{"last_update": "CANARY"}), 400, tokenMissing) }),
	prove("3.1-unknown", func(w *world) {
		w.want(w.poll("glrt-CANARYunknown0000000", M{"last_update": "CANARY"}), 403, forbidden)
	}),
	prove("3.1-local-session", func(w *world) { w.localSession() }),
	prove("3.1-limit", func(w *world) {
		w.Setting(M{"runner_jobs_request_api_limit": 2})
		r, other := w.Runner("instance", 0, nil), w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		w.want(w.poll(r.Token), 204, "")
		w.want(w.poll(r.Token), 429, "")
		w.want(w.poll(other.Token), 204, "")
		w.clock.advance(2 * time.Minute)
		w.want(w.poll(r.Token), 204, "")
	}).elsewhere(func(w *world) {
		w.is("no such setting", w.object(w.admin("PUT", "application/settings", M{"runner_jobs_request_api_limit": 2}), 200)["runner_jobs_request_api_limit"], nil)
	}).byItself(),
	prove("3.1-long-body", func(w *world) {
		if err := w.SetLongPolling(w.Context(), time.Second); err != nil {
			w.Fatal(err)
		}
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token, M{"last_update": "CANARY", "info": M{"name": strings.Repeat("x", 32<<10)}}), 413, "")
	}).byItself(),
	prove("3.1-long-poll-held 3.1-long-poll-no-value", func(w *world) {
		const held = 100 * time.Millisecond
		if err := w.SetLongPolling(w.Context(), held); err != nil {
			w.Fatal(err)
		}
		r := w.Runner("instance", 0, nil)
		first := w.poll(r.Token)
		w.is("marked", first.Header.Get("Gitlab-Ci-Builds-Polling"), "yes")
		begun := time.Now()
		a := w.poll(r.Token, M{"last_update": first.Header.Get("X-GitLab-Last-Update")})
		w.true("held", time.Since(begun) >= held)
		w.want(a, 204, "")
		w.is("X-GitLab-Last-Update", len(a.Header.Values("X-GitLab-Last-Update")), 0)
	}).byItself(),
	prove("3.1-tags-subset", func(w *world) {
		project := w.project(0)
		less, more := w.Runner("project", project, M{"tag_list": "a"}), w.Runner("project", project, M{"tag_list": "a,b,c"})
		w.waitingIn(project, "job:\n  tags: [a, b]\n  script: [\"true\"]\n", less)
		w.want(w.poll(less.Token), 204, "")
		w.want(w.poll(more.Token), 201, "")
	}),
	prove("3.1-untagged", func(w *world) {
		project := w.project(0)
		without, with := w.Runner("project", project, M{"tag_list": "a", "run_untagged": false}), w.Runner("project", project, M{"tag_list": "a"})
		w.waitingIn(project, oneJob, with)
		w.want(w.poll(without.Token), 204, "")
		w.want(w.poll(with.Token), 201, "")
	}),
	prove("3.1-protected 3.1-unprotected", func(w *world) {
		project := w.project(0)
		strict, lax := w.Runner("project", project, M{"access_level": "ref_protected"}), w.Runner("project", project, nil)
		w.waitingIn(project, oneJob, lax)
		w.want(w.poll(strict.Token), 201, "") // the default branch is protected
		w.Pipeline(project, nil)
		w.want(w.poll(lax.Token), 201, "")
		w.Must(201, "POST", at("projects/%d/repository/files/README.txt", project),
			M{"branch": "side", "start_branch": "main", "content": "CANARY", "commit_message": "side [skip ci]"}, nil)
		w.Must(201, "POST", at("projects/%d/pipeline", project), M{"ref": "side"}, nil)
		w.want(w.poll(strict.Token), 204, "")
		w.want(w.poll(lax.Token), 201, "")
	}),
	prove("3.1-project-scope 9-wrong-scope", func(w *world) {
		j, stranger := w.waiting(oneJob), w.Runner("project", w.project(0), nil)
		w.want(w.poll(stranger.Token), 204, "")
		jobs := w.objects(w.admin("GET", at("projects/%d/jobs", j.project), nil))
		w.is("the job", []any{jobs[0]["status"], jobs[0]["runner"]}, []any{"pending", nil})
	}),
	prove("3.1-group-scope", func(w *world) {
		group := w.group(0)
		below := w.group(group)
		project, _ := w.Project(name("app"), below)
		w.Must(200, "PUT", at("projects/%d", project), M{"shared_runners_enabled": false}, nil)
		near, far := w.Runner("group", group, nil), w.Runner("group", w.group(0), nil)
		w.waitingIn(project, oneJob, near)
		w.want(w.poll(far.Token), 204, "")
		w.want(w.poll(near.Token), 201, "")
	}),
	prove("3.1-instance-scope", func(w *world) {
		r, project := w.Runner("instance", 0, nil), w.project(0)
		w.waitingIn(project, oneJob, r)
		w.want(w.poll(r.Token), 204, "")
		w.Must(200, "PUT", at("projects/%d", project), M{"shared_runners_enabled": true}, nil)
		w.want(w.poll(r.Token), 201, "")
	}).byItself(),
	prove("3.1-feature-needed", func(w *world) {
		j := w.waiting("job:\n  script: [\"true\"]\n  artifacts: {paths: [a], exclude: [b]}\n")
		w.want(w.poll(j.runner.Token, M{"info": M{"features": M{}}}), 204, "")
	}),
	prove("3.1-payload-keys", func(w *world) {
		w.has(w.running().payload, "id", "token", "job_info", "git_info", "runner_info", "variables", "steps", "image", "services", "artifacts",
			"cache", "credentials", "dependencies", "features")
	}),
	prove("3.1-payload-job-info", func(w *world) {
		j := w.running()
		inner := part(j.payload, "job_info")
		w.has(inner, "id", "name", "stage", "pipeline_id", "project_id", "project_name", "project_full_path", "namespace_id", "root_namespace_id", "user_id")
		w.is("id, name, project", []any{inner["id"], inner["name"], inner["project_id"]}, []any{j.ID, "job", j.project})
	}),
	prove("3.1-payload-git-info", func(w *world) {
		inner := part(w.running().payload, "git_info")
		w.has(inner, "repo_url", "ref", "sha", "before_sha", "ref_type", "refspecs", "depth")
		w.is("ref and type", []any{inner["ref"], inner["ref_type"]}, []any{"main", "branch"})
	}),
	prove("3.1-payload-steps", func(w *world) {
		steps := rowsOf(w.running().payload["steps"])
		w.is("steps", len(steps), 2)
		for i, want := range []string{"script", "after_script"} {
			w.has(steps[i], "name", "script", "timeout", "when", "allow_failure")
			w.is("name", steps[i]["name"], want)
		}
	}),
	prove("3.1-payload-variables", func(w *world) {
		found := map[any]bool{}
		for _, v := range rowsOf(w.running().payload["variables"]) {
			w.has(v, "key", "value", "public", "masked")
			found[v["key"]] = true
		}
		for _, key := range []string{"CI", "CI_JOB_ID", "CI_JOB_TOKEN", "CI_PROJECT_ID", "CI_PIPELINE_ID", "CI_SERVER_URL", "CI_COMMIT_SHA"} {
			w.true(key, found[key])
		}
	}),
	prove("3.1-payload-queue", func(w *world) {
		w.has(part(w.running().payload, "job_info"), "organization_id", "instance_id", "time_in_queue_seconds", "queue_size", "queue_depth")
	}),
	prove("3.1-payload-failure-reasons", func(w *world) {
		w.true("failure_reasons", len(rowsOf(part(w.running().payload, "features")["failure_reasons"])) > 3)
	}),
	prove("3.1-payload-instance-count", func(w *world) {
		w.is("count", part(w.running().payload, "job_info")["project_jobs_running_on_instance_runners_count"], "+Inf")
	}),
	prove("3.1-payload-timeout", func(w *world) {
		project := w.project(0)
		j := w.waitingIn(project, oneJob, w.Runner("project", project, M{"maximum_timeout": 700}))
		w.is("timeout", part(w.take(j).payload, "runner_info")["timeout"], 700)
		w.is("timeout of the project", part(w.running().payload, "runner_info")["timeout"], 3600)
	}),
	prove("7.3-mask-prefixes", func(w *world) {
		found := part(w.running().payload, "features")["token_mask_prefixes"]
		prefixes, _ := found.([]any)
		w.true("glrt- among them", strings.Contains(at("%v", prefixes), "glrt-"))
	}),
}

// part is an object within another.
func part(object M, key string) M {
	inner, _ := object[key].(M)
	return inner
}
