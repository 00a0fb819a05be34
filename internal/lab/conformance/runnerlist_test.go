package conformance_test

import "slices"

// runnerListCases are sections 4.2, 4.6 to 4.8 and 4.12: lists.
var runnerListCases = []testCase{
	prove("4.2-mine", func(w *world) {
		group, project := w.group(0), w.project(0)
		user, token := w.person()
		w.Member("groups", group, user, owner)
		w.Member("projects", project, user, maintainer)
		w.Runner("instance", 0, nil)
		w.Runner("project", w.project(0), nil)
		want := []float64{float64(w.Runner("group", group, nil).ID), float64(w.Runner("project", project, nil).ID)}
		got := ids(w.objects(w.Call("GET", "runners", token, nil)))
		slices.Sort(got)
		w.is("ids", got, want)
	}),
	prove("4.2-all", func(w *world) {
		tag := M{"tag_list": name("tag")}
		w.Runner("instance", 0, tag)
		w.Runner("group", w.group(0), tag)
		w.Runner("project", w.project(0), tag)
		w.is("runners", len(w.tagList("runners/all", tag, "")), 3)
	}),
	prove("4.2-all-forbidden", func(w *world) {
		_, token := w.person()
		w.want(w.Call("GET", "runners/all", token, nil), 403, forbidden)
	}),
	prove("4.2-type 4.2-scope 4.2-tags 4.2-paused 4.2-status 4.2-status-paused", func(w *world) {
		tag := M{"tag_list": []string{name("tag")}}
		shared, own := w.Runner("instance", 0, tag), w.Runner("project", w.project(0), M{"tag_list": append([]string{"more"}, tag["tag_list"].([]string)...)}) //nolint:forcetypeassert // made above
		w.want(w.poll(shared.Token), 204, "")
		w.Must(200, "PUT", at("runners/%d", own.ID), M{"paused": true}, nil)
		for query, want := range map[string]int64{"type=instance_type": shared.ID, "type=project_type": own.ID, "scope=shared": shared.ID, "scope=specific": own.ID,
			"paused=true": own.ID, "paused=false": shared.ID, "status=online": shared.ID, "status=never_contacted": own.ID, "status=paused": own.ID, "status=active": shared.ID} {
			w.is(query, ids(w.tagList("runners/all", tag, "&"+query)), []int64{want})
		}
		w.is("both tags", ids(w.tagList("runners/all", tag, ",more")), []int64{own.ID})
		w.is("no runner has both", len(w.tagList("runners/all", tag, ",more,none")), 0)
	}),
	prove("4.2-version-prefix 4.2-version-prefix-bad", func(w *world) {
		tag := M{"tag_list": name("tag")}
		r := w.Runner("instance", 0, tag)
		w.want(w.poll(r.Token, M{"info": M{"version": "16.9.1"}}), 204, "")
		w.is("16.", ids(w.tagList("runners/all", tag, "&version_prefix=16.")), []int64{r.ID})
		w.is("17.", len(w.tagList("runners/all", tag, "&version_prefix=17.")), 0)
		w.want(w.admin("GET", "runners/all?version_prefix=V15", nil), 400, "")
	}),
	prove("4.2-bad-enum", func(w *world) {
		w.want(w.admin("GET", "runners?type=x", nil), 400, `{"error":"type does not have a valid value"}`)
		w.want(w.admin("GET", "runners/all?status=x", nil), 400, `{"error":"status does not have a valid value"}`)
	}),
	prove("4.2-anonymous", func(w *world) {
		w.want(w.anon("GET", "runners", nil), 401, unauthorized)
		w.want(w.anon("GET", "runners/all", nil), 401, unauthorized)
	}),
	prove("4.2-fields 4.2-never-a-token 4.2-online-null", func(w *world) {
		tag := M{"tag_list": name("tag")}
		w.Runner("instance", 0, tag)
		row := w.tagList("runners/all", tag, "")[0]
		w.has(row, "id", "description", "ip_address", "active", "paused", "is_shared", "runner_type", "name", "online", "status")
		_, there := row["token"]
		w.true("no token", !there)
		w.is("online", row["online"], nil)
	}),
	prove("4.2-created-by", func(w *world) {
		tag := M{"tag_list": name("tag")}
		w.Runner("instance", 0, tag)
		row := w.tagList("runners/all", tag, "")[0]
		w.has(row, "created_at", "created_by")
		w.is("created_by", part(row, "created_by")["username"], "root")
	}),
	prove("4.2-execution-status 4.7-execution-status", func(w *world) {
		j := w.running()
		w.is("running", w.runner(j.runner.ID)["job_execution_status"], "active")
		w.is("manager", w.managers(j.runner.ID)[0]["job_execution_status"], "active")
		w.update(j, M{"state": "success"})
		w.is("done", w.runner(j.runner.ID)["job_execution_status"], "idle")
	}),
	prove("4.2-paused-hides-online 4.2-paused-never-contacted", func(w *world) {
		r := w.Runner("instance", 0, M{"paused": true})
		w.is("before", w.runner(r.ID)["status"], "never_contacted")
		w.want(w.poll(r.Token), 204, "")
		w.is("after", w.runner(r.ID)["status"], "paused")
	}),
	prove("4.6-lists 4.6-status", func(w *world) {
		j := w.finished("success")
		second := w.take(given{project: j.project, runner: j.runner, pipeline: w.Pipeline(j.project, nil)})
		path := at("runners/%d/jobs", j.runner.ID)
		w.is("all", ids(w.objects(w.admin("GET", path, nil))), []int64{second.ID, j.ID})
		w.is("oldest first", ids(w.objects(w.admin("GET", path+"?order_by=id&sort=asc", nil))), []int64{j.ID, second.ID})
		w.is("running", ids(w.objects(w.admin("GET", path+"?status=running", nil))), []int64{second.ID})
	}),
	prove("4.6-bad-status", func(w *world) {
		path := at("runners/%d/jobs", w.Runner("instance", 0, nil).ID)
		for _, query := range []string{"?status=x", "?order_by=x", "?sort=x"} {
			w.want(w.admin("GET", path+query, nil), 400, "")
		}
	}),
	prove("4.6-system-id", func(w *world) {
		j := w.running()
		w.is("its own", ids(w.objects(w.admin("GET", at("runners/%d/jobs?system_id=s_CANARY", j.runner.ID), nil))), []int64{j.ID})
		w.is("another's", len(w.objects(w.admin("GET", at("runners/%d/jobs?system_id=s_other", j.runner.ID), nil))), 0)
	}),
	prove("4.6-instance-forbidden", func(w *world) {
		_, token := w.person()
		w.want(w.Call("GET", at("runners/%d/jobs", w.Runner("instance", 0, nil).ID), token, nil), 403, noAccess)
	}),
	prove("4.6-reporter", func(w *world) {
		j := w.running()
		other := w.project(0)
		w.Must(201, "POST", at("projects/%d/runners", other), M{"runner_id": j.runner.ID}, nil)
		token := w.member("projects", other, maintainer)
		w.is("jobs", len(w.objects(w.Call("GET", at("runners/%d/jobs", j.runner.ID), token, nil))), 0)
	}),
	prove("4.7-absent", func(w *world) {
		w.want(w.admin("GET", at("runners/%d/managers", w.Runner("instance", 0, nil).ID), nil), 404, `{"error":"404 Not Found"}`)
	}).beside("4.7-fields"),
	prove("4.7-fields", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		w.has(w.managers(r.ID)[0], "id", "system_id", "version", "revision", "platform", "architecture", "created_at", "contacted_at", "ip_address", "status")
	}).beside("4.7-absent"),
	prove("4.7-empty", func(w *world) { w.is("managers", w.managers(w.Runner("instance", 0, nil).ID), []M{}) }),
	prove("4.7-status-never-paused", func(w *world) {
		r := w.Runner("instance", 0, M{"paused": true})
		w.want(w.poll(r.Token), 204, "")
		w.is("status", w.managers(r.ID)[0]["status"], "online")
	}),
	prove("4.7-anonymous", func(w *world) {
		w.want(w.anon("GET", at("runners/%d/managers", w.Runner("instance", 0, nil).ID), nil), 401, unauthorized)
	}),
	prove("4.7-no-access", func(w *world) {
		project := w.project(0)
		r := w.Runner("project", project, nil)
		w.want(w.Call("GET", at("runners/%d/managers", r.ID), w.member("projects", project, developer), nil), 403, noAccess)
		w.want(w.Call("GET", at("runners/%d/managers", r.ID), w.member("projects", project, maintainer), nil), 200, "")
	}),
	prove("4.8-lists", func(w *world) {
		r, second := w.sharedRunner()
		path := at("runners/%d/projects", r.ID)
		a := w.admin("GET", path, nil)
		w.is("all", len(w.objects(a)), 2)
		w.is("X-Total", a.Header.Get("X-Total"), "2")
		w.is("visible", ids(w.objects(w.Call("GET", path, w.member("projects", second, maintainer), nil))), []int64{second})
	}),
	prove("4.12-lists", func(w *world) {
		group := w.group(0)
		below := w.group(group)
		tag := M{"tag_list": name("tag")}
		want := []float64{float64(w.Runner("instance", 0, tag).ID), float64(w.Runner("group", group, tag).ID), float64(w.Runner("group", below, tag).ID)}
		w.Runner("group", w.group(0), tag)
		got := ids(w.tagList(at("groups/%d/runners", below), tag, ""))
		slices.Sort(got)
		w.is("ids", got, want)
	}),
	prove("4.12-project-type", func(w *world) {
		w.is("runners", w.objects(w.admin("GET", at("groups/%d/runners?type=project_type", w.group(0)), nil)), []M{})
	}),
	prove("4.12-maintainer 8-group-maintainer-reads", func(w *world) {
		group := w.group(0)
		w.want(w.Call("GET", at("groups/%d/runners", group), w.member("groups", group, maintainer), nil), 200, "")
	}).elsewhere(func(w *world) {
		group := w.group(0)
		w.want(w.Call("GET", at("groups/%d/runners", group), w.member("groups", group, maintainer), nil), 403, forbidden)
		w.want(w.Call("GET", at("groups/%d/runners", group), w.member("groups", group, owner), nil), 200, "")
	}),
	prove("4.12-developer", func(w *world) {
		group := w.group(0)
		w.want(w.Call("GET", at("groups/%d/runners", group), w.member("groups", group, developer), nil), 403, forbidden)
	}),
	prove("4.12-no-post", func(w *world) {
		w.true("no such method", w.admin("POST", at("groups/%d/runners", w.group(0)), M{"runner_id": 1}).Status >= 404)
	}),
}

// tagList lists the runners that have the tag of those attributes.
func (w *world) tagList(path string, attributes M, more string) []M {
	tag, isWord := attributes["tag_list"].(string)
	if !isWord {
		tag = attributes["tag_list"].([]string)[0] //nolint:forcetypeassert // it is one or the other
	}
	return w.objects(w.admin("GET", path+"?tag_list="+tag+more, nil))
}
