package lab_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"rekey/internal/lab/labtest"
)

// TestAuditEvents: what happens to runners is written down for those who own them.
func TestAuditEvents(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11", Profile: "self-managed"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	other, _ := l.Project("other", group)
	r := l.Runner("project", project, nil)
	l.Must(201, "POST", fmt.Sprintf("runners/%d/reset_authentication_token", r.ID), nil, nil)
	l.Must(201, "POST", fmt.Sprintf("projects/%d/runners", other), labtest.M{"runner_id": r.ID}, nil)
	l.Must(204, "DELETE", fmt.Sprintf("runners/%d", r.ID), nil, nil)
	l.Runner("group", group, nil)
	l.Register(nil)
	names := func(path string) []string {
		t.Helper()
		var found []struct {
			EventName string `json:"event_name"`
			Details   struct {
				Message string `json:"custom_message"`
			}
		}
		l.Must(200, "GET", path, nil, &found)
		var all []string
		for _, e := range found {
			if e.Details.Message == "" {
				t.Errorf("%s: event %s says nothing", path, e.EventName)
			}
			all = append(all, e.EventName)
		}
		return all
	}
	for path, want := range map[string][]string{
		fmt.Sprintf("projects/%d/audit_events", project):                  {"ci_runner_unregistered", "ci_runner_token_reset", "ci_runner_created"},
		fmt.Sprintf("projects/%d/audit_events", other):                    {"ci_runner_associated"},
		fmt.Sprintf("groups/%d/audit_events", group):                      {"ci_runner_created"},
		"audit_events?entity_type=Gitlab::Audit::InstanceScope":           {"ci_runner_registered"},
		"audit_events?created_after=2999-01-01T00:00:00Z":                 nil,
		fmt.Sprintf("audit_events?entity_type=Group&entity_id=%d", group): {"ci_runner_created"},
	} {
		if got := names(path); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	stranger := l.PAT(l.User("stranger"), "api")
	walk(t, l, []step{
		{"stranger", "GET", "audit_events", stranger, nil, 403, forbidden},
		{"one", "GET", "audit_events/1", "", nil, 200, `{"id":1,`},
		{"absent", "GET", "audit_events/99", "", nil, 404, `{"message":"404 Not found"}`},
	})
}

// TestCommits: several files in one commit, and a message that starts nothing.
func TestCommits(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	project, _ := l.Project("app", 0)
	base := fmt.Sprintf("projects/%d/repository/", project)
	commit := func(message string, actions ...labtest.M) labtest.M {
		return labtest.M{"branch": "main", "commit_message": message, "actions": actions}
	}
	ci := labtest.M{"action": "create", "file_path": ".gitlab-ci.yml", "content": "job:\n  script: [echo]\n"}
	walk(t, l, []step{
		{"create two", "POST", base + "commits", "", commit("first [skip ci]", ci, labtest.M{"action": "create", "file_path": "a", "content": "YQ==", "encoding": "base64"}), 201, `{"id":"`},
		{"read one", "GET", base + "files/a/raw", "", nil, 200, "a"},
		{"create again", "POST", base + "commits", "", commit("x", ci), 400, `{"message":"A file with this name already exists"}`},
		{"update none", "POST", base + "commits", "", commit("x", labtest.M{"action": "update", "file_path": "none"}), 400, `{"message":"A file with this name doesn't exist"}`},
		{"unknown action", "POST", base + "commits", "", commit("x", labtest.M{"action": "eat", "file_path": "a"}), 400, `{"error":"actions[0][action] does not have a valid value"}`},
		{"move", "POST", base + "commits", "", commit("second", labtest.M{"action": "move", "previous_path": "a", "file_path": "b"}), 201, `{"id":"`},
		{"moved", "GET", base + "files/b/raw", "", nil, 200, "a"},
		{"away", "GET", base + "files/a/raw", "", nil, 404, `{"message":"404 File Not Found"}`},
		{"head", "GET", base + "commits/main", "", nil, 200, `{"id":"`},
		{"absent", "GET", base + "commits/0123", "", nil, 404, `{"message":"404 Commit Not Found"}`},
		{"branch", "GET", base + "branches/main", "", nil, 200, `{"name":"main"`},
		{"no branch", "GET", base + "branches/none", "", nil, 404, `{"message":"404 Branch Not Found"}`},
	})
	var commits []struct{ Title string }
	l.Must(200, "GET", base+"commits", nil, &commits)
	if len(commits) != 3 || commits[0].Title != "second" || commits[2].Title != "Initial commit" {
		t.Errorf("commits: got %v", commits)
	}
	var pipelines []struct{ Source string }
	l.Must(200, "GET", fmt.Sprintf("projects/%d/pipelines", project), nil, &pipelines)
	if len(pipelines) != 1 || pipelines[0].Source != "push" {
		t.Errorf("pipelines: got %v, want one of the second commit", pipelines)
	}
}

// TestTriggersAndLint: trigger tokens come and go; both forms of lint.
func TestTriggersAndLint(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "15.11"})
	project, _ := l.Project("app", 0)
	base := fmt.Sprintf("projects/%d/", project)
	l.CIConfig(project, "job:\n  script: [echo]\n  rules: [{if: '$CI_COMMIT_BRANCH == \"main\"'}]\n")
	var made struct{ Token string }
	l.Must(201, "POST", base+"triggers", labtest.M{"description": "canary"}, &made)
	ref := url.PathEscape("main")
	walk(t, l, []step{
		{"list", "GET", base + "triggers", "", nil, 200, `[{"id":1,"description":"canary"`},
		{"no value", "GET", base + "triggers/1", "", nil, 200, `{"id":1,"description":"canary"`},
		{"change", "PUT", base + "triggers/1", "", labtest.M{"description": "other"}, 200, `{"id":1,"description":"other"`},
		{"trigger", "POST", base + "trigger/pipeline", "", labtest.M{"token": made.Token, "ref": "main"}, 201, `{"id":`},
		{"trigger by path", "POST", base + "ref/" + ref + "/trigger/pipeline", "", labtest.M{"token": made.Token}, 201, `{"id":`},
		{"bad token", "POST", base + "trigger/pipeline", "", labtest.M{"token": "glptt-CANARY", "ref": "main"}, 404, `{"message":"404 Not Found"}`},
		{"delete", "DELETE", base + "triggers/1", "", nil, 204, ""},
		{"deleted", "GET", base + "triggers/1", "", nil, 404, `{"message":"404 Trigger Not Found"}`},
		{"lint", "POST", base + "ci/lint", "", labtest.M{"content": "job: {script: [echo]}", "include_jobs": true}, 200, `{"valid":true,"errors":[],"warnings":[],"merged_yaml":"job: {script: [echo]}","includes":[],"jobs":[{"name":"job","stage":"test"`},
		{"lint of nonsense", "POST", base + "ci/lint", "", labtest.M{"content": "[]"}, 200, `{"valid":false,"errors":["`},
		{"lint of nothing", "POST", base + "ci/lint", "", labtest.M{}, 400, `{"error":"content is missing"}`},
		{"dry run", "POST", base + "ci/lint", "", labtest.M{"content": "job: {script: [echo], rules: [{when: never}]}", "dry_run": true}, 200, `{"valid":false,"errors":["The resulting pipeline would have been empty.`},
		{"committed", "GET", base + "ci/lint?dry_run=true&include_jobs=true", "", nil, 200, `{"valid":true`},
		{"instance-wide", "POST", "ci/lint", "", labtest.M{"content": "job: {script: [echo]}"}, 200, `{"status":"valid","valid":true`},
	})
	later := labtest.Start(t, labtest.Options{Version: "16.0"})
	if got := later.Call("POST", "ci/lint", later.Admin, labtest.M{"content": "x"}); got.Status != 404 || got.Body != `{"error":"404 Not Found"}` {
		t.Errorf("instance-wide at 16.0: got %d %s, want 404", got.Status, got.Body)
	}
}

// TestKeysetJobs walks a runner's jobs page by page by Link alone.
func TestKeysetJobs(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	project, _ := l.Project("app", 0)
	r := l.Runner("instance", 0, nil)
	var config strings.Builder
	for i := range 5 {
		fmt.Fprintf(&config, "job%d:\n  script: [echo]\n", i)
	}
	l.CIConfig(project, config.String())
	l.Pipeline(project, nil)
	for range 5 {
		l.MustAs("", 201, "POST", "jobs/request", labtest.M{"token": r.Token, "system_id": "s_0123456789ab"}, nil)
	}
	next := fmt.Sprintf("runners/%d/jobs?pagination=keyset&order_by=id&sort=desc&per_page=2&private_token=%s", r.ID, l.Admin)
	var seen []int64
	for pages := 1; next != ""; pages++ {
		got := l.Call("GET", next, l.Admin, nil)
		if got.Status != 200 || got.Header.Get("X-Total") != "" || pages > 3 {
			t.Fatalf("page %d: got %d, X-Total %q %s", pages, got.Status, got.Header.Get("X-Total"), got.Body)
		}
		var found []struct{ ID int64 }
		got.Decode(t, &found)
		for _, j := range found {
			seen = append(seen, j.ID)
		}
		link := got.Header.Get("Link")
		if strings.Contains(link, l.Admin) {
			t.Error("Link holds a credential")
		}
		_, next, _ = strings.Cut(strings.TrimSuffix(link, `>; rel="next"`), "/api/v4/")
	}
	if !slices.Equal(seen, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("jobs: got %v, want 5 to 1", seen)
	}
	for path, total := range map[string]string{"": "5", "?system_id=s_0123456789ab": ""} {
		if got := l.Call("GET", fmt.Sprintf("runners/%d/jobs%s", r.ID, path), l.Admin, nil); got.Header.Get("X-Total") != total || got.Header.Get("X-Page") != "1" {
			t.Errorf("jobs%s: X-Total %q, want %q", path, got.Header.Get("X-Total"), total)
		}
	}
	walk(t, l, []step{{"bad cursor", "GET", fmt.Sprintf("runners/%d/jobs?pagination=keyset&cursor=%%21", r.ID), "", nil, 400, `{"error":"cursor is invalid"}`}})
}
