package conformance_test

import "time"

// runnerCases are sections 4.3 to 4.5, 4.9 and 4.10: one runner, its token, and
// registration tokens.
var runnerCases = []testCase{
	prove("4.3-fields", func(w *world) {
		w.has(w.runner(w.Runner("instance", 0, nil).ID), "tag_list", "run_untagged", "locked", "maximum_timeout", "access_level", "version", "revision", "platform",
			"architecture", "contacted_at", "maintenance_note", "projects", "groups")
	}),
	prove("4.3-latest-manager", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token, M{"info": M{"version": "16.1.0", "platform": "darwin"}}), 204, "")
		w.clock.advance(time.Hour)
		w.want(w.poll(r.Token, M{"system_id": "s_other", "info": M{"version": "17.2.0", "platform": "linux"}}), 204, "")
		got := w.runner(r.ID)
		w.is("version and platform", []any{got["version"], got["platform"]}, []any{"17.2.0", "linux"})
	}).byItself(),
	prove("4.3-note-hidden 4.3-instance-anyone", func(w *world) {
		_, token := w.person()
		r := w.Runner("instance", 0, M{"maintenance_note": "n"})
		w.is("note", w.object(w.Call("GET", at("runners/%d", r.ID), token, nil), 200)["maintenance_note"], nil)
	}),
	prove("4.3-projects-visible", func(w *world) {
		r, second := w.sharedRunner()
		got := w.object(w.Call("GET", at("runners/%d", r.ID), w.member("projects", second, maintainer), nil), 200)
		w.is("projects", ids(rowsOf(got["projects"])), []int64{second})
	}),
	prove("4.3-include-projects", func(w *world) {
		r, _ := w.sharedRunner()
		got := w.object(w.admin("GET", at("runners/%d?include_projects=false", r.ID), nil), 200)
		_, there := got["projects"]
		w.true("no projects", !there)
	}),
	prove("4.3-group-maintainer 4.4-group-maintainer 4.5-group-maintainer 4.9-group-maintainer", func(w *world) {
		group := w.group(0)
		path, token := at("runners/%d", w.Runner("group", group, nil).ID), w.member("groups", group, maintainer)
		w.want(w.Call("GET", path, token, nil), 200, "")
		w.want(w.Call("PUT", path, token, M{"paused": true}), 403, noAccess)
		w.want(w.Call("DELETE", path, token, nil), 403, noAccess)
		w.want(w.Call("POST", path+"/reset_authentication_token", token, nil), 403, noAccess)
	}),
	prove("4.3-group-developer", func(w *world) {
		group := w.group(0)
		w.want(w.Call("GET", at("runners/%d", w.Runner("group", group, nil).ID), w.member("groups", group, developer), nil), 403, noAccess)
	}),
	prove("4.3-project-maintainer 4.4-project-maintainer", func(w *world) {
		project := w.project(0)
		path, token := at("runners/%d", w.Runner("project", project, nil).ID), w.member("projects", project, maintainer)
		w.want(w.Call("GET", path, token, nil), 200, "")
		w.want(w.Call("PUT", path, token, M{"paused": true}), 200, "")
	}),
	prove("4.3-project-developer", func(w *world) {
		project := w.project(0)
		w.want(w.Call("GET", at("runners/%d", w.Runner("project", project, nil).ID), w.member("projects", project, developer), nil), 403, noAccess)
	}),
	prove("4.3-no-access 4.4-no-access 4.5-no-access 4.9-no-access", func(w *world) {
		_, token := w.person()
		path := at("runners/%d", w.Runner("project", w.project(0), nil).ID)
		w.want(w.Call("GET", path, token, nil), 403, noAccess)
		w.want(w.Call("PUT", path, token, M{"paused": true}), 403, noAccess)
		w.want(w.Call("DELETE", path, token, nil), 403, noAccess)
		w.want(w.Call("POST", path+"/reset_authentication_token", token, nil), 403, noAccess)
	}),
	prove("4.3-unknown 4.4-unknown 4.5-unknown 4.9-unknown", func(w *world) {
		w.want(w.admin("GET", "runners/99999999", nil), 404, lookupMiss)
		w.want(w.admin("PUT", "runners/99999999", M{"paused": true}), 404, "")
		w.want(w.admin("DELETE", "runners/99999999", nil), 404, "")
		w.want(w.admin("POST", "runners/99999999/reset_authentication_token", nil), 404, "")
	}),
	prove("4.3-anonymous 4.9-anonymous", func(w *world) {
		path := at("runners/%d", w.Runner("instance", 0, nil).ID)
		w.want(w.anon("GET", path, nil), 401, unauthorized)
		w.want(w.anon("POST", path+"/reset_authentication_token", nil), 401, unauthorized)
	}),
	prove("4.3-address-hidden", func(w *world) {
		address := w.runner(w.Runner("instance", 0, nil).ID)["ip_address"]
		w.true("null or blank", address == nil || address == "")
	}).beside("8-ip-deprecated"),
	prove("4.4-updates", func(w *world) {
		given := M{"description": "d", "maintenance_note": "n", "paused": true, "locked": true, "access_level": "ref_protected", "run_untagged": false,
			"tag_list": []string{"a"}, "maximum_timeout": 600}
		r := w.Runner("project", w.project(0), nil)
		got := w.object(w.admin("PUT", at("runners/%d", r.ID), given), 200)
		for key, want := range given {
			w.is(key, got[key], want)
			w.is(key+" kept", w.runner(r.ID)[key], want)
		}
	}),
	prove("4.4-active 8-paused", func(w *world) {
		r := w.Runner("instance", 0, nil)
		got := w.object(w.admin("PUT", at("runners/%d", r.ID), M{"active": false}), 200)
		w.is("active and paused", []any{got["active"], got["paused"]}, []any{false, true})
		got = w.object(w.admin("PUT", at("runners/%d", r.ID), M{"paused": false}), 200)
		w.is("active and paused", []any{got["active"], got["paused"]}, []any{true, false})
	}),
	prove("4.4-nothing", func(w *world) {
		w.wantPart(w.admin("PUT", at("runners/%d", w.Runner("instance", 0, nil).ID), M{}), 400, `{"error":"`)
	}),
	prove("4.4-model 4.4-tags-limit", func(w *world) {
		path := at("runners/%d", w.Runner("instance", 0, nil).ID)
		w.want(w.admin("PUT", path, M{"maximum_timeout": 599}), 400, `{"message":{"maximum_timeout":["needs to be at least 10 minutes"]}}`)
		w.want(w.admin("PUT", path, M{"tag_list": tags(51)}), 400, tooManyTags)
	}),
	prove("4.4-group-owner", func(w *world) {
		group := w.group(0)
		w.want(w.Call("PUT", at("runners/%d", w.Runner("group", group, nil).ID), w.member("groups", group, owner), M{"paused": true}), 200, "")
	}),
	prove("4.4-timeout-null", func(w *world) {
		r := w.Runner("instance", 0, M{"maximum_timeout": 700})
		w.is("timeout", w.object(w.admin("PUT", at("runners/%d", r.ID), M{"maximum_timeout": nil}), 200)["maximum_timeout"], nil)
	}),
	prove("4.5-deleted 9-deleted", func(w *world) {
		r := w.Runner("instance", 0, nil)
		last := w.poll(r.Token).Header.Get("X-GitLab-Last-Update")
		w.want(w.admin("DELETE", at("runners/%d", r.ID), nil), 204, "")
		w.want(w.poll(r.Token, M{"last_update": last}), 403, forbidden)
		w.want(w.verify(r.Token), 403, forbidden)
	}),
	prove("4.5-several-projects 4.5-several-projects-admin", func(w *world) {
		r, second := w.sharedRunner()
		w.want(w.Call("DELETE", at("runners/%d", r.ID), w.member("projects", second, maintainer), nil), 403,
			`{"message":"403 Forbidden - Runner associated with more than one project"}`)
		w.want(w.admin("DELETE", at("runners/%d", r.ID), nil), 204, "")
	}),
	prove("4.9-created", func(w *world) {
		w.keys(w.object(w.admin("POST", at("runners/%d/reset_authentication_token", w.Runner("instance", 0, nil).ID), nil), 201), "token", "token_expires_at")
	}),
	prove("4.9-expired-recovers 9-expired-recovered", func(w *world) {
		w.Setting(M{"runner_token_expiration_interval": 7200})
		r := w.Runner("instance", 0, nil)
		w.clock.advance(3 * time.Hour)
		w.want(w.verify(r.Token), 403, forbidden)
		w.want(w.verify(w.renewed(r).Token), 200, "")
	}).byItself(),
	prove("4.10-instance 8-reset-registration-stays", func(w *world) {
		old := w.instanceToken()
		made := w.object(w.admin("POST", "runners/reset_registration_token", nil), 201)
		w.keys(made, "token")
		w.true("its prefix", isPrefixed(made["token"], "GR1348941"))
		w.want(w.register(M{"token": old}), 403, invalidToken)
		w.want(w.register(M{"token": made["token"]}), 201, "")
	}).byItself(),
	prove("4.10-group 4.10-project 4.10-old-token-dies 9-registration-leaked", func(w *world) {
		for _, path := range []string{at("groups/%d", w.group(0)), at("projects/%d", w.project(0))} {
			old := w.registrationToken(path)
			token, _ := w.object(w.register(M{"token": old}), 201)["token"].(string)
			made := w.object(w.admin("POST", path+"/runners/reset_registration_token", nil), 201)
			w.keys(made, "token")
			w.true("its prefix", isPrefixed(made["token"], "GR1348941"))
			w.want(w.register(M{"token": old}), 403, invalidToken)
			w.want(w.register(M{"token": made["token"]}), 201, "")
			w.want(w.verify(token), 200, "")
		}
	}),
	prove("4.10-anonymous", func(w *world) { w.want(w.anon("POST", "runners/reset_registration_token", nil), 401, unauthorized) }),
	prove("4.10-forbidden", func(w *world) {
		_, token := w.person()
		w.want(w.Call("POST", "runners/reset_registration_token", token, nil), 403, forbidden)
		project := w.project(0)
		w.want(w.Call("POST", at("projects/%d/runners/reset_registration_token", project), w.member("projects", project, developer), nil), 403, forbidden)
	}),
	prove("4.10-switched-off", func(w *world) {
		w.Setting(M{"allow_runner_registration_token": false})
		for _, path := range []string{"", at("groups/%d/", w.group(0)), at("projects/%d/", w.project(0))} {
			w.want(w.admin("POST", path+"runners/reset_registration_token", nil), 403, forbidden)
		}
	}).byItself(),
	prove("4.10-group-unknown", func(w *world) {
		w.want(w.admin("POST", "groups/99999999/runners/reset_registration_token", nil), 404, `{"message":"404 Group Not Found"}`)
	}),
	prove("4.10-project-unknown", func(w *world) {
		_, token := w.person()
		for _, id := range []string{"99999999", "none", at("%d", w.project(0))} {
			w.want(w.Call("POST", "projects/"+id+"/runners/reset_registration_token", token, nil), 404, `{"message":"404 Project Not Found"}`)
		}
	}),
	prove("4.10-group-maintainer 4.10-not-shown", func(w *world) {
		group := w.group(0)
		token := w.member("groups", group, maintainer)
		w.want(w.Call("POST", at("groups/%d/runners/reset_registration_token", group), token, nil), 403, forbidden)
		_, there := w.object(w.Call("GET", at("groups/%d", group), token, nil), 200)["runners_token"]
		w.true("not shown", !there)
	}),
	prove("4.10-project-maintainer 4.10-shown", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer)
		made := w.object(w.Call("POST", at("projects/%d/runners/reset_registration_token", project), token, nil), 201)
		w.is("shown", w.object(w.Call("GET", at("projects/%d", project), token, nil), 200)["runners_token"], made["token"])
	}),
}
