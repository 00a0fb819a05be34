package conformance_test

import "slices"

// assignmentCases are section 4.11: /projects/:id/runners.
var assignmentCases = []testCase{
	prove("4.11-lists 4.11-lists-enabled", func(w *world) {
		group := w.group(0)
		project := w.project(group)
		tag := M{"tag_list": name("tag")}
		own, near, shared := w.Runner("project", project, tag), w.Runner("group", group, tag), w.Runner("instance", 0, tag)
		w.Runner("project", w.project(group), tag)
		path := at("projects/%d/runners", project)
		w.is("neither let in", ids(w.tagList(path, tag, "")), []int64{own.ID})
		w.Must(200, "PUT", at("projects/%d", project), M{"group_runners_enabled": true, "shared_runners_enabled": true}, nil)
		got := ids(w.tagList(path, tag, ""))
		slices.Sort(got)
		w.is("both let in", got, []int64{own.ID, near.ID, shared.ID})
	}),
	prove("4.11-developer", func(w *world) {
		project := w.project(0)
		w.want(w.Call("GET", at("projects/%d/runners", project), w.member("projects", project, developer), nil), 403, forbidden)
		w.want(w.anon("GET", at("projects/%d/runners", project), nil), 401, unauthorized)
	}),
	prove("4.11-assigned 4.11-unassigned", func(w *world) {
		first, second := w.project(0), w.project(0)
		user, token := w.person()
		w.Member("projects", first, user, maintainer)
		w.Member("projects", second, user, maintainer)
		r := w.Runner("project", first, nil)
		w.is("runner", w.object(w.Call("POST", at("projects/%d/runners", second), token, M{"runner_id": r.ID}), 201)["id"], r.ID)
		w.want(w.Call("DELETE", at("projects/%d/runners/%d", second, r.ID), token, nil), 204, "")
		w.is("projects", ids(rowsOf(w.runner(r.ID)["projects"])), []int64{first})
	}),
	prove("4.11-runner-id-missing", func(w *world) {
		w.want(w.admin("POST", at("projects/%d/runners", w.project(0)), M{}), 400, `{"error":"runner_id is missing"}`)
	}),
	prove("4.11-already-assigned", func(w *world) {
		r, second := w.sharedRunner()
		w.wantPart(w.admin("POST", at("projects/%d/runners", second), M{"runner_id": r.ID}), 400, `{"message":`)
	}),
	prove("4.11-group-runner", func(w *world) {
		w.want(w.assign(w.Runner("group", w.group(0), nil)), 403, `{"message":"403 Forbidden - Runner is a group runner"}`)
	}),
	prove("4.11-locked 9-locked", func(w *world) {
		project := w.project(0)
		r := w.Runner("project", project, M{"locked": true})
		w.want(w.assign(r), 403, `{"message":"403 Forbidden - Runner is locked"}`)
		w.waitingIn(project, oneJob, r)
		w.want(w.poll(r.Token), 201, "")
	}),
	prove("4.11-instance-runner", func(w *world) { w.want(w.assign(w.Runner("instance", 0, nil)), 403, noAccess) }),
	prove("4.11-no-right", func(w *world) {
		project := w.project(0)
		r := w.Runner("project", w.project(0), nil)
		w.want(w.Call("POST", at("projects/%d/runners", project), w.member("projects", project, maintainer), M{"runner_id": r.ID}), 403, noAccess)
	}),
	prove("4.11-absent", func(w *world) { w.want(w.assign(issued{ID: 99999999}), 404, "") }),
	prove("4.11-project-limit", func(w *world) {
		w.limit("ci_registered_project_runners", 1)
		full := w.project(0)
		w.Runner("project", full, nil)
		r := w.Runner("project", w.project(0), nil)
		w.want(w.admin("POST", at("projects/%d/runners", full), M{"runner_id": r.ID}), 400, "")
	}).byItself(),
	prove("4.11-unassign-locked", func(w *world) {
		r, second := w.sharedRunner()
		w.Must(200, "PUT", at("runners/%d", r.ID), M{"locked": true}, nil)
		w.want(w.admin("DELETE", at("projects/%d/runners/%d", second, r.ID), nil), 403, `{"message":"403 Forbidden - Runner is locked"}`)
	}),
	prove("4.11-owner-stays", func(w *world) {
		project := w.project(0)
		w.wantPart(w.admin("DELETE", at("projects/%d/runners/%d", project, w.Runner("project", project, nil).ID), nil), 403, `{"message":"403 Forbidden - `)
	}),
	prove("4.11-owner-text", func(w *world) {
		project := w.project(0)
		w.want(w.admin("DELETE", at("projects/%d/runners/%d", project, w.Runner("project", project, nil).ID), nil), 403,
			`{"message":"403 Forbidden - You cannot unassign a runner from the owner project. Delete the runner instead"}`)
	}),
	prove("4.11-unassign-unknown", func(w *world) {
		w.want(w.admin("DELETE", at("projects/%d/runners/99999999", w.project(0)), nil), 404, `{"message":"404 Runner Not Found"}`)
		w.want(w.admin("DELETE", at("projects/%d/runners/%d", w.project(0), w.Runner("project", w.project(0), nil).ID), nil), 404, `{"message":"404 Runner Not Found"}`)
	}),
	prove("4.11-owner-is-first 4.11-owner-moves 4.11-last-owner-goes 9-owner-deleted", func(w *world) {
		r, second := w.sharedRunner()
		first := number(rowsOf(w.runner(r.ID)["projects"])[0]["id"])
		w.want(w.admin("DELETE", at("projects/%d", first), nil), 202, "")
		w.want(w.verify(r.Token), 200, "")
		w.want(w.admin("DELETE", at("projects/%d/runners/%d", second, r.ID), nil), 403, "")
		w.want(w.admin("DELETE", at("projects/%d", second), nil), 202, "")
		w.want(w.verify(r.Token), 403, forbidden)
	}),
}

// assign asks as administrator for an assignment to another project.
func (w *world) assign(r issued) answer {
	return w.admin("POST", at("projects/%d/runners", w.project(0)), M{"runner_id": r.ID})
}
