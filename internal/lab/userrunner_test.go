package lab_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
)

// TestCreateRunnerAnswers is the table of POST /user/runners.
func TestCreateRunnerAnswers(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	user := func(name string, groupLevel, projectLevel int, scopes ...string) string {
		id := l.User(name)
		if groupLevel > 0 {
			l.Member("groups", group, id, groupLevel)
		}
		if projectLevel > 0 {
			l.Member("projects", project, id, projectLevel)
		}
		return l.PAT(id, scopes...)
	}
	owner, maintainer := user("owner", 50, 0, "create_runner"), user("maintainer", 40, 0, "api")
	developer, projectMaintainer := user("developer", 0, 30, "api"), user("project-maintainer", 0, 40, "create_runner")
	reader := user("reader", 50, 0, "read_api")
	const insufficient = `{"message":"403 Forbidden - Insufficient permissions"}`
	inGroup, inProject := labtest.M{"runner_type": "group_type", "group_id": group}, labtest.M{"runner_type": "project_type", "project_id": project}
	for _, c := range []struct {
		name, token string
		body        labtest.M
		status      int
		want        string
	}{
		{"anonymous", "", labtest.M{"runner_type": "instance_type"}, 401, `{"message":"401 Unauthorized"}`},
		{"unknown token", "glpat-CANARYunknown000000", labtest.M{}, 401, `{"message":"401 Unauthorized"}`},
		{"read_api", reader, inGroup, 403, `{"error":"insufficient_scope"`},
		{"no type", l.Admin, labtest.M{}, 400, `{"error":"runner_type is missing, runner_type does not have a valid value"}`},
		{"bad type", l.Admin, labtest.M{"runner_type": "x"}, 400, `{"error":"runner_type does not have a valid value"}`},
		{"no group", l.Admin, labtest.M{"runner_type": "group_type"}, 400, `{"error":"group_id is missing"}`},
		{"no project", l.Admin, labtest.M{"runner_type": "project_type"}, 400, `{"error":"project_id is missing"}`},
		{"absent group", owner, labtest.M{"runner_type": "group_type", "group_id": 99}, 400, `{"message":"400 Bad request - Missing/invalid group"}`},
		{"absent project", owner, labtest.M{"runner_type": "project_type", "project_id": 99}, 400, `{"message":"400 Bad request - Missing/invalid project"}`},
		{"no tags", l.Admin, labtest.M{"runner_type": "instance_type", "run_untagged": false}, 400,
			`{"message":"400 Bad request - Tags list can not be empty when runner is not allowed to pick untagged jobs"}`},
		{"two errors", l.Admin, labtest.M{"runner_type": "instance_type", "run_untagged": false, "maximum_timeout": 5}, 400,
			`{"message":"400 Bad request - Tags list can not be empty when runner is not allowed to pick untagged jobs and Maximum timeout needs to be at least 10 minutes"}`},
		{"instance by a user", owner, labtest.M{"runner_type": "instance_type"}, 403, insufficient},
		{"group by its maintainer", maintainer, inGroup, 403, insufficient},
		{"project by a developer", developer, inProject, 403, insufficient},
		{"group by its owner", owner, inGroup, 201, ""},
		{"project by its maintainer", projectMaintainer, inProject, 201, ""},
		{"project by the group's maintainer", maintainer, inProject, 201, ""},
		{"instance by the administrator", l.Admin, labtest.M{"runner_type": "instance_type"}, 201, ""},
	} {
		got := l.Call("POST", "user/runners", c.token, c.body)
		if got.Status != c.status || !strings.HasPrefix(got.Body, c.want) {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.want)
		}
	}
	l.Setting(labtest.M{"valid_runner_registrars": []string{"project"}})
	if got := l.Call("POST", "user/runners", owner, inGroup); got.Body != insufficient {
		t.Errorf("owner without the group registrar: got %d %s", got.Status, got.Body)
	}
	if got := l.Call("POST", "user/runners", l.Admin, inGroup); got.Status != 201 {
		t.Errorf("administrator without the group registrar: got %d %s", got.Status, got.Body)
	}
}

// TestScopes: create_runner only creates, manage_runner only works below
// /runners/:id, from 17.1 on.
func TestScopes(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	project, _ := l.Project("app", 0)
	r := l.Runner("project", project, nil)
	id := fmt.Sprint(r.ID)
	creator, manager, reader, person := l.PAT(1, "create_runner"), l.PAT(1, "manage_runner"), l.PAT(1, "read_api"), l.PAT(1, "read_user")
	for _, c := range []struct {
		method, path                      string
		create, manage, readAPI, readUser int
	}{
		{"GET", "runners", 403, 403, 200, 403},
		{"GET", "runners/all", 403, 403, 200, 403},
		{"GET", "runners/" + id, 403, 200, 200, 403},
		{"PUT", "runners/" + id, 403, 400, 403, 403},
		{"GET", "runners/" + id + "/jobs", 403, 200, 200, 403},
		{"GET", "runners/" + id + "/managers", 403, 200, 200, 403},
		{"POST", "runners/" + id + "/reset_authentication_token", 403, 201, 403, 403},
		{"GET", fmt.Sprintf("projects/%d/runners", project), 403, 403, 200, 403},
		{"POST", fmt.Sprintf("projects/%d/runners", project), 401, 401, 401, 401},
		{"DELETE", fmt.Sprintf("projects/%d/runners/%s", project, id), 401, 401, 401, 401},
		{"GET", "metadata", 403, 403, 200, 200},
		{"GET", "personal_access_tokens/self", 200, 200, 200, 200},
	} {
		for token, want := range map[string]int{creator: c.create, manager: c.manage, reader: c.readAPI, person: c.readUser} {
			if got := l.Call(c.method, c.path, token, nil); got.Status != want {
				t.Errorf("%s %s with scope %d of the row: got %d %s, want %d", c.method, c.path, want, got.Status, got.Body, want)
			}
		}
	}
	old := labtest.Start(t, labtest.Options{Version: "17.0"})
	if got := old.Call("POST", "users/1/personal_access_tokens", old.Admin, labtest.M{"name": "x", "scopes": []string{"manage_runner"}}); got.Status != 400 {
		t.Errorf("manage_runner at 17.0: got %d, want 400", got.Status)
	}
}

// TestAdminMode: where it is required an administrator's token needs admin_mode.
func TestAdminMode(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	plain, raised := l.PAT(1, "api"), l.PAT(1, "api", "admin_mode")
	l.Setting(labtest.M{"admin_mode": true})
	for token, want := range map[string]int{plain: 403, raised: 201} {
		if got := l.Call("POST", "user/runners", token, labtest.M{"runner_type": "instance_type"}); got.Status != want {
			t.Errorf("instance runner under admin mode: got %d %s, want %d", got.Status, got.Body, want)
		}
	}
}

// TestTokenShapes: what a version issues, and that the routable one checks.
func TestTokenShapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version         string
		created, legacy string // prefixes
		routable        bool
	}{
		{"15.11", "glrt-", "", false},
		{"17.7", "glrt-", "", false},
		{"17.8", "glrt-t1_", "t1_", false},
		{"18.5", "glrt-t1_", "glrtr-t1_", false},
		{"18.11", "glrt-", "glrtr-", true},
		{"19.3", "glrt-", "glrtr-", true},
	} {
		l := labtest.Start(t, labtest.Options{Version: c.version, Profile: "self-managed"})
		made, registered := l.Runner("instance", 0, nil), l.Register(nil)
		if !strings.HasPrefix(made.Token, c.created) || strings.Contains(made.Token, ".01.") != c.routable {
			t.Errorf("%s created: got %.9s… of %d characters", c.version, made.Token, len(made.Token))
		}
		if want := len(c.legacy) + 20; !strings.HasPrefix(registered.Token, c.legacy) || len(registered.Token) != want {
			t.Errorf("%s registered: got %.9s… of %d characters, want %s + 20", c.version, registered.Token, len(registered.Token), c.legacy)
		}
		if lexical := rekey.NewToken(made.Token).Lexical(); !lexical.Sendable || c.routable && lexical.Scope != rekey.ScopeInstance {
			t.Errorf("%s created: lexically %+v", c.version, lexical)
		}
	}
}
