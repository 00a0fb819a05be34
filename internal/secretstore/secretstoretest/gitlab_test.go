package secretstoretest_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/lab/labtest"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/secretstoretest"
)

func wants(t *testing.T, what string, err error, kind rekey.Kind, texts ...string) {
	t.Helper()
	if err == nil || rekey.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %s", what, err, kind)
		return
	}
	secretstoretest.Sweep(t, err)
	for _, text := range texts {
		if !strings.Contains(err.Error()+"\n"+rekey.HintOf(err), text) {
			t.Errorf("%s: got %q, hint %q, want %q", what, err, rekey.HintOf(err), text)
		}
	}
}

// variable reads a variable as GitLab has it.
func variable(l *labtest.Lab, path string) map[string]any {
	var v map[string]any
	l.Must(200, "GET", path, nil, &v)
	return v
}

func mustPut(t *testing.T, s secretstore.Store, r secretstore.Ref, value rekey.Token, meta secretstore.Metadata) {
	t.Helper()
	if _, err := s.Put(t.Context(), r, value, secretstore.Put{Meta: meta}); err != nil {
		t.Fatalf("Put %s: %v\n%s", r, err, rekey.HintOf(err))
	}
}

// TestVariableAttributes: a new variable is masked and raw; one that is there keeps
// what the reference does not name, and what a person wrote.
func TestVariableAttributes(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	id, path := l.Project("web", 0)
	s, base := gitlabStore(t, l.URL, l.Admin), fmt.Sprintf("projects/%d/variables", id)
	r := ref(t, "gitlab-var://%s/RUNNER_TOKEN", path)
	mustPut(t, s, r, secretstoretest.Token(1), secretstore.Metadata{RunnerID: 7})
	if v := variable(l, base+"/RUNNER_TOKEN"); v["masked"] != true || v["raw"] != true || v["protected"] != false || v["environment_scope"] != "*" || v["description"] != `rekey: {"runner_id":"7"}` {
		t.Errorf("a new variable: got %v", v)
	}
	l.Must(200, "PUT", base+"/RUNNER_TOKEN", labtest.M{"protected": true, "description": "ask Ann first", "masked": false}, nil)
	mustPut(t, s, r.Having("raw", "false"), secretstoretest.Token(2), secretstore.Metadata{RunnerID: 8})
	if v := variable(l, base+"/RUNNER_TOKEN"); v["value"] != secretstoretest.Token(2).Reveal() || v["masked"] != false || v["raw"] != false || v["protected"] != true || v["description"] != "ask Ann first" {
		t.Errorf("a variable that was there: got %v", v)
	}
}

func TestHiddenVariable(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	id, path := l.Project("web", 0)
	s := gitlabStore(t, l.URL, l.Admin)
	r := ref(t, "gitlab-var://%s/HIDDEN?hidden=true", path)
	mustPut(t, s, r, secretstoretest.Token(1), secretstore.Metadata{})
	if v := variable(l, fmt.Sprintf("projects/%d/variables/HIDDEN", id)); v["hidden"] != true || v["masked"] != true {
		t.Errorf("got %v, want hidden", v)
	}
	_, err := s.Get(t.Context(), r, "")
	wants(t, "Get of a hidden variable", err, rekey.KindDenied, "to jobs alone", "masked, not hidden")
	mustPut(t, s, r, secretstoretest.Token(2), secretstore.Metadata{})
}

// TestVariableRefusals: scope, role, mask and ambiguity are told apart.
func TestVariableRefusals(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.11"})
	id, path := l.Project("web", 0)
	s := gitlabStore(t, l.URL, l.Admin)
	r := ref(t, "gitlab-var://%s/T", path)
	_, err := s.Put(t.Context(), r, rekey.NewToken("glrt-CANARYaaaaaaaaaaaaaa\n"), secretstore.Put{})
	wants(t, "a newline in a masked variable", err, rekey.KindInvalid, "cannot mask", "newline")
	mustPut(t, s, r, secretstoretest.Token(1), secretstore.Metadata{})
	developer := l.User("developer")
	l.Member("projects", id, developer, 30)
	_, err = gitlabStore(t, l.URL, l.PAT(developer, "api")).Get(t.Context(), r, "")
	wants(t, "a developer", err, rekey.KindDenied, "Maintainer of the project")
	_, err = gitlabStore(t, l.URL, l.PAT(developer, "create_runner")).Get(t.Context(), r, "")
	wants(t, "another scope", err, rekey.KindDenied, "scope")
	_, err = s.Get(t.Context(), ref(t, "gitlab-var://nobody/nothing/T"), "")
	wants(t, "no such project or group", err, rekey.KindNotFound)
	_, err = s.Put(t.Context(), ref(t, "gitlab-var://nobody/nothing/T"), secretstoretest.Token(1), secretstore.Put{})
	wants(t, "Put to no such project or group", err, rekey.KindNotFound)
	_, err = s.Get(t.Context(), r.Having("env", "production"), "")
	wants(t, "another environment", err, rekey.KindNotFound, "in the scope production")
	_, err = s.Put(t.Context(), ref(t, "gitlab-var://%s/BAD-KEY", path), secretstoretest.Token(1), secretstore.Put{})
	wants(t, "a bad key", err, rekey.KindInvalid, "letters, digits")
}

// TestVariablesOfEnvironments: each scope is a secret of its own.
func TestVariablesOfEnvironments(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "16.11"})
	_, path := l.Project("web", 0)
	s := gitlabStore(t, l.URL, l.Admin)
	all := ref(t, "gitlab-var://%s/T", path)
	for i, env := range []string{"", "production", "review/*"} {
		mustPut(t, s, all.Having("env", env), secretstoretest.Token(i), secretstore.Metadata{})
	}
	for i, env := range []string{"", "production", "review/*"} {
		if got, err := s.Get(t.Context(), all.Having("env", env), ""); err != nil || got.Value != secretstoretest.Token(i) {
			t.Errorf("scope %q: %v, %v, want %v", env, got.Value, err, secretstoretest.Token(i))
		}
	}
	listed, err := s.List(t.Context(), place(t, "gitlab-var://%s", path))
	if err != nil || len(listed) != 3 || listed[2].Ref != all.Having("env", "review/*") {
		t.Errorf("List: %v, %v", listed, err)
	}
	if err := s.Delete(t.Context(), all.Having("env", "production")); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), all, ""); err != nil {
		t.Errorf("after the deletion of another scope: %v", err)
	}
}
