package gitlab

import (
	"testing"

	"rekey"
)

func TestBaseURLIsGitLabRunners(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://gitlab.example.com":            "https://gitlab.example.com",
		"https://gitlab.example.com/":           "https://gitlab.example.com",
		"https://gitlab.example.com///":         "https://gitlab.example.com",
		"https://gitlab.example.com/ci":         "https://gitlab.example.com",
		"https://gitlab.example.com/ci/":        "https://gitlab.example.com",
		"https://gitlab.example.com/ci/ci":      "https://gitlab.example.com/ci",
		"https://example.com/gitlab/":           "https://example.com/gitlab",
		"https://example.com/gitlab/ci":         "https://example.com/gitlab",
		"http://10.0.0.1:8080":                  "http://10.0.0.1:8080",
		"http://[::1]:8080/":                    "http://[::1]:8080",
		"https://gitlab.example.com/group/proj": "https://gitlab.example.com/group/proj",
	} {
		if got, err := BaseURL(text); err != nil || got != want {
			t.Errorf("BaseURL(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "gitlab.example.com", "//gitlab.example.com", "ftp://gitlab.example.com", "https://", "https:///x",
		"https://gitlab.example.com ", "https://git lab.example.com", `"https://gitlab.example.com"`, "‘https://gitlab.example.com’",
		"https://gitlab.example.com/\n", "https://gitlab.example.com/?a=b", "https://gitlab.example.com/#x", "https://${HOST}/", "https://h:port/", "http://%zz/",
	} {
		if got, err := BaseURL(text); err == nil || rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("BaseURL(%q) = %q, %v, want an invalid URL", text, got, err)
		}
	}
}

func TestSameGitLab(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"https://gitlab.example.com", "https://GitLab.example.com:443/ci/", true},
		{"http://h/", "http://h:80", true},
		{"https://h/gitlab", "https://h/gitlab/", true},
		{"https://h", "http://h", false},
		{"https://h", "https://h:8443", false},
		{"https://h/gitlab", "https://h/", false},
		{"https://h/gitlab", "https://h/gitlab2", false},
		{"https://h", "https://h.evil.example.com", false},
		{"", "", false},
		{"h", "h", false},
	} {
		if got := SameGitLab(c.a, c.b); got != c.want {
			t.Errorf("SameGitLab(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestHostURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"gitlab.example.com": "https://gitlab.example.com", "gitlab.example.com:8443/x/": "https://gitlab.example.com:8443/x",
		"http://h:80/api/v4": "http://h:80", "https://h/api/v4/": "https://h",
	} {
		if got, err := HostURL(text); err != nil || got != want {
			t.Errorf("HostURL(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestFeatureTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f           Feature
		before, has string
	}{
		{FeatureDiscovery, "18.6.9", "18.7.0"}, {FeatureManagers, "17.0.8", "17.1"}, {FeatureCreateRunner, "15.10.9", "15.11.0-ee"},
		{FeatureScopeManage, "17.0", "17.1"}, {FeatureJobManager, "16.2", "16.3.1"},
	} {
		for text, want := range map[string]bool{c.before: false, c.has: true} {
			v, err := rekey.ParseVersion(text)
			if err != nil {
				t.Fatal(err)
			}
			if has, known := Has(v, c.f); has != want || !known {
				t.Errorf("Has(%s, %s) = %v, %v, want %v, true", text, c.f, has, known, want)
			}
		}
	}
	if _, known := Has(rekey.Version{}, FeatureDiscovery); known {
		t.Error("Has of an unknown version is known, want unknown")
	}
	seen := map[Feature]bool{}
	for _, row := range Features() {
		if row.Source == "" || seen[row.Feature] {
			t.Errorf("row %+v has no source or is there twice", row)
		}
		seen[row.Feature] = true
	}
}
