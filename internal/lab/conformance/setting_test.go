package conformance_test

import "time"

const day = 86400

// settingCases are section 5: what administrators, groups and projects set.
var settingCases = []testCase{
	prove("5.1-admin-only", func(w *world) {
		_, token := w.person()
		w.want(w.Call("GET", "application/settings", token, nil), 403, forbidden)
		w.want(w.Call("PUT", "application/settings", token, M{"signup_enabled": true}), 403, forbidden)
	}),
	prove("5.1-echo", func(w *world) {
		said := w.object(w.admin("PUT", "application/settings", M{"max_artifacts_size": 7, "runner_token_expiration_interval": 7200}), 200)
		shown := w.settings()
		for _, key := range []string{"max_artifacts_size", "runner_token_expiration_interval"} {
			w.is(key, said[key], shown[key])
		}
		w.is("max_artifacts_size", shown["max_artifacts_size"], 7)
	}).byItself(),
	prove("5.1-allow-registration 8-registration-allowed", func(w *world) {
		w.is("allowed", w.settings()["allow_runner_registration_token"], true)
		w.want(w.register(nil), 201, "")
	}).byItself(),
	prove("5.1-registrars 5.1-runner-versions 5.1-artifact-size 5.1-registration-token-unread", func(w *world) {
		shown := w.settings()
		w.is("defaults", []any{shown["valid_runner_registrars"], shown["update_runner_versions_enabled"], shown["max_artifacts_size"]},
			[]any{[]string{"project", "group"}, true, 100})
		w.true("no registration token", shown["runners_registration_token"] == nil)
	}).byItself(),
	prove("5.1-registrars-empty", func(w *world) {
		w.Setting(M{"valid_runner_registrars": []string{}})
		w.is("registrars", w.settings()["valid_runner_registrars"], []string{})
	}).byItself(),
	prove("5.1-instance-expiry 5.1-group-expiry 5.1-project-expiry 9-expiry-instance", func(w *world) {
		group, project := w.group(0), w.project(0)
		made := func() []issued {
			return []issued{w.Runner("instance", 0, nil), w.Runner("group", group, nil), w.Runner("project", project, nil)}
		}
		for _, r := range made() {
			w.is("by default", r.ExpiresAt, "")
		}
		w.Setting(M{"runner_token_expiration_interval": day, "group_runner_token_expiration_interval": 2 * day, "project_runner_token_expiration_interval": 3 * day})
		for i, r := range made() {
			w.expires(at("%d days", i+1), r.ExpiresAt, time.Duration(i+1)*24*time.Hour)
		}
	}).byItself(),
	prove("5.1-expiry-minimum 5.1-invalid", func(w *world) {
		for _, key := range []string{"runner_token_expiration_interval", "group_runner_token_expiration_interval", "project_runner_token_expiration_interval"} {
			w.wantPart(w.admin("PUT", "application/settings", M{key: 7199}), 400, `{"message":{"`+key+`":[`)
		}
		w.Setting(M{"runner_token_expiration_interval": 7200})
	}).byItself(),
	prove("5.1-request-limit 5.1-trace-limit 5.1-jobs-limit 8-runner-limits", func(w *world) {
		shown := w.settings()
		w.is("limits", []any{shown["runner_jobs_request_api_limit"], shown["runner_jobs_endpoints_api_limit"]}, []any{2000, 200})
		w.has(shown, "runner_jobs_patch_trace_api_limit")
	}).elsewhere(func(w *world) {
		for _, key := range []string{"runner_jobs_request_api_limit", "runner_jobs_endpoints_api_limit", "runner_jobs_patch_trace_api_limit"} {
			_, there := w.settings()[key]
			w.true("no "+key, !there)
		}
	}).byItself(),
	prove("5.1-live-trace 8-live-trace-setting", func(w *world) {
		w.is("live trace", w.settings()["ci_job_live_trace_enabled"], false)
	}).elsewhere(func(w *world) {
		_, there := w.settings()["ci_job_live_trace_enabled"]
		w.true("no such setting", !there)
	}).byItself(),
	prove("5.1-shared-runners", func(w *world) {
		w.is("shared runners", w.settings()["shared_runners_enabled"], true)
		w.Setting(M{"shared_runners_enabled": false})
		w.is("of a new project", w.object(w.admin("POST", "projects", M{"name": name("app")}), 201)["shared_runners_enabled"], false)
	}).byItself(),
	prove("5.1-set-registration-token", func(w *world) {
		w.Setting(M{"runners_registration_token": "CANARY-chosen-by-the-admin"})
		w.want(w.register(M{"token": "CANARY-chosen-by-the-admin"}), 201, "")
		w.want(w.register(nil), 403, invalidToken)
	}).byItself(),
	prove("5.1-instance-prefix 7.1-instance-prefix 7.1-instance-prefix-not-glrtr", func(w *world) {
		w.Must(201, "POST", "features/custom_prefix_for_all_token_types", M{"value": true}, nil)
		w.Setting(M{"instance_token_prefix": "canary"})
		made := w.Runner("instance", 0, nil)
		w.true("created", isPrefixed(made.Token, "canary-glrt-"))
		w.want(w.verify(made.Token), 200, "")
		w.true("registered", !isPrefixed(w.Register(nil).Token, "canary-"))
	}).byItself(),
	prove("5.1-registrar-rotates", func(w *world) {
		token := w.registrationToken(at("projects/%d", w.project(0)))
		w.Setting(M{"valid_runner_registrars": []string{"group"}})
		w.Setting(M{"valid_runner_registrars": []string{"project", "group"}})
		w.want(w.register(M{"token": token}), 403, invalidToken)
	}).byItself(),
	prove("5.2-registration-not-in-rest", func(w *world) {
		path := at("groups/%d", w.group(0))
		shown := w.object(w.admin("PUT", path, M{"allow_runner_registration_token": false, "description": "d"}), 200)
		_, there := shown["allow_runner_registration_token"]
		w.true("not shown", !there)
		w.want(w.register(M{"token": w.registrationToken(path)}), 201, "")
	}),
	prove("5.2-registration-enabled", func(w *world) {
		group := w.group(0)
		token := w.member("groups", group, owner)
		w.Call("PUT", at("groups/%d", group), token, M{"runner_registration_enabled": false})
		w.is("an Owner does not", w.object(w.admin("GET", at("groups/%d", group), nil), 200)["runner_registration_enabled"], true)
		w.is("an administrator does", w.object(w.admin("PUT", at("groups/%d", group), M{"runner_registration_enabled": false}), 200)["runner_registration_enabled"], false)
	}),
	prove("5.2-own-interval 5.2-subgroup-interval 5.2-project-interval 5.2-minimum 9-expiry-group", func(w *world) {
		group := w.group(0)
		below := w.group(group)
		project := w.project(below)
		w.Must(200, "PUT", at("groups/%d", group), M{"runner_token_expiration_interval": 2 * day, "subgroup_runner_token_expiration_interval": 3 * day,
			"project_runner_token_expiration_interval": 4 * day}, nil)
		w.expires("own", w.Runner("group", group, nil).ExpiresAt, 2*24*time.Hour)
		w.expires("below", w.Runner("group", below, nil).ExpiresAt, 3*24*time.Hour)
		w.expires("project", w.Runner("project", project, nil).ExpiresAt, 4*24*time.Hour)
		w.Must(200, "PUT", at("groups/%d", below), M{"runner_token_expiration_interval": day}, nil)
		w.expires("the least", w.Runner("group", below, nil).ExpiresAt, 24*time.Hour)
	}),
	prove("5.3-interval 5.3-minimum-over-projects 9-expiry-project", func(w *world) {
		first, second := w.project(0), w.project(0)
		w.Must(200, "PUT", at("projects/%d", first), M{"runner_token_expiration_interval": 2 * day}, nil)
		w.Must(200, "PUT", at("projects/%d", second), M{"runner_token_expiration_interval": day}, nil)
		r := w.Runner("project", first, nil)
		w.expires("one project", r.ExpiresAt, 2*24*time.Hour)
		w.Must(201, "POST", at("projects/%d/runners", second), M{"runner_id": r.ID}, nil)
		w.expires("two", w.renewed(r).ExpiresAt, 24*time.Hour)
	}),
	prove("5.3-switches", func(w *world) {
		project, _ := w.Project(name("app"), 0)
		got := w.object(w.admin("PUT", at("projects/%d", project), M{"group_runners_enabled": false, "shared_runners_enabled": false}), 200)
		w.is("switches", []any{got["group_runners_enabled"], got["shared_runners_enabled"]}, []any{false, false})
	}),
	prove("5.4-limits 5.4-limits-set", func(w *world) {
		shown := w.object(w.admin("GET", "application/plan_limits", nil), 200)
		w.has(shown, "ci_registered_group_runners", "ci_registered_project_runners")
		w.is("set", w.object(w.admin("PUT", "application/plan_limits", M{"plan_name": "default", "ci_registered_group_runners": 7}), 200)["ci_registered_group_runners"], 7)
		_, token := w.person()
		w.want(w.Call("PUT", "application/plan_limits", token, M{"plan_name": "default", "ci_registered_group_runners": 7}), 403, "")
	}).byItself(),
}

func (w *world) settings() M { return w.object(w.admin("GET", "application/settings", nil), 200) }
