package lab_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// TestRunnerRecord: who may see and change a record, and in whose words.
func TestRunnerRecord(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	other, _ := l.Project("other", group)
	instance, grouped, owned := l.Runner("instance", 0, nil), l.Runner("group", group, nil), l.Runner("project", project, labtest.M{"maintenance_note": "note"})
	stranger, maintainer := l.PAT(l.User("stranger"), "api"), l.User("maintainer")
	l.Member("projects", project, maintainer, 40)
	keeper := l.PAT(maintainer, "api")
	const noAccess = `{"message":"403 Forbidden - No access granted"}`
	path := func(r labtest.Issued) string { return fmt.Sprintf("runners/%d", r.ID) }
	for _, c := range []struct {
		name, method, path, token string
		body                      labtest.M
		status                    int
		want                      string
	}{
		{"absent", "GET", "runners/99", l.Admin, nil, 404, `{"message":"404 Not found"}`},
		{"not a number", "GET", "runners/x", l.Admin, nil, 400, `{"error":"id is invalid"}`},
		{"out of range", "GET", "runners/99999999999999999999", l.Admin, nil, 400, `{"error":"id is invalid"}`},
		{"instance, stranger", "GET", path(instance), stranger, nil, 200, ""},
		{"group, stranger", "GET", path(grouped), stranger, nil, 403, noAccess},
		{"project, stranger", "GET", path(owned), stranger, nil, 403, noAccess},
		{"all, stranger", "GET", "runners/all", stranger, nil, 403, forbidden},
		{"instance jobs, stranger", "GET", path(instance) + "/jobs", stranger, nil, 403, noAccess},
		{"edit instance, stranger", "PUT", path(instance), stranger, labtest.M{"paused": true}, 403, noAccess},
		{"edit nothing", "PUT", path(owned), keeper, labtest.M{"unknown": 1}, 400, ""},
		{"edit to no tags", "PUT", path(owned), keeper, labtest.M{"run_untagged": false}, 400, `{"message":{"tags_list":["can not be empty when runner is not allowed to pick untagged jobs"]}}`},
		{"edit", "PUT", path(owned), keeper, labtest.M{"tag_list": "a, b", "run_untagged": false, "maximum_timeout": 600}, 200, ""},
		{"already assigned", "POST", fmt.Sprintf("projects/%d/runners", project), l.Admin, labtest.M{"runner_id": owned.ID}, 400, ""},
		{"no runner", "POST", fmt.Sprintf("projects/%d/runners", other), l.Admin, labtest.M{}, 400, `{"error":"runner_id is missing"}`},
		{"group runner", "POST", fmt.Sprintf("projects/%d/runners", other), l.Admin, labtest.M{"runner_id": grouped.ID}, 403, `{"message":"403 Forbidden - Runner is a group runner"}`},
		{"instance runner", "POST", fmt.Sprintf("projects/%d/runners", other), l.Admin, labtest.M{"runner_id": instance.ID}, 403, noAccess},
		{"assign without sight", "POST", fmt.Sprintf("projects/%d/runners", other), keeper, labtest.M{"runner_id": owned.ID}, 404, `{"message":"404 Project Not Found"}`},
		{"assign", "POST", fmt.Sprintf("projects/%d/runners", other), l.Admin, labtest.M{"runner_id": owned.ID}, 201, ""},
		{"delete with two projects", "DELETE", path(owned), keeper, nil, 403, `{"message":"403 Forbidden - Runner associated with more than one project"}`},
		{"lock", "PUT", path(owned), keeper, labtest.M{"locked": true}, 200, ""},
		{"unassign locked", "DELETE", fmt.Sprintf("projects/%d/runners/%d", other, owned.ID), l.Admin, nil, 403, `{"message":"403 Forbidden - Runner is locked"}`},
		{"unassign owner", "DELETE", fmt.Sprintf("projects/%d/runners/%d", project, owned.ID), l.Admin, nil, 403,
			`{"message":"403 Forbidden - You cannot unassign a runner from the owner project. Delete the runner instead"}`},
		{"unlock", "PUT", path(owned), keeper, labtest.M{"locked": "false"}, 200, ""},
		{"unassign", "DELETE", fmt.Sprintf("projects/%d/runners/%d", other, owned.ID), l.Admin, nil, 204, ""},
		{"unassign again", "DELETE", fmt.Sprintf("projects/%d/runners/%d", other, owned.ID), l.Admin, nil, 404, `{"message":"404 Runner Not Found"}`},
		{"delete", "DELETE", path(owned), keeper, nil, 204, ""},
		{"deleted", "GET", path(owned), l.Admin, nil, 404, `{"message":"404 Not found"}`},
	} {
		var body any
		if c.body != nil {
			body = c.body
		}
		got := l.Call(c.method, c.path, c.token, body)
		if got.Status != c.status || c.want != "" && got.Body != c.want {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got.Status, got.Body, c.status, c.want)
		}
	}
}

// TestRunnerLists: filters, all of the tags, pages and their headers.
func TestRunnerLists(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	group := l.Group("team", 0)
	project, _ := l.Project("app", group)
	a := l.Runner("instance", 0, labtest.M{"tag_list": []string{"linux", "big"}})
	b := l.Runner("group", group, labtest.M{"tag_list": []string{"linux"}, "paused": true})
	c := l.Runner("project", project, labtest.M{"tag_list": []string{"big"}})
	owner := l.User("owner")
	l.Member("groups", group, owner, 50)
	mine := l.PAT(owner, "read_api")
	for _, row := range []struct {
		path, token string
		want        []int64
	}{
		{"runners/all", l.Admin, []int64{c.ID, b.ID, a.ID}},
		{"runners", mine, []int64{c.ID, b.ID}},
		{"runners/all?tag_list=linux,big", l.Admin, []int64{a.ID}},
		{"runners/all?tag_list[]=linux", l.Admin, []int64{b.ID, a.ID}},
		{"runners/all?type=project_type", l.Admin, []int64{c.ID}},
		{"runners/all?paused=true", l.Admin, []int64{b.ID}},
		{"runners/all?status=never_contacted&paused=false", l.Admin, []int64{c.ID, a.ID}},
		{"runners/all?status=online", l.Admin, nil},
		{fmt.Sprintf("projects/%d/runners", project), mine, []int64{c.ID, b.ID, a.ID}},
		{fmt.Sprintf("groups/%d/runners", group), mine, []int64{b.ID, a.ID}},
		{fmt.Sprintf("groups/%d/runners?type=project_type", group), mine, nil},
	} {
		var found []struct{ ID int64 }
		l.MustAs(row.token, 200, "GET", row.path, nil, &found)
		var ids []int64
		for _, f := range found {
			ids = append(ids, f.ID)
		}
		if !slices.Equal(ids, row.want) {
			t.Errorf("%s: got %v, want %v", row.path, ids, row.want)
		}
	}
	if got := l.Call("GET", "runners/all?status=x", l.Admin, nil); got.Status != 400 || got.Body != `{"error":"status does not have a valid value"}` {
		t.Errorf("bad status: got %d %s", got.Status, got.Body)
	}
	got := l.Call("GET", "runners/all?per_page=2&page=1&private_token="+l.Admin, "", nil)
	for name, want := range map[string]string{"X-Total": "3", "X-Total-Pages": "2", "X-Per-Page": "2", "X-Page": "1", "X-Next-Page": "2", "X-Prev-Page": ""} {
		if h := got.Header.Get(name); h != want {
			t.Errorf("%s: got %q, want %q", name, h, want)
		}
	}
	if link := got.Header.Get("Link"); !strings.Contains(link, `page=2&per_page=2>; rel="next"`) || strings.Contains(link, l.Admin) {
		t.Errorf("Link: got %q, want a next page and no credential", link)
	}
}

// TestConditionalDelete: a record changed since If-Unmodified-Since stays.
func TestConditionalDelete(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "17.11"})
	r := l.Runner("instance", 0, nil)
	send := func(since time.Time) labtest.Answer {
		req, err := http.NewRequestWithContext(t.Context(), "DELETE", fmt.Sprintf("%s/api/v4/runners/%d", l.URL, r.ID), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Private-Token", l.Admin)
		req.Header.Set("If-Unmodified-Since", since.UTC().Format(http.TimeFormat))
		return l.Do(req)
	}
	if got := send(time.Now().Add(-time.Hour)); got.Status != 412 || got.Body != `{"message":"412 Precondition Failed"}` {
		t.Errorf("changed since: got %d %s, want 412", got.Status, got.Body)
	}
	if got := send(time.Now().Add(time.Hour)); got.Status != 204 {
		t.Errorf("unchanged since: got %d %s, want 204", got.Status, got.Body)
	}
}
