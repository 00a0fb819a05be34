package conformance_test

import (
	"os"
	"path/filepath"
	"time"

	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
)

// lifecycleCases are section 9: scenarios, and the arithmetic of status and expiry.
var lifecycleCases = []testCase{
	prove("9-upgrade-keeps-tokens 9-upgrade-keeps-settings", func(w *world) {
		project := w.project(0)
		old := []issued{w.Runner("instance", 0, nil), w.Runner("project", project, nil), w.Register(nil)}
		w.Setting(M{"runner_token_expiration_interval": day})
		w.reopen("19.3")
		for _, r := range old {
			w.want(w.verify(r.Token), 200, "")
			w.want(w.poll(r.Token), 204, "")
		}
		w.is("setting", w.settings()["runner_token_expiration_interval"], day)
		w.want(w.register(nil), 201, "")
	}).byItself(),
	prove("9-reset-takes-new-shape", func(w *world) {
		old := labtest.Start(w.witness, labtest.Options{Version: "15.11", Profile: lab.ProfileSelfManaged})
		r := old.Register(nil)
		dir := filepath.Dir(old.InfoPath())
		old.Stop()
		w.options.Dir = dir
		w.reopen(w.options.Version)
		w.want(w.verify(r.Token), 200, "")
		w.true("glrtr-", isPrefixed(w.renewed(r).Token, "glrtr-"))
	}).byItself(),
	prove("9-expiry-later 9-expiry-lowered 9-expiry-on-reset", func(w *world) {
		r := w.Runner("instance", 0, nil)
		for _, interval := range []int{2 * day, day} {
			w.Setting(M{"runner_token_expiration_interval": interval})
			w.is("unchanged", w.object(w.verify(r.Token), 200)["token_expires_at"], nil)
		}
		r = w.renewed(r)
		w.expires("at the reset", r.ExpiresAt, 24*time.Hour)
		w.Setting(M{"runner_token_expiration_interval": 7200})
		w.expires("lowered", w.object(w.verify(r.Token), 200)["token_expires_at"], 24*time.Hour)
	}).byItself(),
	prove("9-manager-recreated", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.want(w.anon("DELETE", "runners/managers", M{"token": r.Token, "system_id": "s_CANARY"}), 204, "")
		w.is("deleted", w.managers(r.ID), []M{})
		w.want(w.poll(r.Token), 204, "")
		w.is("again", len(w.managers(r.ID)), 1)
	}),
	prove("9-group-deleted", func(w *world) {
		group := w.group(0)
		r := w.Runner("group", group, nil)
		w.want(w.admin("DELETE", at("groups/%d", group), nil), 202, "")
		w.want(w.verify(r.Token), 403, "")
	}),
	prove("9-project-moved", func(w *world) {
		from, to := w.group(0), w.group(0)
		project, _ := w.Project(name("app"), from)
		tag := M{"tag_list": name("tag")}
		own, left, joined := w.Runner("project", project, tag), w.Runner("group", from, tag), w.Runner("group", to, tag)
		path := at("projects/%d/runners", project)
		w.is("before", ids(w.tagList(path, tag, "")), []int64{left.ID, own.ID})
		w.want(w.admin("PUT", at("projects/%d/transfer", project), M{"namespace": to}), 200, "")
		w.is("after", ids(w.tagList(path, tag, "")), []int64{joined.ID, own.ID})
	}),
	prove("9-other-instance", func(w *world) {
		other := labtest.Start(w.witness, labtest.Options{Version: w.options.Version})
		w.want(w.verify(other.Runner("instance", 0, nil).Token), 403, forbidden)
	}).byItself(),
	prove("9-secrets-lost", func(w *world) {
		tokens := []string{w.Runner("instance", 0, nil).Token, w.Register(nil).Token}
		w.Stop()
		if err := os.Remove(filepath.Join(w.options.Dir, "secrets.json")); err != nil {
			w.Fatal(err)
		}
		w.reopen(w.options.Version)
		for _, token := range tokens {
			w.want(w.verify(token), 403, forbidden)
			w.want(w.poll(token), 403, forbidden)
			w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": token}), 403, forbidden)
		}
		w.want(w.verify(w.Runner("instance", 0, nil).Token), 200, "")
	}).byItself(),
	prove("9-restored", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.Stop()
		earlier := w.options.Dir + "-earlier"
		if err := os.CopyFS(earlier, os.DirFS(w.options.Dir)); err != nil {
			w.Fatal(err)
		}
		w.reopen(w.options.Version)
		replaced, later := w.renewed(r), w.Runner("instance", 0, nil)
		w.Stop()
		w.options.Dir = earlier
		w.reopen(w.options.Version)
		w.want(w.verify(r.Token), 200, "")
		w.want(w.verify(replaced.Token), 403, forbidden)
		w.want(w.verify(later.Token), 403, forbidden)
	}).byItself(),
	prove("9-stale-runners-stay", func(w *world) {
		shared, own := w.Runner("instance", 0, nil), w.Runner("project", w.project(0), nil)
		w.clock.advance(200 * 24 * time.Hour)
		if _, err := w.Upkeep(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.is("status", []any{w.runner(shared.ID)["status"], w.runner(own.ID)["status"]}, []any{"stale", "stale"})
		w.want(w.verify(own.Token), 200, "")
	}).byItself(),
	prove("9-stale-group-runners", func(w *world) {
		pruned, kept := w.group(0), w.group(0)
		w.Must(200, "PUT", at("groups/%d", pruned), M{"lab_allow_stale_runner_pruning": true}, nil)
		gone, stays := w.Runner("group", pruned, nil), w.Runner("group", kept, nil)
		w.clock.advance(100 * 24 * time.Hour)
		if _, err := w.Upkeep(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.want(w.verify(gone.Token), 403, forbidden)
		w.want(w.verify(stays.Token), 200, "")
	}).byItself(),
	prove("9-stale-managers", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		w.clock.advance(6 * 24 * time.Hour)
		w.want(w.poll(r.Token, M{"system_id": "s_other"}), 204, "")
		w.clock.advance(2 * 24 * time.Hour)
		w.want(w.poll(r.Token, M{"system_id": "s_other"}), 204, "")
		if _, err := w.Upkeep(w.Context()); err != nil { // the periodic job
			w.Fatal(err)
		}
		found := w.managers(r.ID)
		w.true("only the live one is left", len(found) == 1 && found[0]["system_id"] == "s_other")
	}).byItself(),
	prove("9-online 9-offline 9-never-contacted 9-contact-fresh", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.shows(r, "never_contacted", nil)
		w.poll(r.Token)
		w.shows(r, "online", true)
		w.clock.advance(2*time.Hour - time.Second)
		w.shows(r, "online", true)
		w.clock.advance(time.Second)
		w.shows(r, "offline", false)
		w.poll(r.Token)
		w.clock.advance(10 * time.Minute)
		w.poll(r.Token)
		w.clock.advance(2*time.Hour - 5*time.Minute)
		w.shows(r, "online", true)
	}).byItself(),
	prove("9-stale-week 9-stale-first", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.clock.advance(7*24*time.Hour - time.Second)
		w.is("a second before", w.runner(r.ID)["status"], "offline")
		w.Must(200, "PUT", at("runners/%d", r.ID), M{"paused": true}, nil)
		w.is("paused", w.runner(r.ID)["status"], "paused")
		w.clock.advance(time.Second)
		w.is("a week", w.runner(r.ID)["status"], "stale")
	}).byItself(),
	prove("9-stale-months", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.clock.advance(80 * 24 * time.Hour)
		w.is("80 days", w.runner(r.ID)["status"], "offline")
		w.clock.advance(20 * 24 * time.Hour)
		w.is("100 days", w.runner(r.ID)["status"], "stale")
	}).byItself(),
	prove("9-stale-uncontacted", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.clock.advance(7*24*time.Hour - time.Second)
		w.is("a second before", w.runner(r.ID)["status"], "never_contacted")
		w.clock.advance(time.Second)
		w.is("a week", w.runner(r.ID)["status"], "stale")
	}).byItself(),
	prove("9-first-contact-written", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.true("contacted_at", w.runner(r.ID)["contacted_at"] != nil)
	}),
	prove("9-manager-status", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.clock.advance(3 * time.Hour)
		w.poll(r.Token, M{"system_id": "s_other"})
		for _, m := range w.managers(r.ID) {
			w.is(at("%v", m["system_id"]), m["status"], map[any]string{"s_CANARY": "offline", "s_other": "online"}[m["system_id"]])
		}
	}).byItself(),
	prove("9-expiry-explicit-once", func(w *world) {
		made := w.object(w.create(M{"token_expires_at": w.ahead(time.Hour)}), 201)
		w.expires("an hour", made["token_expires_at"], time.Hour)
		w.is("after a reset", w.renewed(issued{ID: number(made["id"])}).ExpiresAt, "")
	}).beside("4.1-expires-at-ignored"),
}

// shows compares a runner's status and online.
func (w *world) shows(r issued, status string, online any) {
	got := w.runner(r.ID)
	w.is("status and online", []any{got["status"], got["online"]}, []any{status, online})
}

// reopen ends the lab and starts it again in a version.
func (w *world) reopen(version string) {
	w.Stop()
	w.options.Version = version
	w.Lab = labtest.Start(w.witness, w.options)
}
