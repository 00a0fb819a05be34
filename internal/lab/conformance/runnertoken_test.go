package conformance_test

import "time"

// runnerTokenCases are sections 2 and 2.2 to 2.7: what a runner's own token opens.
var runnerTokenCases = []testCase{
	prove("2-parameters-before-token", func(w *world) {
		w.want(w.anon("POST", "runners/verify", M{"system_id": "s_CANARY"}), 400, tokenMissing)
		w.want(w.anon("POST", "runners/reset_authentication_token", M{}), 400, tokenMissing)
		w.want(w.anon("POST", "jobs/request", M{}), 400, tokenMissing)
	}),
	prove("2-backoff 1.3-too-many-text", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.Must(201, "POST", "features/lab_migrating_runners", M{"value": true}, nil)
		for _, a := range []answer{w.verify(r.Token), w.poll(r.Token), w.anon("DELETE", "runners", M{}), w.register(nil)} {
			w.want(a, 429, `{"message":"Executing database migrations. Please retry later."}`)
			w.is("Retry-After", a.Header.Get("Retry-After"), "60")
		}
	}).byItself(),
	prove("2.2-token-missing", func(w *world) { w.want(w.anon("POST", "runners/verify", M{}), 400, tokenMissing) }),
	prove("2.2-verified 2.2-json", func(w *world) {
		r := w.Runner("instance", 0, nil)
		a := w.verify(r.Token)
		found := w.object(a, 200)
		w.keys(found, "id", "token", "token_expires_at")
		w.is("id and token", []any{found["id"], found["token"]}, []any{r.ID, r.Token})
		w.is("Content-Type", a.Header.Get("Content-Type"), inJSON)
	}),
	prove("2.2-system-id-optional", func(w *world) {
		w.want(w.anon("POST", "runners/verify", M{"token": w.Runner("instance", 0, nil).Token}), 200, "")
	}),
	prove("2.2-legacy-manager", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.anon("POST", "runners/verify", M{"token": r.Token}), 200, "")
		found := w.managers(r.ID)
		w.true("one manager <legacy>", len(found) == 1 && found[0]["system_id"] == "<legacy>")
	}),
	prove("2.2-info-harmless", func(w *world) {
		w.want(w.anon("POST", "runners/verify", M{"token": w.Runner("instance", 0, nil).Token, "system_id": "s_CANARY", "info": info, "CANARY": 1}), 200, "")
	}),
	prove("2.2-unknown", func(w *world) { w.want(w.verify("glrt-CANARYunknown0000000"), 403, forbidden) }),
	prove("2.2-reset", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.renewed(r)
		w.want(w.verify(r.Token), 403, forbidden)
	}),
	prove("2.2-expired 2.5-expired 2.7-expiry-in-lookup 9-expired", func(w *world) {
		w.Setting(M{"runner_token_expiration_interval": 7200})
		r := w.Runner("instance", 0, nil)
		w.clock.advance(2 * time.Hour)
		w.want(w.verify(r.Token), 200, "")
		w.clock.advance(time.Second)
		w.want(w.verify(r.Token), 403, forbidden)
		w.want(w.poll(r.Token), 403, forbidden)
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": r.Token}), 403, forbidden)
		w.want(w.anon("DELETE", "runners", M{"token": r.Token}), 403, forbidden)
	}).byItself(),
	prove("2.2-orphan 3.1-orphan 1.3-unprocessable", func(w *world) {
		group, project := w.group(0), w.project(0)
		orphans := []issued{w.Runner("group", group, nil), w.Runner("project", project, nil)}
		w.Must(201, "POST", "features/lab_orphan_runners", M{"value": true}, nil)
		w.Must(201, "POST", "features/reject_orphaned_runners", M{"value": false}, nil)
		w.want(w.admin("DELETE", at("groups/%d", group), nil), 202, "")
		w.want(w.admin("DELETE", at("projects/%d", project), nil), 202, "")
		for _, r := range orphans {
			w.want(w.verify(r.Token), 422, `{"message":"Runner is orphaned"}`)
			w.want(w.poll(r.Token), 422, `{"message":"Runner is orphaned"}`)
		}
		w.Must(201, "POST", "features/reject_orphaned_runners", M{"value": true}, nil)
		w.want(w.verify(orphans[0].Token), 403, `{"message":"403 Forbidden - Runner is orphaned"}`)
	}).byItself(),
	prove("2.2-makes-manager 2.2-manager-described 2.7-manager-fields", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.is("before", w.managers(r.ID), []M{})
		w.want(w.anon("POST", "runners/verify", M{"token": r.Token, "system_id": "s_CANARY", "info": info}), 200, "")
		m := w.managers(r.ID)[0]
		w.is("manager", []any{m["system_id"], m["version"], m["revision"], m["platform"], m["architecture"]}, []any{"s_CANARY", "17.5.0", "abc", "linux", "amd64"})
	}),
	prove("2.2-created-untouched", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.is("contacted_at", w.runner(r.ID)["contacted_at"], nil)
	}),
	prove("2.2-created-touched", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.true("contacted_at", w.runner(r.ID)["contacted_at"] != nil)
	}),
	prove("2.2-registered-touched", func(w *world) {
		r := w.Register(nil)
		w.want(w.verify(r.Token), 200, "")
		w.true("contacted_at", w.runner(r.ID)["contacted_at"] != nil)
	}),
	prove("2.2-manager-never-contacted", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.is("verified", w.managers(r.ID)[0]["status"], "never_contacted")
		w.want(w.poll(r.Token), 204, "")
		w.is("polled", w.managers(r.ID)[0]["status"], "online")
	}),
	prove("2.2-paused", func(w *world) { w.want(w.verify(w.Runner("instance", 0, M{"paused": true}).Token), 200, "") }),
	prove("2.2-locked", func(w *world) {
		w.want(w.verify(w.Runner("project", w.project(0), M{"locked": true}).Token), 200, "")
	}),
	prove("2.3-deleted 2.3-whole-fleet", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token, M{"system_id": "s_other"}), 204, "")
		w.want(w.anon("DELETE", "runners", M{"token": r.Token}), 204, "")
		w.want(w.poll(r.Token, M{"system_id": "s_other"}), 403, forbidden)
		w.want(w.admin("GET", at("runners/%d", r.ID), nil), 404, lookupMiss)
	}),
	prove("2.3-token-missing", func(w *world) { w.want(w.anon("DELETE", "runners", M{}), 400, tokenMissing) }),
	prove("2.3-unknown", func(w *world) {
		w.want(w.anon("DELETE", "runners", M{"token": "glrt-CANARYunknown0000000"}), 403, forbidden)
	}),
	prove("2.3-no-contact", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("DELETE", "runners?token="+r.Token+"&system_id=s_CANARY", "", "", "If-Unmodified-Since", long), 412, "")
		w.is("managers", w.managers(r.ID), []M{})
		w.is("contacted_at", w.runner(r.ID)["contacted_at"], nil)
	}),
	prove("2.4-since 2.4-deleted", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.want(w.anon("DELETE", "runners/managers", M{"token": r.Token, "system_id": "s_CANARY"}), 204, "")
		w.want(w.anon("DELETE", "runners/managers", M{"token": r.Token, "system_id": "s_CANARY"}), 404, "")
		w.want(w.verify(r.Token), 200, "")
	}).elsewhere(noManagerRoute),
	prove("2.4-token-missing", func(w *world) { w.want(w.anon("DELETE", "runners/managers", M{"system_id": "s"}), 400, tokenMissing) }).elsewhere(noManagerRoute),
	prove("2.4-system-id-missing", func(w *world) {
		w.want(w.anon("DELETE", "runners/managers", M{"token": w.Runner("instance", 0, nil).Token}), 400, `{"error":"system_id is missing"}`)
		w.want(w.anon("DELETE", "runners/managers", M{"token": "CANARY"}), 400, `{"error":"system_id is missing"}`)
	}).elsewhere(noManagerRoute),
	prove("2.4-unknown-manager", func(w *world) {
		w.want(w.anon("DELETE", "runners/managers", M{"token": w.Runner("instance", 0, nil).Token, "system_id": "s_none"}), 404, `{"message":"404 Runner manager not found Not Found"}`)
	}).elsewhere(noManagerRoute),
	prove("2.4-unknown-token", func(w *world) {
		w.want(w.anon("DELETE", "runners/managers", M{"token": "CANARY", "system_id": "s_CANARY"}), 403, forbidden)
	}).elsewhere(noManagerRoute),
	prove("2.4-only-that-one", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.poll(r.Token, M{"system_id": "s_other"})
		w.want(w.anon("DELETE", "runners/managers", M{"token": r.Token, "system_id": "s_CANARY"}), 204, "")
		found := w.managers(r.ID)
		w.true("the other stays", len(found) == 1 && found[0]["system_id"] == "s_other")
	}),
	prove("2.4-precondition", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.want(w.send("DELETE", "runners/managers?system_id=s_CANARY&token="+r.Token, "", "", "If-Unmodified-Since", long), 412, "")
	}).elsewhere(noManagerRoute),
	prove("2.5-created 2.5-body 2.5-old-token-dies", func(w *world) {
		r := w.Runner("instance", 0, nil)
		a := w.anon("POST", "runners/reset_authentication_token", M{"token": r.Token})
		made := w.object(a, 201)
		w.keys(made, "token", "token_expires_at")
		w.is("Content-Type", a.Header.Get("Content-Type"), inJSON)
		w.want(w.poll(r.Token), 403, forbidden)
		token, _ := made["token"].(string)
		w.want(w.poll(token), 204, "")
	}),
	prove("2.5-token-missing", func(w *world) { w.want(w.anon("POST", "runners/reset_authentication_token", M{}), 400, tokenMissing) }),
	prove("2.5-unknown", func(w *world) {
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": "glrt-CANARYunknown0000000"}), 403, forbidden)
	}),
	prove("2.5-second-manager-loses 9-shared-token", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.poll(r.Token, M{"system_id": "s_other"})
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": r.Token}), 201, "")
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": r.Token}), 403, forbidden)
		w.want(w.poll(r.Token, M{"system_id": "s_other"}), 403, forbidden)
	}),
	prove("2.5-jobs-go-on 9-ui-reset", func(w *world) {
		j := w.running()
		w.renewed(j.runner)
		w.want(w.poll(j.runner.Token), 403, forbidden)
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		w.want(w.update(j, M{"state": "success"}), 200, "200")
	}),
	prove("2.5-expiry-recomputed", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.Setting(M{"runner_token_expiration_interval": 86400})
		made := w.object(w.anon("POST", "runners/reset_authentication_token", M{"token": r.Token}), 201)
		w.expires("a day", made["token_expires_at"], 24*time.Hour)
	}).byItself(),
	prove("2.5-deadline", func(w *world) {
		made := w.object(w.create(M{"token_expires_at": w.ahead(4 * time.Hour), "token_rotation_deadline": w.ahead(time.Hour)}), 201)
		w.clock.advance(2 * time.Hour)
		late := `{"error":"Token rotation deadline has passed"}`
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": made["token"]}), 403, late)
		w.want(w.admin("POST", at("runners/%d/reset_authentication_token", number(made["id"])), nil), 403, late)
	}).elsewhere(func(w *world) {
		made := w.object(w.create(M{"token_expires_at": w.ahead(4 * time.Hour), "token_rotation_deadline": w.ahead(time.Hour)}), 201)
		w.clock.advance(2 * time.Hour)
		w.want(w.anon("POST", "runners/reset_authentication_token", M{"token": made["token"]}), 201, "")
	}).byItself(),
	prove("2.6-served", func(w *world) {
		w.Must(201, "POST", "features/job_router", M{"value": true}, nil)
		w.Must(201, "POST", "features/job_router_instance_runners", M{"value": true}, nil)
		found := w.object(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", w.Runner("instance", 0, nil).Token), 200)
		w.keys(found, "server_url")
		w.true("a web socket", isPrefixed(found["server_url"], "ws"))
	}).beside("2.6-absent").byItself(),
	prove("2.6-absent", func(w *world) {
		w.want(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", w.Runner("instance", 0, nil).Token), 404, `{"error":"404 Not Found"}`)
	}).beside("2.6-since"),
	prove("2.6-since 2.6-not-available 2.6-unknown 2.6-header-only 2.6-no-contact", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", r.Token), 501, `{"message":"Job Router is not available. Please contact your administrator."}`)
		w.want(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", "glrt-CANARYunknown0000000"), 403, forbidden)
		w.want(w.send("GET", "runners/router/discovery?token="+r.Token, "", ""), 403, forbidden)
		w.is("managers", w.managers(r.ID), []M{})
		w.is("contacted_at", w.runner(r.ID)["contacted_at"], nil)
	}).beside("2.6-absent"),
	prove("2.7-any-type", func(w *world) {
		for _, r := range []issued{w.Runner("instance", 0, nil), w.Runner("group", w.group(0), nil), w.Runner("project", w.project(0), nil)} {
			w.want(w.verify(r.Token), 200, "")
		}
	}),
	prove("2.7-any-version 8-any-runner-version 8-unknown-fields", func(w *world) {
		r := w.Runner("instance", 0, nil)
		for _, version := range []string{"13.0.0", "19.9.0", "CANARY"} {
			w.want(w.poll(r.Token, M{"info": M{"version": version, "features": M{"CANARY_feature": true}, "CANARY": []int{}}, "CANARY": M{}}), 204, "")
		}
	}),
	prove("2.7-job-calls-contact 2.7-artifacts-no-contact", func(w *world) {
		j := w.running()
		seen := func() any { return w.runner(j.runner.ID)["contacted_at"] }
		first := seen()
		w.clock.advance(20 * time.Minute)
		w.want(w.upload(j, "CANARY"), 201, "")
		w.is("after an upload", seen(), first)
		w.want(w.trace(j, "0-5", "CANARY"), 202, "")
		second := seen()
		w.true("after a trace", second != first)
		w.clock.advance(20 * time.Minute)
		w.want(w.update(j, M{"state": "running"}), 200, "")
		w.true("after an update", seen() != second)
	}).byItself(),
	prove("2.7-manager-address", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("POST", "runners/verify", inForm, "system_id=s_CANARY&token="+r.Token, "X-Forwarded-For", "203.0.113.7, 10.0.0.1"), 200, "")
		w.is("ip_address", w.managers(r.ID)[0]["ip_address"], "203.0.113.7")
	}),
	prove("2.7-system-id-length", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token, M{"system_id": tags64}), 204, "")
		w.true("65 characters are refused", w.poll(r.Token, M{"system_id": tags64 + "x"}).Status >= 400)
	}),
}

const tags64 = "s_CANARY00000000000000000000000000000000000000000000000000000000"

var info = M{"name": "gitlab-runner", "version": "17.5.0", "revision": "abc", "platform": "linux", "architecture": "amd64", "executor": "shell"}

// renewed resets a runner's token as an administrator does.
func (w *world) renewed(r issued) issued {
	var made issued
	w.Must(201, "POST", at("runners/%d/reset_authentication_token", r.ID), nil, &made)
	made.ID = r.ID
	return made
}

// expires says whether a time is so far from now, give or take a minute.
func (w *world) expires(what string, spelled any, ahead time.Duration) {
	text, _ := spelled.(string)
	end, err := time.Parse(time.RFC3339, text)
	now := time.Now()
	if w.clock != nil {
		now = w.clock.now()
	}
	if off := end.Sub(now) - ahead; err != nil || off < -time.Minute || off > time.Minute {
		w.Errorf("%s: got %v, want %s from now", what, spelled, ahead)
	}
}
