package conformance_test

import (
	"strings"
	"time"
)

// createCases are section 4.1: POST /user/runners.
var createCases = []testCase{
	prove("4.1-created 4.1-instance", func(w *world) {
		made := w.object(w.create(M{}), 201)
		w.keys(made, "id", "token", "token_expires_at")
		w.is("type", w.runner(number(made["id"]))["runner_type"], "instance_type")
	}),
	prove("4.1-group", func(w *world) {
		group := w.group(0)
		made := w.object(w.Call("POST", "user/runners", w.member("groups", group, owner), M{"runner_type": "group_type", "group_id": group}), 201)
		w.is("groups", ids(rowsOf(w.runner(number(made["id"]))["groups"])), []int64{group})
	}),
	prove("4.1-project", func(w *world) {
		project := w.project(0)
		made := w.object(w.Call("POST", "user/runners", w.member("projects", project, maintainer), M{"runner_type": "project_type", "project_id": project}), 201)
		w.is("projects", ids(rowsOf(w.runner(number(made["id"]))["projects"])), []int64{project})
	}),
	prove("4.1-description 4.1-maintenance-note 4.1-paused 4.1-locked 4.1-access-level 4.1-run-untagged 4.1-tag-list 4.1-maximum-timeout", func(w *world) {
		keys := []string{"description", "maintenance_note", "paused", "locked", "access_level", "run_untagged", "tag_list", "maximum_timeout"}
		given := M{"description": "d", "maintenance_note": "n", "paused": true, "locked": true, "access_level": "ref_protected", "run_untagged": false,
			"tag_list": tags(50), "maximum_timeout": 600}
		byDefault := M{"description": nil, "maintenance_note": nil, "paused": false, "locked": false, "access_level": "not_protected", "run_untagged": true,
			"tag_list": []string{}, "maximum_timeout": nil}
		project := w.project(0)
		for _, attributes := range []M{given, {}} {
			body := M{"runner_type": "project_type", "project_id": project}
			want := byDefault
			for k, v := range attributes {
				body[k], want = v, given
			}
			got := w.runner(number(w.object(w.admin("POST", "user/runners", body), 201)["id"]))
			for _, key := range keys {
				w.is(key, got[key], want[key])
			}
		}
	}),
	prove("4.1-description-long", func(w *world) {
		long := strings.Repeat("d", 1025)
		w.wantPart(w.create(M{"description": long}), 400, `{"message":"400 Bad request - Description `)
		w.wantPart(w.create(M{"maintenance_note": long}), 400, `{"message":"400 Bad request - Maintenance note `)
	}),
	prove("4.1-active-ignored", func(w *world) {
		w.is("active", w.runner(number(w.object(w.create(M{"active": false}), 201)["id"]))["active"], true)
	}),
	prove("4.1-numeric-group", func(w *world) {
		path := name("team")
		w.Group(path, 0)
		w.want(w.create(M{"runner_type": "group_type", "group_id": path}), 400, `{"error":"group_id is invalid"}`)
	}),
	prove("4.1-numeric-project", func(w *world) {
		_, path := w.Project(name("app"), 0)
		w.want(w.create(M{"runner_type": "project_type", "project_id": path}), 400, `{"error":"project_id is invalid"}`)
	}),
	prove("4.1-expires-at-ignored", func(w *world) {
		w.is("expiry", w.object(w.create(M{"token_expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}), 201)["token_expires_at"], nil)
	}).beside("4.1-expires-at"),
	prove("4.1-expires-at", func(w *world) {
		w.expires("an hour", w.object(w.create(M{"token_expires_at": w.ahead(time.Hour)}), 201)["token_expires_at"], time.Hour)
	}).beside("4.1-expires-at-ignored"),
	prove("4.1-expires-soon 4.1-expires-late 4.1-deadline-alone 4.1-deadline-order", func(w *world) {
		w.wantPart(w.create(M{"token_expires_at": w.ahead(time.Minute)}), 400, "token_expires_at must be at least")
		w.wantPart(w.create(M{"token_expires_at": w.ahead(16 * 24 * time.Hour)}), 400, "token_expires_at is too far in the future (maximum is ")
		w.wantPart(w.create(M{"token_rotation_deadline": w.ahead(time.Hour)}), 400, "token_expires_at is required when token_rotation_deadline is specified")
		w.wantPart(w.create(M{"token_expires_at": w.ahead(time.Hour), "token_rotation_deadline": w.ahead(-time.Hour)}), 400, "token_rotation_deadline cannot be in the past")
		w.wantPart(w.create(M{"token_expires_at": w.ahead(time.Hour), "token_rotation_deadline": w.ahead(2 * time.Hour)}), 400, "must be less than or equal to token_expires_at")
	}).beside("4.1-expires-at-ignored"),
	prove("4.1-anonymous", func(w *world) {
		w.want(w.anon("POST", "user/runners", M{"runner_type": "instance_type"}), 401, unauthorized)
	}),
	prove("4.1-scope", func(w *world) {
		_, token := w.person("read_user")
		w.wantPart(w.Call("POST", "user/runners", token, M{"runner_type": "instance_type"}), 403, insufficientPart)
	}),
	prove("4.1-not-permitted 4.1-instance-by-user", func(w *world) {
		_, token := w.person()
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "instance_type"}), 403, insufficient)
	}),
	prove("4.1-type-missing", func(w *world) {
		w.want(w.admin("POST", "user/runners", M{"description": "d"}), 400, `{"error":"runner_type is missing, runner_type does not have a valid value"}`)
	}),
	prove("4.1-type-bad", func(w *world) {
		w.want(w.create(M{"runner_type": "x"}), 400, `{"error":"runner_type does not have a valid value"}`)
	}),
	prove("4.1-group-missing", func(w *world) {
		w.want(w.create(M{"runner_type": "group_type"}), 400, `{"error":"group_id is missing"}`)
	}),
	prove("4.1-project-missing", func(w *world) {
		w.want(w.create(M{"runner_type": "project_type"}), 400, `{"error":"project_id is missing"}`)
	}),
	prove("4.1-group-invalid 4.1-project-invalid 4.1-existence-before-rights", func(w *world) {
		_, token := w.person()
		for _, token := range []string{w.Admin, token} {
			w.want(w.Call("POST", "user/runners", token, M{"runner_type": "group_type", "group_id": 99999999}), 400, `{"message":"400 Bad request - Missing/invalid group"}`)
			w.want(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": 99999999}), 400, `{"message":"400 Bad request - Missing/invalid project"}`)
		}
	}),
	prove("4.1-no-tags", func(w *world) {
		w.want(w.create(M{"run_untagged": false}), 400, `{"message":"400 Bad request - Tags list can not be empty when runner is not allowed to pick untagged jobs"}`)
	}),
	prove("4.1-short-timeout", func(w *world) {
		w.want(w.create(M{"maximum_timeout": 599}), 400, `{"message":"400 Bad request - Maximum timeout needs to be at least 10 minutes"}`)
	}),
	prove("4.1-several", func(w *world) {
		w.wantPart(w.create(M{"maximum_timeout": 599, "run_untagged": false}), 400, ` and `)
		w.wantPart(w.create(M{"maximum_timeout": 599, "run_untagged": false, "description": strings.Repeat("d", 1025)}), 400, `, and `)
	}),
	prove("4.1-group-by-maintainer", func(w *world) {
		group := w.group(0)
		w.want(w.Call("POST", "user/runners", w.member("groups", group, maintainer), M{"runner_type": "group_type", "group_id": group}), 403, insufficient)
	}),
	prove("4.1-project-by-developer", func(w *world) {
		project := w.project(0)
		w.want(w.Call("POST", "user/runners", w.member("projects", project, developer), M{"runner_type": "project_type", "project_id": project}), 403, insufficient)
	}),
	prove("4.1-group-registrar 4.1-project-registrar 4.1-registrar-not-for-admins", func(w *world) {
		group, project := w.group(0), w.project(0)
		inGroup, inProject := M{"runner_type": "group_type", "group_id": group}, M{"runner_type": "project_type", "project_id": project}
		boss, keeper := w.member("groups", group, owner), w.member("projects", project, maintainer)
		w.Setting(M{"valid_runner_registrars": []string{}})
		w.want(w.Call("POST", "user/runners", boss, inGroup), 403, insufficient)
		w.want(w.Call("POST", "user/runners", keeper, inProject), 403, insufficient)
		w.want(w.admin("POST", "user/runners", inGroup), 201, "")
		w.want(w.admin("POST", "user/runners", inProject), 201, "")
	}).byItself(),
	prove("4.1-group-switch 5.2-registration-inherited", func(w *world) {
		group := w.group(0)
		below := w.group(group)
		token := w.member("groups", below, owner)
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "group_type", "group_id": below}), 201, "")
		w.Must(200, "PUT", at("groups/%d", group), M{"runner_registration_enabled": false}, nil)
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "group_type", "group_id": below}), 403, insufficient)
	}),
	prove("4.1-project-switch", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer)
		w.Must(200, "PUT", at("projects/%d", project), M{"runner_registration_enabled": false}, nil)
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": project}), 403, insufficient)
	}),
	prove("4.1-archived", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer)
		w.Must(201, "POST", at("projects/%d/archive", project), nil, nil)
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": project}), 403, insufficient)
	}),
	prove("4.1-project-bot", func(w *world) {
		project := w.project(0)
		w.want(w.Call("POST", "user/runners", w.bot("projects", project, maintainer, "create_runner"), M{"runner_type": "project_type", "project_id": project}), 201, "")
		w.want(w.Call("POST", "user/runners", w.bot("projects", project, developer, "create_runner"), M{"runner_type": "project_type", "project_id": project}), 403, insufficient)
	}),
	prove("4.1-group-bot", func(w *world) {
		group := w.group(0)
		w.want(w.Call("POST", "user/runners", w.bot("groups", group, owner, "create_runner"), M{"runner_type": "group_type", "group_id": group}), 201, "")
		w.want(w.Call("POST", "user/runners", w.bot("groups", group, maintainer, "create_runner"), M{"runner_type": "group_type", "group_id": group}), 403, insufficient)
	}),
	prove("4.1-ungated-by-legacy-switch", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer)
		w.Setting(M{"allow_runner_registration_token": false})
		w.want(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": project}), 201, "")
	}).byItself(),
}

// create is POST /user/runners of an instance runner by the administrator.
func (w *world) create(attributes M) answer {
	body := M{"runner_type": "instance_type"}
	for k, v := range attributes {
		body[k] = v
	}
	return w.admin("POST", "user/runners", body)
}

// ahead is a time from now as parameters spell it.
func (w *world) ahead(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
