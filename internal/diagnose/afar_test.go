package diagnose

import (
	"strings"
	"testing"
)

// TestARemedyNamesWhereItIsDone: a bare `rekey fix` would look at this machine.
func TestARemedyNamesWhereItIsDone(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"/etc/gitlab-runner/config.toml":                       "Run `rekey fix` to write it; by hand, copy it.",
		"ssh://ci@runner1:2222/etc/gitlab-runner/config.toml":  "`rekey fix --host ssh://ci@runner1:2222/etc/gitlab-runner/config.toml`",
		"ssh://runner1/srv/a b/config.toml":                    "`rekey fix --host 'ssh://runner1/srv/a b/config.toml'`",
		"docker://gitlab-runner/etc/gitlab-runner/config.toml": "`rekey fix --host docker://gitlab-runner/etc/gitlab-runner/config.toml`, on the machine",
		"k8s://ci/main/secret/main-gitlab-runner#runner-token": "`rekey fix --host k8s://ci/main` to write it",
	} {
		scheme, rest, ok := strings.Cut(config, "://")
		got := "Run `rekey fix` to write it; by hand, copy it."
		if ok {
			got = there(got, scheme, rest)
		}
		if !strings.Contains(got, want) || ok && strings.Contains(got, bareFix) {
			t.Errorf("%s: got %q, want %q in it", config, got, want)
		}
	}
}
