package conformance_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/url"
	"strings"

	"rekey/internal/lab/labtest"
)

const (
	inJSON = "application/json"
	inForm = "application/x-www-form-urlencoded"
)

// conventionCases are section 1.1: credentials and parameters.
var conventionCases = []testCase{
	prove("1.1-private-token-header", func(w *world) {
		w.want(w.send("GET", "user", "", "", "PRIVATE-TOKEN", w.Admin), 200, "")
	}),
	prove("1.1-bearer", func(w *world) {
		w.want(w.send("GET", "user", "", "", "Authorization", "Bearer "+w.Admin), 200, "")
		w.want(w.send("GET", "user", "", "", "Authorization", "Bearer CANARYunknown"), 401, "")
	}),
	prove("1.1-private-token-query", func(w *world) {
		w.want(w.send("GET", "user?private_token="+w.Admin, "", ""), 200, "")
	}),
	prove("1.1-private-token-form", func(w *world) {
		w.want(w.send("POST", "user/runners", inForm, "runner_type=instance_type&private_token="+w.Admin), 201, "")
	}),
	prove("1.1-project-access-token", func(w *world) {
		token := w.bot("projects", w.project(0), maintainer, "api")
		w.want(w.Call("GET", "user", token, nil), 200, "")
	}),
	prove("1.1-group-access-token", func(w *world) {
		token := w.bot("groups", w.group(0), owner, "api")
		w.want(w.Call("GET", "user", token, nil), 200, "")
	}),
	prove("1.1-job-token-not-everywhere", func(w *world) {
		j := w.running()
		w.want(w.send("GET", "runners", "", "", "JOB-TOKEN", j.Token), 401, unauthorized)
	}),
	prove("1.1-runner-token-header-ignored", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("POST", "runners/verify", inJSON, "{}", "RUNNER-TOKEN", r.Token), 400, tokenMissing)
	}),
	prove("1.1-registration-token-one-route", func(w *world) {
		token := w.Info.RegistrationTokens["instance"]
		w.want(w.verify(token), 403, forbidden)
		w.want(w.Call("GET", "user", token, nil), 401, "")
		w.want(w.anon("POST", "runners", M{"token": token}), 201, "")
	}),
	prove("1.1-job-token-header 1.1-job-token-param", func(w *world) {
		j := w.running()
		w.want(w.send("PATCH", at("jobs/%d/trace", j.ID), "text/plain", "a", "JOB-TOKEN", j.Token, "Content-Range", "0-0"), 202, "")
		w.want(w.send("PATCH", at("jobs/%d/trace?token=%s", j.ID, j.Token), "text/plain", "b", "Content-Range", "1-1"), 202, "")
	}),
	prove("1.1-json 1.1-tag-list-array", func(w *world) {
		w.tagged(w.send("POST", "runners", inJSON, fmt.Sprintf(`{"token":%q,"tag_list":["a","b"]}`, w.instanceToken())))
	}),
	prove("1.1-form 1.1-tag-list-commas", func(w *world) {
		w.tagged(w.send("POST", "runners", inForm, "token="+w.instanceToken()+"&tag_list="+url.QueryEscape(" a , b ")))
	}),
	prove("1.1-tag-list-repeated", func(w *world) {
		w.tagged(w.send("POST", "runners", inForm, "token="+w.instanceToken()+"&tag_list[]=a&tag_list[]=b"))
	}),
	prove("1.1-multipart", func(w *world) {
		kind, body := multipartForm("token", w.instanceToken(), "tag_list", "a,b")
		w.tagged(w.send("POST", "runners", kind, body))
	}),
	prove("1.1-query", func(w *world) {
		w.tagged(w.send("POST", "runners?tag_list=a,b&token="+w.instanceToken(), "", ""))
	}),
	prove("1.1-put-form", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("PUT", at("runners/%d", r.ID), inForm, "tag_list=a,b", "PRIVATE-TOKEN", w.Admin), 200, "")
		w.is("tags", w.runner(r.ID)["tag_list"], []string{"a", "b"})
	}),
	prove("1.1-delete-json-body", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("DELETE", "runners", inJSON, fmt.Sprintf(`{"token":%q}`, r.Token)), 204, "")
		w.want(w.verify(r.Token), 403, forbidden)
	}),
	prove("1.1-delete-manager-json-body", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.verify(r.Token), 200, "")
		w.want(w.send("DELETE", "runners/managers", inJSON, fmt.Sprintf(`{"token":%q,"system_id":"s_CANARY"}`, r.Token)), 204, "")
	}).elsewhere(noManagerRoute),
	prove("1.1-delete-query", func(w *world) {
		r := w.Runner("instance", 0, nil)
		w.want(w.send("DELETE", "runners?token="+r.Token, "", ""), 204, "")
	}),
	prove("1.1-unknown-ignored", func(w *world) {
		w.want(w.anon("POST", "runners", M{"token": w.instanceToken(), "CANARY": []int{1}}), 201, "")
		w.want(w.admin("POST", "user/runners", M{"runner_type": "instance_type", "CANARY": M{"a": 1}}), 201, "")
	}),
	prove("1.1-blank-dropped-register", func(w *world) {
		made := w.object(w.anon("POST", "runners", M{"token": w.instanceToken(), "maximum_timeout": "", "description": ""}), 201)
		w.is("timeout", w.runner(number(made["id"]))["maximum_timeout"], nil)
	}),
	prove("1.1-blank-dropped-create", func(w *world) {
		made := w.object(w.admin("POST", "user/runners", M{"runner_type": "instance_type", "maximum_timeout": "", "tag_list": ""}), 201)
		w.is("timeout", w.runner(number(made["id"]))["maximum_timeout"], nil)
	}),
	prove("1.1-false-kept-create", func(w *world) {
		made := w.object(w.admin("POST", "user/runners", M{"runner_type": "instance_type", "run_untagged": false, "tag_list": "a"}), 201)
		w.is("run_untagged", w.runner(number(made["id"]))["run_untagged"], false)
	}),
}

func (w *world) instanceToken() string { return w.Info.RegistrationTokens["instance"] }

// tagged is a registration that must have made a runner with the tags a and b.
func (w *world) tagged(a labtest.Answer) {
	made := w.object(a, 201)
	w.is("tags", w.runner(number(made["id"]))["tag_list"], []string{"a", "b"})
}

func number(v any) int64 { f, _ := v.(float64); return int64(f) }

// bot is a project or group access token.
func (w *world) bot(kind string, id int64, level int, scopes ...string) string {
	made := w.object(w.admin("POST", at("%s/%d/access_tokens", kind, id), M{"name": "bot", "scopes": scopes, "access_level": level,
		"expires_at": w.tomorrow()}), 201)
	token, _ := made["token"].(string)
	return token
}

func multipartForm(fields ...string) (string, string) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = form.WriteField(fields[i], fields[i+1])
	}
	_ = form.Close()
	return form.FormDataContentType(), body.String()
}

func noManagerRoute(w *world) {
	// before the route was there its path was that of a runner's id
	a := w.anon("DELETE", "runners/managers", M{"token": w.Runner("instance", 0, nil).Token, "system_id": "s_CANARY"})
	w.true("neither deleted nor looked for", a.Status == 401 || a.Body == `{"error":"404 Not Found"}`)
}

func isPrefixed(text any, prefix string) bool {
	s, _ := text.(string)
	return strings.HasPrefix(s, prefix)
}
