package diagnose

import "testing"

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://gitlab.example.com/":            "https://gitlab.example.com",
		"HTTPS://GitLab.Example.com:443/ci/":     "https://gitlab.example.com",
		"http://gitlab.example.com:80":           "http://gitlab.example.com",
		"http://gitlab.example.com:443":          "http://gitlab.example.com:443",
		"https://example.com/gitlab/":            "https://example.com/gitlab",
		"https://example.com/Gitlab/ci":          "https://example.com/Gitlab",
		"https://user:CANARY@gitlab.example.com": "https://gitlab.example.com",
		"gitlab.example.com":                     "",
		"\"https://gitlab.example.com\"":         "",
		"":                                       "",
	} {
		if got := baseURL(text); got != want {
			t.Errorf("baseURL(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestShownURLHidesSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://gitlab.example.com/":                  "https://gitlab.example.com/",
		"https://u:CANARY@gitlab.example.com/a":        "https://gitlab.example.com/a",
		"https://gitlab.example.com/?token=CANARY":     "https://gitlab.example.com/",
		"\"https://u:CANARY@gitlab.example.com/a\"":    "\"https://gitlab.example.com/a\"",
		"https://gitlab.example.com/@team":             "https://gitlab.example.com/@team",
		"${CI_SERVER_URL}":                             "${CI_SERVER_URL}",
		"GET https://u:CANARY@gitlab.example.com/api/": "GET https://gitlab.example.com/api/",
	} {
		if got := shownURL(text); got != want {
			t.Errorf("shownURL(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestURLProblem(t *testing.T) {
	t.Parallel()
	for text, bad := range map[string]bool{
		"https://gitlab.example.com": false, "http://127.0.0.1:8080/gitlab/": false,
		"": true, "gitlab.example.com": true, "'https://gitlab.example.com'": true, "https://gitlab.example.com ": true,
		"ftp://gitlab.example.com": true, "https:///": true, "https://%zz": true,
	} {
		if got := urlProblem(text); (got != "") != bad {
			t.Errorf("urlProblem(%q): got %q, want a problem: %v", text, got, bad)
		}
	}
}
