package secretstore_test

import (
	"strings"
	"testing"

	"rekey"
	"rekey/internal/secretstore"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want secretstore.Ref // without options
		form string          // canonical, "" for the text
	}{
		{"vault://secret/ci/runner#tok", secretstore.Ref{Scheme: "vault", Name: "secret/ci/runner", Key: "tok"}, ""},
		{"vault://secret/ci/runner", secretstore.Ref{Scheme: "vault", Name: "secret/ci/runner", Key: "token"}, "vault://secret/ci/runner#token"},
		{"vault://secret/a%20b#k%23", secretstore.Ref{Scheme: "vault", Name: "secret/a b", Key: "k#"}, ""},
		{"awssm://eu-central-1/ci/runner#token", secretstore.Ref{Scheme: "awssm", Place: "eu-central-1", Name: "ci/runner", Key: "token"}, ""},
		{"awssm:///ci/runner", secretstore.Ref{Scheme: "awssm", Name: "ci/runner"}, ""},
		{"gitlab-var://acme/sub/web/RUNNER_TOKEN", secretstore.Ref{Scheme: "gitlab-var", Place: "acme/sub/web", Name: "RUNNER_TOKEN"}, ""},
		{"k8s://ci/gitlab-runner", secretstore.Ref{Scheme: "k8s", Place: "ci", Name: "gitlab-runner", Key: "runner-token"}, "k8s://ci/gitlab-runner#runner-token"},
		{"file:///etc/rekey/a.sealed", secretstore.Ref{Scheme: "file", Name: "/etc/rekey/a.sealed"}, ""},
		{"env:RUNNER_TOKEN", secretstore.Ref{Scheme: "env", Name: "RUNNER_TOKEN"}, ""},
	} {
		got, err := secretstore.Parse(c.text)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
		}
		form := c.form
		if form == "" {
			form = c.text
		}
		if got.String() != form {
			t.Errorf("Parse(%q).String() = %q, want %q", c.text, got, form)
		}
	}
}

func TestParseKeepsOptions(t *testing.T) {
	t.Parallel()
	r, err := secretstore.Parse("gitlab-var://acme/web/KEY?raw=true&env=production%2F*")
	if err != nil || r.Option("env") != "production/*" || r.Option("raw") != "true" || r.Option("masked") != "" {
		t.Errorf("got %v, %v", r, err)
	}
	if again, err := secretstore.Parse(r.String()); err != nil || again != r {
		t.Errorf("%s read again: %v, %v", r, again, err)
	}
	if r.Having("env", "").Option("env") != "" || r.Having("env", "x").Option("raw") != "true" {
		t.Error("Having changed another option, or did not take one away")
	}
}

// TestParseSaysWhatIsWrong: each mistake has its own words and the right form.
func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "does not begin with a store",
		"/etc/token":                         "does not begin with a store",
		"http://vault/secret":                "does not begin with a store",
		"vault:secret/x":                     "two slashes",
		"vault://secret":                     "names a mount",
		"vault://secret/ci/":                 "names a place",
		"vault:///secret/x":                  "mount is missing",
		"vault://user@secret/x":              "takes no user",
		"vault://h:8200/x":                   "takes no user, password or port",
		"vault://secret/a/../b":              "empty part",
		"vault://secret//b":                  "empty part",
		"vault://secret/x?kv=3":              "one of 1, 2",
		"vault://secret/x?kv=1&kv=2":         "given twice",
		"awssm://eu-central-1":               "names a place",
		"awssm://eu-central-1/x?a=1":         `takes no option "a"`,
		"gitlab-var://KEY":                   "names a place",
		"gitlab-var://a/b/K#x":               "no #key",
		"gitlab-var://a/b/K?masked=yes":      "one of true, false",
		"gitlab-var://a/b/K?env=":            "is empty",
		"k8s://ns/a/b":                       "a namespace and a Secret's name",
		"k8s://ns":                           "names a place",
		"file://etc/x":                       "three slashes",
		"file:///etc/x#k":                    "takes no #key",
		"file:///etc/":                       "names a place",
		"env:":                               "name is missing",
		"env:1A":                             "letters, digits",
		"env:A B":                            "letters, digits",
		"vault://secret/a%00":                "control character",
		"glrt-CANARYaaaaaaaaaaaaaa":          "a runner token, not a reference",
		"GR1348941CANARYaaaaaaaaaaaaaa":      "a registration token, not a reference",
		"vault://glrt-CANARYaaaaaaaaaaaaaa:": "takes no user, password or port",
	} {
		_, err := secretstore.Parse(text)
		if rekey.KindOf(err) != rekey.KindInvalid || err == nil || !strings.Contains(err.Error(), want) || rekey.HintOf(err) == "" {
			t.Errorf("Parse(%q): %v (hint %q), want %q and a hint", text, err, rekey.HintOf(err), want)
		}
		if err != nil && strings.Contains(err.Error()+rekey.HintOf(err), "CANARY") {
			t.Errorf("Parse(%q): the error quotes a token: %v", text, err)
		}
	}
}

func TestParsePlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]secretstore.Ref{
		"vault://secret":          {Scheme: "vault", Name: "secret"},
		"vault://secret/ci/":      {Scheme: "vault", Name: "secret/ci/"},
		"awssm://eu-central-1":    {Scheme: "awssm", Place: "eu-central-1"},
		"gitlab-var://acme/web":   {Scheme: "gitlab-var", Place: "acme/web"},
		"gitlab-var://acme/web/":  {Scheme: "gitlab-var", Place: "acme/web"},
		"k8s://ci":                {Scheme: "k8s", Place: "ci"},
		"file:///etc/rekey/":      {Scheme: "file", Name: "/etc/rekey/"},
		"awssm://eu-central-1/ci": {Scheme: "awssm", Place: "eu-central-1", Name: "ci"},
	} {
		if got, err := secretstore.ParsePlace(text); err != nil || got != want {
			t.Errorf("ParsePlace(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// FuzzParse: no text breaks the parser; what it accepts it writes so that it reads
// the same again; and no error quotes a token.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"vault://secret/ci/runner#token", "awssm:///a#b", "gitlab-var://a/b/K?env=x", "k8s://a/b#c", "file:///a%25b", "env:A", "vault://a/%2F/b", "glrt-CANARYaaaaaaaaaaaaaa"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (secretstore.Ref, error){secretstore.Parse, secretstore.ParsePlace} {
			r, err := parse(text)
			if err != nil {
				if rekey.KindOf(err) != rekey.KindInvalid || rekey.HintOf(err) == "" {
					t.Fatalf("%q: %v without kind or hint", text, err)
				}
				continue
			}
			if again, err := parse(r.String()); err != nil || again != r {
				t.Fatalf("%q became %q, which reads as %+v, %v, want %+v", text, r, again, err, r)
			}
		}
	})
}
