package host

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every tool that is recognised by name has a source to point at.
func TestEveryToolHasASource(t *testing.T) {
	t.Parallel()
	for _, m := range marks {
		if strings.HasPrefix(m.tool, "a ") {
			continue
		}
		if sources[m.tool] == "" {
			t.Errorf("%s is recognised, and where its token has its source is not said", m.tool)
		}
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	h := testHost(t)
	for text, want := range map[string]string{
		"# Ansible managed: /srv/play/roles/runner/templates/config.toml.j2 modified by deploy\nconcurrent = 1\n": "its header names /srv/play/roles/runner/templates/config.toml.j2: the token is a variable of the play",
		"# Managed by Puppet\nconcurrent = 1\n":                            "gitlab_ci_runner::runner",
		"[[runners]]\ntoken = \"__REPLACED_BY_USER_DATA__\"\n":             "user-data",
		"# This file is managed by wonderful. Do not edit\nconcurrent=1\n": "find the template behind it",
		"# mine\nconcurrent = 1\n":                                         "",
	} {
		f, err := h.Read(put(t, filepath.Join(t.TempDir(), "config.toml"), text))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.SourceOf(f); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("of %q (%s): got %q, want %q in it", text, f.Generated, got, want)
		}
	}
}
