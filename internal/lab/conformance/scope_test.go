package conformance_test

import "time"

// scopeCases are section 1.2: what a token's scopes reach.
var scopeCases = []testCase{
	prove("1.2-api", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer, "api")
		r := w.Runner("project", project, nil)
		w.want(w.Call("GET", at("runners/%d", r.ID), token, nil), 200, "")
		w.want(w.Call("PUT", at("runners/%d", r.ID), token, M{"paused": true}), 200, "")
		w.want(w.Call("GET", "version", token, nil), 200, "")
	}),
	prove("1.2-read-api-reads 1.2-read-api-never-writes", func(w *world) {
		_, token := w.person("read_api")
		w.want(w.Call("GET", "runners", token, nil), 200, "")
		w.wantPart(w.Call("POST", "user/runners", token, M{"runner_type": "instance_type"}), 403, insufficientPart)
	}),
	prove("1.2-create-runner 1.2-create-runner-nothing-else", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer, "create_runner")
		made := w.object(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": project}), 201)
		path := at("runners/%d", number(made["id"]))
		for _, try := range []struct{ method, path string }{{"GET", "runners"}, {"GET", "runners/all"}, {"GET", path}, {"PUT", path}, {"DELETE", path},
			{"POST", path + "/reset_authentication_token"}} {
			w.wantPart(w.Call(try.method, try.path, token, M{"paused": true}), 403, insufficientPart)
		}
	}),
	prove("1.2-manage-runner-since 1.2-manage-runner-reaches 1.2-manage-runner-not-lists", func(w *world) {
		project := w.project(0)
		token := w.member("projects", project, maintainer, "manage_runner")
		r := w.Runner("project", project, nil)
		path := at("runners/%d", r.ID)
		w.want(w.Call("GET", path, token, nil), 200, "")
		w.want(w.Call("PUT", path, token, M{"paused": true}), 200, "")
		w.want(w.Call("GET", path+"/jobs", token, nil), 200, "")
		w.want(w.Call("GET", path+"/managers", token, nil), 200, "")
		w.want(w.Call("POST", path+"/reset_authentication_token", token, nil), 201, "")
		for _, list := range []string{"runners", "runners/all", at("projects/%d/runners", project)} {
			w.wantPart(w.Call("GET", list, token, nil), 403, insufficientPart)
		}
		w.want(w.Call("DELETE", path, token, nil), 204, "")
	}).elsewhere(func(w *world) { w.scopeUnknown("manage_runner") }),
	prove("1.2-self-rotate-since", func(w *world) { w.person("self_rotate") }).elsewhere(func(w *world) { w.scopeUnknown("self_rotate") }),
	prove("1.2-self-rotate", func(w *world) {
		_, token := w.person("self_rotate")
		made := w.object(w.Call("POST", "personal_access_tokens/self/rotate", token, nil), 200)
		w.true("a new token", isPrefixed(made["token"], "glpat-") && made["token"] != token)
		w.want(w.Call("GET", "personal_access_tokens/self", token, nil), 401, "")
	}).elsewhere(func(w *world) { w.scopeUnknown("self_rotate") }),
	prove("1.2-admin-mode", func(w *world) {
		id := w.object(w.admin("POST", "users", M{"username": "chief", "name": "chief", "email": "chief@example.com", "force_random_password": true, "admin": true}), 201)
		with, without := w.PAT(number(id["id"]), "api", "admin_mode"), w.PAT(number(id["id"]), "api")
		w.want(w.Call("POST", "user/runners", without, M{"runner_type": "instance_type"}), 201, "")
		w.Setting(M{"admin_mode": true})
		w.want(w.Call("POST", "user/runners", without, M{"runner_type": "instance_type"}), 403, "")
		w.want(w.Call("POST", "user/runners", with, M{"runner_type": "instance_type"}), 201, "")
	}).byItself(),
	prove("1.2-read-user", func(w *world) {
		_, token := w.person("read_user")
		w.want(w.Call("GET", "version", token, nil), 200, "")
		w.want(w.Call("GET", "metadata", token, nil), 200, "")
		w.wantPart(w.Call("GET", "runners", token, nil), 403, insufficientPart)
	}),
	prove("1.2-runner-routes-skip-user-credential", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.Call("POST", "runners/verify", "CANARYnotatoken", M{"token": r.Token, "system_id": "s_CANARY"}), 200, "")
		w.want(w.Call("POST", "jobs/request", "CANARYnotatoken", M{"token": r.Token, "system_id": "s_CANARY"}), 204, "")
	}),
	prove("1.2-bot-scopes", func(w *world) {
		project := w.project(0)
		token := w.bot("projects", project, maintainer, "create_runner", "manage_runner")
		made := w.object(w.Call("POST", "user/runners", token, M{"runner_type": "project_type", "project_id": project}), 201)
		w.want(w.Call("GET", at("runners/%d", number(made["id"])), token, nil), 200, "")
	}).elsewhere(func(w *world) {
		w.want(w.admin("POST", at("projects/%d/access_tokens", w.project(0)), M{"name": "bot", "scopes": []string{"manage_runner"}, "access_level": maintainer, "expires_at": w.tomorrow()}), 400, "")
	}),
	prove("1.2-expiry-mandatory", func(w *world) {
		made := w.object(w.admin("POST", at("users/%d/personal_access_tokens", w.User(name("user"))), M{"name": "n", "scopes": []string{"api"}}), 201)
		spelled, _ := made["expires_at"].(string)
		day, err := time.Parse(time.DateOnly, spelled)
		w.true("a date within a year", err == nil && time.Until(day) > 300*24*time.Hour && time.Until(day) <= 365*24*time.Hour)
	}).elsewhere(func(w *world) {
		made := w.object(w.admin("POST", at("users/%d/personal_access_tokens", w.User(name("user"))), M{"name": "n", "scopes": []string{"api"}}), 201)
		w.is("expires_at", made["expires_at"], nil)
	}),
	prove("1.2-expiry-optional-again", func(w *world) {
		w.Setting(M{"require_personal_access_token_expiry": false})
		made := w.object(w.admin("POST", "users/1/personal_access_tokens", M{"name": "n", "scopes": []string{"api"}}), 201)
		w.is("expires_at", made["expires_at"], nil)
	}).elsewhere(func(w *world) {
		w.Setting(M{"require_personal_access_token_expiry": false})
		made := w.object(w.admin("POST", "users/1/personal_access_tokens", M{"name": "n", "scopes": []string{"api"}}), 201)
		w.true("a date", made["expires_at"] != nil)
	}).byItself(),
	prove("1.2-assign-create-runner-401 1.2-unassign-create-runner-401", func(w *world) { w.assignmentUnseen("create_runner") }),
	prove("1.2-assign-manage-runner-401", func(w *world) { w.assignmentUnseen("manage_runner") }).elsewhere(func(w *world) { w.scopeUnknown("manage_runner") }),
}

func (w *world) scopeUnknown(scope string) {
	w.want(w.admin("POST", at("users/%d/personal_access_tokens", w.User(name("user"))), M{"name": "n", "scopes": []string{scope}}), 400, "")
}

// assignmentUnseen: with a token that only has this scope the two routes see no
// credential at all.
func (w *world) assignmentUnseen(scope string) {
	project := w.project(0)
	token := w.member("projects", project, maintainer, scope)
	r := w.Runner("project", project, nil)
	w.want(w.Call("POST", at("projects/%d/runners", project), token, M{"runner_id": r.ID}), 401, unauthorized)
	w.want(w.Call("DELETE", at("projects/%d/runners/%d", project, r.ID), token, nil), 401, unauthorized)
}

func (w *world) tomorrow() string {
	return time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)
}
