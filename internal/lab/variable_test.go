package lab_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// step is one request of a table and what it must be answered.
type step struct {
	name, method, path, token string
	body                      labtest.M
	status                    int
	want                      string // prefix of the body
}

func walk(t *testing.T, l *labtest.Lab, steps []step) {
	t.Helper()
	for _, s := range steps {
		var body any
		if s.body != nil {
			body = s.body
		}
		token := s.token
		if token == "" {
			token = l.Admin
		}
		if got := l.Call(s.method, s.path, token, body); got.Status != s.status || !strings.HasPrefix(got.Body, s.want) {
			t.Errorf("%s: got %d %s, want %d %s", s.name, got.Status, got.Body, s.status, s.want)
		}
	}
}

// TestVariables is the life of CI/CD variables, for projects and groups alike.
func TestVariables(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	developer := l.User("developer")
	l.Member("projects", project, developer, 30)
	l.Member("groups", group, developer, 40)
	weak := l.PAT(developer, "api")
	for _, base := range []string{fmt.Sprintf("projects/%d/variables", project), fmt.Sprintf("groups/%d/variables", group)} {
		walk(t, l, []step{
			{"create", "POST", base, "", labtest.M{"key": "PLAIN", "value": "one"}, 201,
				`{"variable_type":"env_var","key":"PLAIN","value":"one","hidden":false,"protected":false,"masked":false,"raw":false,"environment_scope":"*"`},
			{"again", "POST", base, "", labtest.M{"key": "PLAIN", "value": "two"}, 400, `{"message":{"key":["(PLAIN) has already been taken"]}}`},
			{"another scope", "POST", base, "", labtest.M{"key": "PLAIN", "value": "two", "environment_scope": "prod"}, 201, ""},
			{"ambiguous", "GET", base + "/PLAIN", "", nil, 409, `{"message":"There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"}`},
			{"filtered", "GET", base + "/PLAIN?filter[environment_scope]=prod", "", nil, 200, `{"variable_type":"env_var","key":"PLAIN","value":"two"`},
			{"change one", "PUT", base + "/PLAIN?filter[environment_scope]=prod", "", labtest.M{"value": "three", "protected": true}, 200, `{"variable_type":"env_var","key":"PLAIN","value":"three","hidden":false,"protected":true`},
			{"delete one", "DELETE", base + "/PLAIN?filter[environment_scope]=prod", "", nil, 204, ""},
			{"no key", "POST", base, "", labtest.M{"value": "x"}, 400, `{"error":"key is missing"}`},
			{"bad key", "POST", base, "", labtest.M{"key": "a-b", "value": "x"}, 400, `{"message":{"key":[`},
			{"bad type", "POST", base, "", labtest.M{"key": "K", "value": "x", "variable_type": "dir"}, 400, `{"error":"variable_type does not have a valid value"}`},
			{"unmaskable", "POST", base, "", labtest.M{"key": "SHORT", "value": "abc", "masked": true}, 400, `{"message":{"value":["is invalid"]}}`},
			{"hidden", "POST", base, "", labtest.M{"key": "HIDDEN", "value": "CANARYvalue", "masked_and_hidden": true}, 201, `{"variable_type":"env_var","key":"HIDDEN","value":null,"hidden":true,"protected":false,"masked":true`},
			{"absent", "GET", base + "/NONE", "", nil, 404, `{"message":"404 Variable Not Found"}`},
		})
	}
	walk(t, l, []step{{"group by a maintainer", "GET", fmt.Sprintf("groups/%d/variables", group), weak, nil, 403, forbidden}})
	var listed []struct{ Key string }
	l.Must(200, "GET", fmt.Sprintf("projects/%d/variables", project), nil, &listed)
	if len(listed) != 2 {
		t.Errorf("list: got %v, want PLAIN and HIDDEN", listed)
	}
}

// TestVariablesOfAJob: nearer owners win, protected ones stay away from other
// refs, and rules see them.
func TestVariablesOfAJob(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	r := l.Runner("instance", 0, labtest.M{"tag_list": []string{"CANARYtag"}})
	for path, vars := range map[string][]labtest.M{
		"admin/ci/variables":                          {{"key": "WHO", "value": "instance"}, {"key": "ONLY_INSTANCE", "value": "yes"}},
		fmt.Sprintf("groups/%d/variables", group):     {{"key": "WHO", "value": "group"}, {"key": "TAG", "value": "CANARYtag"}},
		fmt.Sprintf("projects/%d/variables", project): {{"key": "WHO", "value": "project"}, {"key": "GUARDED", "value": "CANARYsecret", "protected": true, "masked": true}, {"key": "FILE", "value": "x", "variable_type": "file", "raw": true}},
	} {
		for _, v := range vars {
			l.Must(201, "POST", path, v, nil)
		}
	}
	l.CIConfig(project, "job:\n  tags: [$TAG]\n  script: [echo]\n  rules: [{if: '$WHO == \"project\"'}]\n")
	l.Must(201, "POST", fmt.Sprintf("projects/%d/repository/files/x", project), labtest.M{"branch": "side", "content": "x", "commit_message": "x [skip ci]"}, nil)
	seen := func(ref string) map[string]labtest.M {
		t.Helper()
		l.Must(201, "POST", fmt.Sprintf("projects/%d/pipeline", project), labtest.M{"ref": ref}, nil)
		var j struct{ Variables []labtest.M }
		l.MustAs("", 201, "POST", "jobs/request", labtest.M{"token": r.Token}, &j)
		last := map[string]labtest.M{}
		for _, v := range j.Variables {
			last[fmt.Sprint(v["key"])] = v
		}
		return last
	}
	main, side := seen("main"), seen("side")
	if main["WHO"]["value"] != "project" || main["ONLY_INSTANCE"]["value"] != "yes" || main["FILE"]["file"] != true || main["FILE"]["raw"] != true {
		t.Errorf("variables: got %v", main)
	}
	if v := main["GUARDED"]; v["value"] != "CANARYsecret" || v["masked"] != true || v["public"] != false {
		t.Errorf("protected on a protected ref: got %v", v)
	}
	if _, there := side["GUARDED"]; there {
		t.Error("protected variable on an unprotected ref")
	}
}

// TestVariableValuesAreSealed: a dump of the database shows no value.
func TestVariableValuesAreSealed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Dir: dir})
	l.Must(201, "POST", "admin/ci/variables", labtest.M{"key": "K", "value": "CANARYsecretvalue"}, nil)
	l.Stop()
	if found := grepDir(t, dir, "CANARYsecretvalue"); found != "" {
		t.Errorf("%s holds a variable's value", found)
	}
}

// TestBotTokens: project and group access tokens act with their role, and end.
func TestBotTokens(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	maintainer := l.User("maintainer")
	l.Member("projects", project, maintainer, 40)
	weak := l.PAT(maintainer, "api")
	for _, c := range []struct {
		kind string
		id   int64
	}{{"project", project}, {"group", group}} {
		base := fmt.Sprintf("%ss/%d/access_tokens", c.kind, c.id)
		var made struct {
			ID          int64
			Token       string
			UserID      int64 `json:"user_id"`
			AccessLevel int   `json:"access_level"`
			Active      bool
		}
		l.Must(201, "POST", base, labtest.M{"name": "bot", "scopes": []string{"create_runner", "self_rotate"}, "access_level": 50}, &made)
		if made.Token == "" || made.AccessLevel != 50 || !made.Active {
			t.Fatalf("%s token: got %+v", c.kind, made)
		}
		one := fmt.Sprintf("%s/%d", base, made.ID)
		runner := labtest.M{"runner_type": c.kind + "_type", c.kind + "_id": c.id}
		var next struct{ Token string }
		walk(t, l, []step{
			{"creates a runner", "POST", "user/runners", made.Token, runner, 201, `{"id":`},
			{"lists none", "GET", "runners", made.Token, nil, 403, `{"error":"insufficient_scope"`},
			{"is shown without its value", "GET", one, "", nil, 200, fmt.Sprintf(`{"id":%d,"name":"bot","revoked":false`, made.ID)},
			{"absent", "GET", base + "/99", "", nil, 404, `{"message":"404 Could not find ` + c.kind + ` access token with token_id: 99 Not Found"}`},
			{"bad scope", "POST", base, "", labtest.M{"name": "x", "scopes": []string{"all"}}, 400, `{"error":"scopes does not have a valid value"}`},
			{"bad level", "POST", base, "", labtest.M{"name": "x", "scopes": []string{"api"}, "access_level": 7}, 400, `{"error":"access_level does not have a valid value"}`},
		})
		l.MustAs(made.Token, 200, "POST", base+"/self/rotate", nil, &next)
		walk(t, l, []step{
			{"rotated away", "POST", "user/runners", made.Token, runner, 401, `{"error":"invalid_token","error_description":"Token was revoked.`},
			{"successor", "POST", "user/runners", next.Token, runner, 201, `{"id":`},
			{"rotate again", "POST", one + "/rotate", "", nil, 400, `{"message":"400 Bad request - token already revoked"}`},
		})
		var listed []struct {
			ID     int64
			Active bool
		}
		l.Must(200, "GET", base+"?state=active", nil, &listed)
		if len(listed) != 1 {
			t.Fatalf("%s tokens: got %v, want the successor", c.kind, listed)
		}
		walk(t, l, []step{
			{"revoke", "DELETE", fmt.Sprintf("%s/%d", base, listed[0].ID), "", nil, 204, ""},
			{"revoked", "POST", "user/runners", next.Token, runner, 401, `{"error":"invalid_token"`},
		})
	}
	walk(t, l, []step{
		{"more than one has", "POST", fmt.Sprintf("projects/%d/access_tokens", project), weak, labtest.M{"name": "x", "scopes": []string{"api"}, "access_level": 50}, 400,
			`{"message":"400 Bad request - Access level of the token can't be greater`},
		{"group by a project's maintainer", "GET", fmt.Sprintf("groups/%d/access_tokens", group), weak, nil, 404, `{"message":"404 Group Not Found"}`},
	})
}

// TestPersonalTokenRotation: a token replaces itself, with self_rotate where it
// may do nothing else.
func TestPersonalTokenRotation(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	id := l.User("someone")
	rotating, reading := l.PAT(id, "self_rotate", "create_runner"), l.PAT(id, "read_api")
	var made struct {
		Token     string
		ExpiresAt string `json:"expires_at"`
		ID        int64
	}
	l.MustAs(rotating, 200, "POST", "personal_access_tokens/self/rotate", labtest.M{}, &made)
	if made.Token == "" || made.Token == rotating || made.ExpiresAt == "" {
		t.Fatalf("rotated: got a token %t, expiry %q", made.Token != "", made.ExpiresAt)
	}
	walk(t, l, []step{
		{"old", "GET", "personal_access_tokens/self", rotating, nil, 401, `{"error":"invalid_token"`},
		{"new", "GET", "personal_access_tokens/self", made.Token, nil, 200, `{"id":`},
		{"without the scope", "POST", "personal_access_tokens/self/rotate", reading, nil, 403, `{"error":"insufficient_scope"`},
		{"another's", "POST", fmt.Sprintf("personal_access_tokens/%d/rotate", made.ID), l.PAT(l.User("other"), "api"), nil, 401, `{"message":"401 Unauthorized"}`},
		{"by the administrator", "POST", fmt.Sprintf("personal_access_tokens/%d/rotate", made.ID), "", labtest.M{"expires_at": "2001-01-01"}, 400, `{"message":{"expires_at":`},
		{"by the administrator", "POST", fmt.Sprintf("personal_access_tokens/%d/rotate", made.ID), "", nil, 200, `{"id":`},
	})
}

// TestSudoAndAdminMode: acting as another user, and an administrator's token that
// lacks admin_mode where it is required.
func TestSudoAndAdminMode(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	user := l.PAT(l.User("someone"), "api")
	var root struct{ ID int64 }
	l.Must(200, "GET", "user", nil, &root)
	plain := l.PAT(root.ID, "api")
	as := func(token, name string) labtest.Answer {
		return raw(t, l, "GET", "/api/v4/user", "", "", "Private-Token", token, "Sudo", name)
	}
	var me struct{ Username string }
	if got := as(l.Admin, "someone"); got.Status != 200 || json.Unmarshal([]byte(got.Body), &me) != nil || me.Username != "someone" {
		t.Errorf("sudo: got %d %s, want someone", got.Status, got.Body)
	}
	for name, c := range map[string]struct {
		got    labtest.Answer
		status int
		want   string
	}{
		"unknown user":     {as(l.Admin, "ghost"), 404, `{"message":"404 User with ID or username 'ghost' Not Found"}`},
		"no administrator": {as(user, "root"), 403, `{"message":"403 Forbidden - Must be admin to use sudo"}`},
		"without scope":    {as(plain, "someone"), 403, `{"error":"insufficient_scope"`},
	} {
		if c.got.Status != c.status || !strings.HasPrefix(c.got.Body, c.want) {
			t.Errorf("%s: got %d %s, want %d %s", name, c.got.Status, c.got.Body, c.status, c.want)
		}
	}
	l.Setting(labtest.M{"admin_mode": true})
	instance := labtest.M{"runner_type": "instance_type"}
	walk(t, l, []step{
		{"without admin_mode", "POST", "user/runners", plain, instance, 403, `{"message":"403 Forbidden - Insufficient permissions"}`},
		{"with admin_mode", "POST", "user/runners", "", instance, 201, `{"id":`},
		{"settings without admin_mode", "GET", "application/settings", plain, nil, 403, forbidden},
	})
}

// grepDir names a file below dir that holds the text, "" for none.
func grepDir(t *testing.T, dir, text string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of %s: %v, %v", dir, files, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			return name
		}
	}
	return ""
}
