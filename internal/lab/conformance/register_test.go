package conformance_test

import (
	"fmt"
	"strings"
	"time"
)

// registerCases are section 2.1: POST /runners.
var registerCases = []testCase{
	prove("2.1-created", func(w *world) { w.keys(w.object(w.register(nil), 201), "id", "token", "token_expires_at") }),
	prove("2.1-description 2.1-maintenance-note 2.1-paused 2.1-tag-list 2.1-maximum-timeout", func(w *world) {
		got := w.registered(M{"description": "d", "maintenance_note": "n", "paused": true, "tag_list": tags(50), "maximum_timeout": 600})
		w.is("description, note, paused, tags, timeout", []any{got["description"], got["maintenance_note"], got["paused"], got["tag_list"], got["maximum_timeout"]},
			[]any{"d", "n", true, tags(50), 600})
	}),
	prove("2.1-description-long", func(w *world) {
		w.want(w.register(M{"description": strings.Repeat("d", 1024)}), 201, "")
		w.wantPart(w.register(M{"description": strings.Repeat("d", 1025)}), 400, `{"message":{"description":[`)
	}),
	prove("2.1-info-name", func(w *world) {
		w.is("name", w.registered(M{"info": M{"name": "gitlab-runner", "version": "17.0.0"}})["name"], "gitlab-runner")
	}),
	prove("2.1-active", func(w *world) { w.is("paused", w.registered(M{"active": false})["paused"], true) }),
	prove("2.1-active-and-paused", func(w *world) { w.wantPart(w.register(M{"active": true, "paused": false}), 400, `{"error":"`) }),
	prove("2.1-locked 2.1-run-untagged 2.1-access-level", func(w *world) {
		got := w.registered(nil)
		w.is("defaults", []any{got["locked"], got["run_untagged"], got["access_level"]}, []any{false, true, "not_protected"})
		got = w.registered(M{"locked": true, "run_untagged": false, "tag_list": "a", "access_level": "ref_protected"})
		w.is("given", []any{got["locked"], got["run_untagged"], got["access_level"]}, []any{true, false, "ref_protected"})
	}),
	prove("2.1-maintainer-note", func(w *world) { w.is("note", w.registered(M{"maintainer_note": "n"})["maintenance_note"], "n") }),
	prove("2.1-two-notes", func(w *world) {
		w.wantPart(w.register(M{"maintainer_note": "n", "maintenance_note": "n"}), 400, `{"error":"`)
	}),
	prove("2.1-instance-token", func(w *world) { w.is("type", w.registered(nil)["runner_type"], "instance_type") }),
	prove("2.1-group-token", func(w *world) {
		group := w.group(0)
		got := w.registered(M{"token": w.registrationToken(at("groups/%d", group))})
		w.is("type and groups", []any{got["runner_type"], ids(rowsOf(got["groups"]))}, []any{"group_type", []int64{group}})
	}),
	prove("2.1-project-token", func(w *world) {
		project := w.project(0)
		got := w.registered(M{"token": w.registrationToken(at("projects/%d", project))})
		w.is("type and projects", []any{got["runner_type"], ids(rowsOf(got["projects"]))}, []any{"project_type", []int64{project}})
	}),
	prove("2.1-token-missing 2.1-token-missing-body", func(w *world) { w.want(w.anon("POST", "runners", M{}), 400, tokenMissing) }),
	prove("2.1-token-empty", func(w *world) { w.want(w.register(M{"token": ""}), 403, invalidToken) }),
	prove("2.1-garbage-switch-on", func(w *world) { w.want(w.register(M{"token": garbage}), 403, invalidToken) }),
	prove("2.1-garbage-switch-off 2.1-empty-switch-off 2.1-instance-switch-off 2.1-project-switch-off 2.1-group-switch-off", func(w *world) {
		group, project := w.registrationToken(at("groups/%d", w.group(0))), w.registrationToken(at("projects/%d", w.project(0)))
		w.Setting(M{"allow_runner_registration_token": false})
		for _, token := range []string{garbage, w.instanceToken(), group, project} {
			w.want(w.register(M{"token": token}), 410, gone)
		}
		w.want(w.register(M{"token": ""}), 403, invalidToken)
	}).byItself(),
	prove("2.1-root-group-switch-off", func(w *world) {
		root := w.group(0)
		below := w.group(root)
		group, project := w.registrationToken(at("groups/%d", below)), w.registrationToken(at("projects/%d", w.project(below)))
		w.Must(200, "PUT", at("groups/%d", root), M{"lab_allow_runner_registration_token": false}, nil)
		w.want(w.register(M{"token": group}), 410, gone)
		w.want(w.register(M{"token": project}), 410, gone)
		w.want(w.register(nil), 201, "")
	}),
	prove("2.1-no-project-registrar 2.1-no-group-registrar", func(w *world) {
		group, project := w.registrationToken(at("groups/%d", w.group(0))), w.registrationToken(at("projects/%d", w.project(0)))
		w.Setting(M{"valid_runner_registrars": []string{"group"}})
		w.want(w.register(M{"token": project}), 403, invalidToken)
		w.want(w.register(M{"token": group}), 201, "")
		w.Setting(M{"valid_runner_registrars": []string{"project"}})
		w.want(w.register(M{"token": group}), 403, invalidToken)
	}).byItself(),
	prove("2.1-no-tags", func(w *world) {
		w.want(w.register(M{"run_untagged": false}), 400, `{"message":{"tags_list":["can not be empty when runner is not allowed to pick untagged jobs"]}}`)
	}),
	prove("2.1-too-many-tags", func(w *world) { w.want(w.register(M{"tag_list": tags(51)}), 400, tooManyTags) }),
	prove("2.1-short-timeout", func(w *world) {
		w.want(w.register(M{"maximum_timeout": 599}), 400, `{"message":{"maximum_timeout":["needs to be at least 10 minutes"]}}`)
	}),
	prove("2.1-project-limit", func(w *world) {
		w.limit("ci_registered_project_runners", 1)
		token := w.registrationToken(at("projects/%d", w.project(0)))
		w.want(w.register(M{"token": token}), 201, "")
		w.want(w.register(M{"token": token}), 400, `{"message":{"runner_projects.base":["Maximum number of ci registered project runners (1) exceeded"]}}`)
	}).byItself(),
	prove("2.1-group-limit", func(w *world) {
		w.limit("ci_registered_group_runners", 1)
		token := w.registrationToken(at("groups/%d", w.group(0)))
		w.want(w.register(M{"token": token}), 201, "")
		w.want(w.register(M{"token": token}), 400, `{"message":{"runner_namespaces.base":["Maximum number of ci registered group runners (1) exceeded"]}}`)
	}).byItself(),
	prove("2.1-limit-counts-live", func(w *world) {
		w.limit("ci_registered_project_runners", 1)
		token := w.registrationToken(at("projects/%d", w.project(0)))
		w.want(w.register(M{"token": token}), 201, "")
		w.clock.advance(8 * 24 * time.Hour)
		w.want(w.register(M{"token": token}), 201, "")
		w.want(w.register(M{"token": token}), 400, "")
	}).byItself(),
	prove("2.1-bad-access-level", func(w *world) {
		w.want(w.register(M{"access_level": "x"}), 400, `{"error":"access_level does not have a valid value"}`)
	}),
	prove("2.1-registration-type", func(w *world) {
		made := w.object(w.register(nil), 201)
		reset := w.object(w.admin("POST", at("runners/%d/reset_authentication_token", number(made["id"])), nil), 201)
		w.true("no glrt- token", !isPrefixed(reset["token"], "glrt-"))
	}),
	prove("2.1-no-creator", func(w *world) { w.is("created_by", w.registered(nil)["created_by"], nil) }),
	prove("2.1-no-manager", func(w *world) {
		w.is("managers", w.managers(number(w.registered(M{"info": M{"name": "n"}})["id"])), []M{})
	}),
	prove("2.1-token-hidden-while-off 2.1-token-back", func(w *world) {
		for _, path := range []string{at("groups/%d", w.group(0)), at("projects/%d", w.project(0))} {
			token := w.registrationToken(path)
			w.true("shown while on", token != "")
			w.Setting(M{"allow_runner_registration_token": false})
			shown, there := w.object(w.admin("GET", path, nil), 200)["runners_token"]
			w.true(path+": null while off", there && shown == nil)
			w.Setting(M{"allow_runner_registration_token": true})
			w.is(path, w.registrationToken(path), token)
		}
	}).byItself(),
}

// register is POST /runners with the instance's token and attributes.
func (w *world) register(attributes M) answer {
	body := M{"token": w.instanceToken()}
	for k, v := range attributes {
		body[k] = v
	}
	return w.anon("POST", "runners", body)
}

// registered is the detail of a runner so made.
func (w *world) registered(attributes M) M {
	return w.runner(number(w.object(w.register(attributes), 201)["id"]))
}

// limit sets a plan limit of the default plan.
func (w *world) limit(key string, n int) {
	w.Must(200, "PUT", "application/plan_limits", M{"plan_name": "default", key: n}, nil)
}

// rowsOf reads a list within an object.
func rowsOf(v any) []M {
	var found []M
	items, _ := v.([]any)
	for _, item := range items {
		if object, isObject := item.(M); isObject {
			found = append(found, object)
		} else {
			found = append(found, M{"id": fmt.Sprint(item)})
		}
	}
	return found
}
