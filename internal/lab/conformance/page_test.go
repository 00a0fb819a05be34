package conformance_test

import (
	"net/url"
	"regexp"
	"strings"
)

// pageCases are sections 1.6 and 1.7: lists, times and ids.
var pageCases = []testCase{
	prove("1.6-header-names", func(w *world) {
		tag := name("tag")
		for range 3 {
			w.Runner("instance", 0, M{"tag_list": []string{tag}})
		}
		header := w.admin("GET", "runners/all?per_page=1&page=2&tag_list="+tag, nil).Header
		for key, want := range map[string]string{"X-Total": "3", "X-Total-Pages": "3", "X-Per-Page": "1", "X-Page": "2", "X-Next-Page": "3", "X-Prev-Page": "1"} {
			w.is(key, header.Get(key), want)
		}
		for _, rel := range []string{"prev", "next", "first", "last"} {
			w.true("Link with "+rel, strings.Contains(header.Get("Link"), `rel="`+rel+`"`))
		}
	}),
	prove("1.6-jobs-by-system-id", func(w *world) {
		j := w.running()
		header := w.admin("GET", at("runners/%d/jobs?system_id=s_CANARY", j.runner.ID), nil).Header
		w.is("X-Total", header.Get("X-Total"), "")
		w.is("X-Total-Pages", header.Get("X-Total-Pages"), "")
		w.is("X-Total without system_id", w.admin("GET", at("runners/%d/jobs", j.runner.ID), nil).Header.Get("X-Total"), "1")
	}),
	prove("1.6-jobs-keyset", func(w *world) {
		j := w.finished("success")
		second := w.take(given{project: j.project, runner: j.runner, pipeline: w.Pipeline(j.project, nil)})
		path := at("runners/%d/jobs?pagination=keyset&order_by=id&sort=desc&per_page=1", j.runner.ID)
		a := w.admin("GET", path, nil)
		w.is("first page", ids(w.objects(a)), []int64{second.ID})
		w.is("X-Total", a.Header.Get("X-Total"), "")
		link := a.Header.Get("Link")
		w.true("only the next page, by a cursor: "+link, strings.Count(link, "rel=") == 1 && strings.Contains(link, `rel="next"`) && strings.Contains(link, "cursor="))
		next := w.admin("GET", strings.TrimPrefix(linked(link), w.URL+"/api/v4/"), nil)
		w.is("second page", ids(w.objects(next)), []int64{j.ID})
	}),
	prove("1.6-managers-whole", func(w *world) {
		r := w.Runner("instance", 0, nil)
		for i := range 25 {
			w.want(w.anon("POST", "runners/verify", M{"token": r.Token, "system_id": at("s_CANARY%d", i)}), 200, "")
		}
		w.is("managers", len(w.managers(r.ID)), 25)
	}),
	prove("1.7-timestamps", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		spelled, _ := w.runner(r.ID)["contacted_at"].(string)
		w.true("contacted_at "+spelled, timestamp.MatchString(spelled))
	}),
	prove("1.7-expiry-null", func(w *world) {
		w.is("token_expires_at", w.object(w.verify(w.Runner("instance", 0, nil).Token), 200)["token_expires_at"], nil)
	}),
	prove("1.7-ids-are-numbers", func(w *world) {
		made := w.object(w.anon("POST", "runners", M{"token": w.instanceToken()}), 201)
		_, isNumber := made["id"].(float64)
		w.true("id", isNumber)
	}),
	prove("1.7-group-by-path", func(w *world) {
		path := name("team")
		id := w.Group(path, 0)
		w.is("id", w.object(w.admin("GET", "groups/"+path, nil), 200)["id"], id)
		w.want(w.admin("GET", "groups/"+path+"/runners", nil), 200, "")
	}),
	prove("1.7-project-by-path", func(w *world) {
		id, path := w.Project(name("app"), w.group(0))
		w.is("id", w.object(w.admin("GET", "projects/"+url.PathEscape(path), nil), 200)["id"], id)
		w.want(w.admin("GET", "projects/"+url.PathEscape(path)+"/runners", nil), 200, "")
	}),
}

var (
	timestamp   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	linkPattern = regexp.MustCompile(`<([^>]*)>; rel="next"`)
)

// linked is the address of the next page.
func linked(link string) string {
	if m := linkPattern.FindStringSubmatch(link); m != nil {
		return m[1]
	}
	return ""
}
