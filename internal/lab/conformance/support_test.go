package conformance_test

import (
	"regexp"
	"strings"
	"time"
)

const unknownVariable = `{"message":"404 Variable Not Found"}`

// supportCases are section 6: the version, CI variables, and running a job.
var supportCases = []testCase{
	prove("6.1-version 6.1-metadata 6.1-same 6.1-parsable 8-metadata", func(w *world) {
		version := w.object(w.admin("GET", "version", nil), 200)
		w.has(version, "version", "revision", "kas", "enterprise")
		w.has(part(version, "kas"), "enabled", "externalUrl", "version")
		w.is("metadata", w.object(w.admin("GET", "metadata", nil), 200), version)
		w.true("three numbers", regexp.MustCompile(`^"`+regexp.QuoteMeta(w.version.String())+`(-.*)?"$`).MatchString(at("%q", version["version"])))
	}),
	prove("6.1-anonymous", func(w *world) {
		w.want(w.anon("GET", "version", nil), 401, unauthorized)
		w.want(w.anon("GET", "metadata", nil), 401, unauthorized)
	}),
	prove("6.2-create 6.2-default-scope 6.2-file 6.2-update 6.2-delete", func(w *world) {
		path := at("projects/%d/variables", w.project(0))
		got := w.object(w.admin("POST", path, M{"key": "CANARY_KEY", "value": "v", "variable_type": "file"}), 201)
		w.has(got, "key", "value", "variable_type", "protected", "masked", "environment_scope")
		w.is("variable", []any{got["key"], got["value"], got["variable_type"], got["environment_scope"]}, []any{"CANARY_KEY", "v", "file", "*"})
		w.is("updated", w.object(w.admin("PUT", path+"/CANARY_KEY", M{"value": "w"}), 200)["value"], "w")
		w.is("read", w.object(w.admin("GET", path+"/CANARY_KEY", nil), 200)["value"], "w")
		w.want(w.admin("DELETE", path+"/CANARY_KEY", nil), 204, "")
		w.want(w.admin("GET", path+"/CANARY_KEY", nil), 404, unknownVariable)
	}),
	prove("6.2-group-create", func(w *world) {
		path := at("groups/%d/variables", w.group(0))
		got := w.object(w.admin("POST", path, M{"key": "CANARY_KEY", "value": "v"}), 201)
		w.is("variable", []any{got["key"], got["variable_type"]}, []any{"CANARY_KEY", "env_var"})
		w.is("listed", len(w.objects(w.admin("GET", path, nil))), 1)
	}),
	prove("6.2-instance-create", func(w *world) {
		key := "CANARY_" + at("%d", counter.Add(1))
		w.is("key", w.object(w.admin("POST", "admin/ci/variables", M{"key": key, "value": "v"}), 201)["key"], key)
		_, token := w.person()
		w.want(w.Call("GET", "admin/ci/variables", token, nil), 403, "")
		w.want(w.admin("DELETE", "admin/ci/variables/"+key, nil), 204, "")
	}),
	prove("6.2-duplicate", func(w *world) {
		path := at("projects/%d/variables", w.project(0))
		w.want(w.admin("POST", path, M{"key": "CANARY", "value": "v"}), 201, "")
		w.want(w.admin("POST", path, M{"key": "CANARY", "value": "v"}), 400, `{"message":{"key":["(CANARY) has already been taken"]}}`)
	}),
	prove("6.2-unmaskable", func(w *world) {
		w.want(w.admin("POST", at("projects/%d/variables", w.project(0)), M{"key": "CANARY", "value": "v w", "masked": true}), 400, `{"message":{"value":["is invalid"]}}`)
	}),
	prove("6.2-unknown", func(w *world) {
		w.want(w.admin("PUT", at("projects/%d/variables/NONE", w.project(0)), M{"value": "v"}), 404, unknownVariable)
	}),
	prove("6.2-bad-key", func(w *world) {
		path := at("projects/%d/variables", w.project(0))
		w.want(w.admin("POST", path, M{"key": "no-dash", "value": "v"}), 400, "")
		w.want(w.admin("POST", path, M{"key": strings.Repeat("K", 256), "value": "v"}), 400, "")
	}),
	prove("6.2-description", func(w *world) {
		got := w.object(w.admin("POST", at("projects/%d/variables", w.project(0)), M{"key": "CANARY", "value": "v", "description": "d"}), 201)
		w.is("description", got["description"], "d")
	}).elsewhere(func(w *world) {
		got := w.object(w.admin("POST", at("projects/%d/variables", w.project(0)), M{"key": "CANARY", "value": "v", "description": "d"}), 201)
		_, there := got["description"]
		w.true("no description", !there)
	}),
	prove("6.2-hidden", func(w *world) {
		path := at("projects/%d/variables", w.project(0))
		w.want(w.admin("POST", path, M{"key": "CANARY", "value": "CANARYhidden", "masked_and_hidden": true}), 201, "")
		a := w.admin("GET", path+"/CANARY", nil)
		w.is("value", w.object(a, 200)["value"], nil)
	}).elsewhere(func(w *world) {
		got := w.object(w.admin("POST", at("projects/%d/variables", w.project(0)), M{"key": "CANARY", "value": "CANARYshown", "masked_and_hidden": true}), 201)
		w.is("value", got["value"], "CANARYshown")
	}),
	prove("6.2-ambiguous", func(w *world) {
		path := at("projects/%d/variables", w.project(0))
		for _, scope := range []string{"one", "two"} {
			w.want(w.admin("POST", path, M{"key": "CANARY", "value": scope, "environment_scope": scope}), 201, "")
		}
		w.want(w.admin("GET", path+"/CANARY", nil), 409, "")
		w.is("value", w.object(w.admin("GET", path+"/CANARY?filter[environment_scope]=two", nil), 200)["value"], "two")
	}),
	prove("6.2-maintainer", func(w *world) {
		project := w.project(0)
		path := at("projects/%d/variables", project)
		w.want(w.Call("POST", path, w.member("projects", project, developer), M{"key": "CANARY", "value": "v"}), 403, forbidden)
		w.want(w.Call("POST", path, w.member("projects", project, maintainer), M{"key": "CANARY", "value": "v"}), 201, "")
	}),
	prove("6.2-owner", func(w *world) {
		group := w.group(0)
		path := at("groups/%d/variables", group)
		w.want(w.Call("POST", path, w.member("groups", group, maintainer), M{"key": "CANARY", "value": "v"}), 403, forbidden)
		w.want(w.Call("POST", path, w.member("groups", group, owner), M{"key": "CANARY", "value": "v"}), 201, "")
	}),
	prove("6.3-lint-valid 6.3-lint-invalid", func(w *world) {
		path := at("projects/%d/ci/lint", w.project(0))
		got := w.object(w.admin("POST", path, M{"content": oneJob}), 200)
		w.has(got, "valid", "errors", "warnings", "merged_yaml")
		w.is("valid", []any{got["valid"], got["errors"]}, []any{true, []string{}})
		got = w.object(w.admin("POST", path, M{"content": "job:\n  stage: nowhere\n"}), 200)
		w.true("invalid, with errors", got["valid"] == false && at("%v", got["errors"]) != "[]")
	}),
	prove("6.3-lint-jobs", func(w *world) {
		got := w.object(w.admin("POST", at("projects/%d/ci/lint", w.project(0)), M{"content": oneJob, "include_jobs": true}), 200)
		jobs := rowsOf(got["jobs"])
		w.true("one job named job", len(jobs) == 1 && jobs[0]["name"] == "job")
	}),
	prove("6.3-lint-committed", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, oneJob)
		w.is("valid", w.object(w.admin("GET", at("projects/%d/ci/lint", project), nil), 200)["valid"], true)
	}),
	prove("6.3-lint-instance-removed", func(w *world) {
		w.want(w.admin("POST", "ci/lint", M{"content": oneJob}), 404, `{"error":"404 Not Found"}`)
	}).elsewhere(func(w *world) { w.want(w.admin("POST", "ci/lint", M{"content": oneJob}), 200, "") }),
	prove("6.3-lint-forbidden", func(w *world) {
		project := w.project(0)
		w.want(w.Call("POST", at("projects/%d/ci/lint", project), w.member("projects", project, reporter), M{"content": oneJob}), 403, "")
	}),
	prove("6.4-commit 6.4-commit-exists 6.4-file 6.4-file-missing", func(w *world) {
		project := w.project(0)
		commits, file := at("projects/%d/repository/commits", project), at("projects/%d/repository/files/%s?ref=main", project, ".gitlab-ci.yml")
		create := M{"branch": "main", "commit_message": "Add it [skip ci]", "actions": []M{{"action": "create", "file_path": ".gitlab-ci.yml", "content": "one"}}}
		w.want(w.admin("GET", file, nil), 404, `{"message":"404 File Not Found"}`)
		got := w.object(w.admin("POST", commits, create), 201)
		w.has(got, "id", "short_id", "title", "message", "author_name", "parent_ids", "created_at")
		w.is("title", got["title"], "Add it [skip ci]")
		w.true("a message", w.object(w.admin("POST", commits, create), 400)["message"] != nil)
		read := w.object(w.admin("GET", file, nil), 200)
		w.is("file", []any{read["file_path"], read["encoding"], read["content"], read["ref"]}, []any{".gitlab-ci.yml", "base64", "b25l", "main"})
	}),
	prove("6.4-commit-missing 6.4-commit-role", func(w *world) {
		project := w.project(0)
		path := at("projects/%d/repository/commits", project)
		w.want(w.admin("POST", path, M{}), 400, `{"error":"branch is missing, commit_message is missing, actions is missing"}`)
		w.want(w.Call("POST", path, w.member("projects", project, reporter), M{"branch": "main", "commit_message": "x",
			"actions": []M{{"action": "create", "file_path": "x", "content": "y"}}}), 403, "")
	}),
	prove("6.3-pipeline", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, oneJob)
		got := w.object(w.admin("POST", at("projects/%d/pipeline", project), M{"ref": "main"}), 201)
		w.has(got, "id", "iid", "project_id", "sha", "ref", "status", "source", "web_url")
		w.is("source", got["source"], "api")
	}),
	prove("6.3-no-ref 6.3-no-config", func(w *world) {
		path := at("projects/%d/pipeline", w.project(0))
		w.want(w.admin("POST", path, M{"ref": "none"}), 400, `{"message":{"base":["Reference not found"]}}`)
		w.want(w.admin("POST", path, M{"ref": "main"}), 400, `{"message":{"base":["Missing CI config file"]}}`)
	}),
	prove("6.3-empty", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, "job:\n  script: [\"true\"]\n  rules:\n    - if: $NEVER\n")
		w.want(w.admin("POST", at("projects/%d/pipeline", project), M{"ref": "main"}), 400,
			`{"message":{"base":["The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs."]}}`)
	}),
	prove("6.3-variables-refused", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, oneJob)
		w.Must(200, "PUT", at("projects/%d", project), M{"ci_pipeline_variables_minimum_override_role": "owner"}, nil)
		w.want(w.Call("POST", at("projects/%d/pipeline", project), w.member("projects", project, maintainer), M{"ref": "main", "variables": []M{{"key": "K", "value": "v"}}}), 400,
			`{"message":{"base":["Insufficient permissions to set pipeline variables"]}}`)
	}),
	prove("6.3-trigger 6.3-trigger-bad 7.1-trigger-token", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, oneJob)
		token := w.object(w.admin("POST", at("projects/%d/triggers", project), M{"description": "d"}), 201)["token"]
		w.true("glptt-", isPrefixed(token, "glptt-"))
		path := at("projects/%d/trigger/pipeline", project)
		w.want(w.anon("POST", path, M{"token": token, "ref": "main"}), 201, "")
		w.want(w.anon("POST", path, M{"token": "glptt-CANARY", "ref": "main"}), 404, "")
	}),
	prove("6.3-jobs 6.3-stuck 6.3-cancel", func(w *world) {
		project := w.project(0)
		w.CIConfig(project, "job:\n  tags: [CANARY-nobody]\n  script: [\"true\"]\n")
		jobs := w.objects(w.admin("GET", at("projects/%d/pipelines/%d/jobs", project, w.Pipeline(project, nil)), nil))
		w.has(jobs[0], "id", "status", "stage", "name", "ref", "tag_list", "runner", "web_url")
		w.is("stuck", []any{jobs[0]["status"], jobs[0]["runner"]}, []any{"pending", nil})
		got := w.object(w.admin("POST", at("projects/%d/jobs/%d/cancel", project, number(jobs[0]["id"])), nil), 201)
		w.is("cancelled", got["status"], "canceled")
	}),
	prove("6.3-runner-manager", func(w *world) {
		w.is("system_id", part(w.job(w.running()), "runner_manager")["system_id"], "s_CANARY")
	}),
	prove("6.3-trace", func(w *world) {
		j := w.running()
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		a := w.admin("GET", at("projects/%d/jobs/%d/trace", j.project, j.ID), nil)
		w.want(a, 200, "CANARY")
		w.true("text/plain", strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain"))
	}),
	prove("6.3-retry", func(w *world) {
		j := w.finished("failed")
		got := w.object(w.admin("POST", at("projects/%d/jobs/%d/retry", j.project, j.ID), nil), 201)
		w.true("a new job", number(got["id"]) != j.ID && got["status"] == "pending")
		w.want(w.poll(j.runner.Token), 201, "")
	}),
	prove("6.3-jobs-rate", func(w *world) {
		w.is("a minute", w.settings()["project_jobs_api_rate_limit"], 600)
		w.Setting(M{"project_jobs_api_rate_limit": 3})
		path := at("projects/%d/jobs", w.project(0))
		for range 3 {
			w.want(w.admin("GET", path, nil), 200, "")
		}
		w.want(w.admin("GET", path, nil), 429, "")
		_, token := w.person()
		w.want(w.Call("GET", path, token, nil), 404, "") // another user has requests of their own
		w.clock.advance(time.Minute)
		w.want(w.admin("GET", path, nil), 200, "")
	}).elsewhere(func(w *world) {
		w.Setting(M{"project_jobs_api_rate_limit": 1})
		path := at("projects/%d/jobs", w.project(0))
		for range 3 {
			w.want(w.admin("GET", path, nil), 200, "")
		}
	}).byItself(),
}
