package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// envelopeCases are sections 1.3 to 1.5: refusals to the byte, conditional
// deletes, rate limits.
var envelopeCases = []testCase{
	prove("1.3-forbidden 1.3-access-denied", func(w *world) {
		_, token := w.person()
		w.want(w.Call("GET", "runners/all", token, nil), 403, forbidden)
	}),
	prove("1.3-forbidden-reason", func(w *world) {
		_, token := w.person()
		w.want(w.Call("GET", at("runners/%d", w.Runner("project", w.project(0), nil).ID), token, nil), 403, noAccess)
	}),
	prove("1.3-not-found-resource", func(w *world) {
		w.want(w.admin("GET", "projects/99999999/runners", nil), 404, `{"message":"404 Project Not Found"}`)
		w.want(w.admin("GET", "groups/99999999/runners", nil), 404, `{"message":"404 Group Not Found"}`)
	}),
	prove("1.3-bad-request", func(w *world) {
		w.want(w.admin("POST", "user/runners", M{"runner_type": "group_type", "group_id": 99999999}), 400, `{"message":"400 Bad request - Missing/invalid group"}`)
	}),
	prove("1.3-unauthorized", func(w *world) { w.want(w.anon("GET", "runners", nil), 401, unauthorized) }),
	prove("1.3-conflict", func(w *world) { w.localSession() }),
	prove("1.3-precondition", func(w *world) {
		w.want(w.deleteIf(at("runners/%d", w.Runner("instance", 0, nil).ID), long), 412, `{"message":"412 Precondition Failed"}`)
	}),
	prove("1.3-too-large", func(w *world) {
		w.Setting(M{"max_artifacts_size": 1})
		j := w.running()
		w.want(w.upload(j, strings.Repeat("x", 1<<20+1<<19)), 413, `{"message":"413 Request Entity Too Large"}`)
	}).byItself(),
	prove("1.3-too-many-application", func(w *world) {
		w.Setting(M{"runner_jobs_request_api_limit": 1})
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		a := w.poll(r.Token)
		w.want(a, 429, `{"message":{"error":"This endpoint has been requested too many times. Try again later."}}`)
		w.is("Retry-After", a.Header.Get("Retry-After"), "60")
	}).elsewhere(func(w *world) {
		w.Setting(M{"runner_jobs_request_api_limit": 1})
		r := w.Runner("instance", 0, nil)
		w.want(w.poll(r.Token), 204, "")
		w.want(w.poll(r.Token), 204, "")
	}).byItself(),
	prove("1.3-model", func(w *world) {
		w.want(w.anon("POST", "runners", M{"token": w.instanceToken(), "maximum_timeout": 599}), 400, `{"message":{"maximum_timeout":["needs to be at least 10 minutes"]}}`)
	}),
	prove("1.3-parameter 1.3-grape-missing", func(w *world) { w.want(w.anon("POST", "runners/verify", M{}), 400, tokenMissing) }),
	prove("1.3-parameters-joined", func(w *world) {
		w.want(w.anon("POST", "runners", M{"locked": "perhaps", "access_level": "x"}), 400, "")
		a := w.anon("POST", "runners", M{"locked": "perhaps"})
		w.want(a, 400, `{"error":"token is missing, locked is invalid"}`)
	}),
	prove("1.3-raw-error", func(w *world) {
		j := w.running()
		w.want(w.send("PATCH", at("jobs/%d/trace", j.ID), "text/plain", "x", "JOB-TOKEN", j.Token), 400, `{"error":"400 Missing header Content-Range"}`)
	}),
	prove("1.3-insufficient-scope", func(w *world) {
		_, token := w.person("read_api")
		found := w.object(w.Call("POST", "user/runners", token, M{"runner_type": "instance_type"}), 403)
		w.is("error", found["error"], "insufficient_scope")
		w.is("description", found["error_description"], "The request requires higher privileges than provided by the access token.")
		accepted, _ := found["scope"].(string)
		w.true("accepted scopes", strings.Contains(accepted, "api") && strings.Contains(accepted, "create_runner"))
	}),
	prove("1.3-expired", func(w *world) {
		made := w.object(w.admin("POST", "users/1/personal_access_tokens", M{"name": "n", "scopes": []string{"api"},
			"expires_at": w.clock.now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)}), 201)
		token, _ := made["token"].(string)
		w.want(w.Call("GET", "user", token, nil), 200, "")
		w.clock.advance(3 * 24 * time.Hour)
		a := w.Call("GET", "user", token, nil)
		w.want(a, 401, `{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}`)
		w.true("WWW-Authenticate begins with Bearer", strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer "))
	}).byItself(),
	prove("1.3-revoked", func(w *world) {
		_, token := w.person("api")
		w.want(w.Call("DELETE", "personal_access_tokens/self", token, nil), 204, "")
		w.want(w.Call("GET", "user", token, nil), 401, `{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}`)
	}),
	prove("1.3-unknown-token-status", func(w *world) { w.want(w.Call("GET", "user", "glpat-CANARYunknown", nil), 401, "") }),
	prove("1.3-unhandled", func(w *world) {
		// which requests fail is not known; that this one does is the lab's
		r := w.Runner("instance", 0, nil)
		w.want(w.anon("POST", "jobs/request", M{"token": r.Token, "system_id": strings.Repeat("s", 65)}), 500, `{"message":"500 Internal Server Error"}`)
	}),
	prove("1.3-unknown-route", func(w *world) {
		w.want(w.anon("GET", "no/such/route", nil), 404, `{"error":"404 Not Found"}`)
		w.want(w.admin("POST", "runners/1/nothing", M{}), 404, `{"error":"404 Not Found"}`)
	}),
	prove("1.3-lookup-miss", func(w *world) { w.want(w.admin("GET", "runners/99999999", nil), 404, lookupMiss) }),
	prove("1.3-wrong-method", func(w *world) {
		found := w.object(w.admin("PATCH", "runners/verify", M{}), http.StatusMethodNotAllowed)
		_, text := found["error"].(string)
		w.true("a text under error", text && len(found) == 1)
	}),
	prove("1.3-api-v3", func(w *world) {
		w.want(w.send("GET", "/api/v3/projects", "", ""), 410, `{"error":"API V3 is no longer supported. Use API V4 instead."}`)
	}),
	prove("1.3-digits-200", func(w *world) {
		j := w.running()
		w.want(w.update(j, M{"state": "running"}), 200, "200")
	}),
	prove("1.3-digits-201", func(w *world) {
		j := w.running()
		w.want(w.upload(j, "CANARY"), 201, "201")
	}),
	prove("1.3-no-content", func(w *world) {
		a := w.admin("DELETE", at("runners/%d", w.Runner("instance", 0, nil).ID), nil)
		w.true("204 without a body", a.Status == 204 && a.Body == "")
	}),
	prove("1.3-grape-type", func(w *world) {
		w.want(w.anon("POST", "runners", M{"token": garbage, "maximum_timeout": "soon"}), 400, `{"error":"maximum_timeout is invalid"}`)
	}),
	prove("1.3-grape-enum", func(w *world) {
		w.want(w.anon("POST", "runners", M{"token": garbage, "access_level": "x"}), 400, `{"error":"access_level does not have a valid value"}`)
	}),
	prove("1.3-grape-missing-enum", func(w *world) {
		w.want(w.admin("POST", "user/runners", M{}), 400, `{"error":"runner_type is missing, runner_type does not have a valid value"}`)
	}),
	prove("1.4-runner", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.deleteIf(at("runners/%d", r.ID), long), 412, "")
		w.runner(r.ID)
	}),
	prove("1.4-by-token", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("DELETE", "runners?token="+r.Token, "", "", "If-Unmodified-Since", long), 412, "")
		w.want(w.verify(r.Token), 200, "")
	}),
	prove("1.4-assignment", func(w *world) {
		r, second := w.sharedRunner()
		w.want(w.deleteIf(at("projects/%d/runners/%d", second, r.ID), long), 412, "")
		w.want(w.deleteIf(at("projects/%d/runners/%d", second, r.ID), soon()), 204, "")
	}),
	prove("1.4-unparsable", func(w *world) {
		w.want(w.deleteIf(at("runners/%d", w.Runner("instance", 0, nil).ID), "the day before"), 204, "")
	}),
	prove("1.4-passes", func(w *world) { w.want(w.deleteIf(at("runners/%d", w.Runner("instance", 0, nil).ID), soon()), 204, "") }),
	prove("1.5-off-by-default", func(w *world) {
		for header := range w.admin("GET", "version", nil).Header {
			w.true(header, !strings.HasPrefix(header, "Ratelimit-"))
		}
	}),
	prove("1.5-headers", func(w *world) {
		w.Setting(throttle(1000))
		header := w.admin("GET", "version", nil).Header
		for _, part := range []string{"Limit", "Name", "Observed", "Remaining", "Reset"} {
			w.true("RateLimit-"+part, header.Get("RateLimit-"+part) != "")
		}
	}).byItself(),
	prove("1.5-refused 1.3-too-many-rack", func(w *world) {
		w.Setting(throttle(1))
		w.admin("GET", "version", nil)
		a := w.admin("GET", "version", nil)
		w.want(a, 429, "")
		w.is("body", strings.TrimSpace(a.Body), "Retry later")
		w.true("text/plain", strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain"))
		_, err := http.ParseTime(a.Header.Get("RateLimit-ResetTime"))
		w.true("RateLimit-ResetTime and Retry-After", err == nil && a.Header.Get("Retry-After") != "")
	}).byItself(),
	prove("1.5-application-limiter-silent", func(w *world) {
		w.Setting(M{"runner_jobs_request_api_limit": 1})
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		a := w.poll(r.Token)
		w.want(a, 429, "")
		w.is("RateLimit-Limit", a.Header.Get("RateLimit-Limit"), "")
	}).elsewhere(func(w *world) {
		w.Setting(M{"runner_jobs_request_api_limit": 1})
		r := w.Runner("instance", 0, nil)
		w.poll(r.Token)
		w.want(w.poll(r.Token), 204, "")
	}).byItself(),
}

// long is an old date.
const long = "Mon, 01 Jan 2001 00:00:00 GMT"

func soon() string { return time.Now().Add(time.Hour).UTC().Format(http.TimeFormat) }

func (w *world) deleteIf(path, unmodifiedSince string) answer {
	return w.send("DELETE", path, "", "", "PRIVATE-TOKEN", w.Admin, "If-Unmodified-Since", unmodifiedSince)
}

// throttle turns the general throttle of users on.
func throttle(requests int) M {
	return M{"throttle_authenticated_api_enabled": true, "throttle_authenticated_api_requests_per_period": requests, "throttle_authenticated_api_period_in_seconds": 3600}
}

// sharedRunner is a project runner of two projects; the second is returned.
func (w *world) sharedRunner() (issued, int64) {
	first, second := w.project(0), w.project(0)
	r := w.Runner("project", first, nil)
	w.Must(201, "POST", fmt.Sprintf("projects/%d/runners", second), M{"runner_id": r.ID}, nil)
	return r, second
}
