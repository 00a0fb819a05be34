package host_test

import (
	"testing"

	"rekey/internal/host"
)

func TestArgumentsOfAContainer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		args            []string
		command, config string
	}{
		{"the official image", []string{"/usr/bin/dumb-init", "/entrypoint", "run", "--user=gitlab-runner", "--working-directory=/home/gitlab-runner"}, "run", ""},
		{"a config of its own", []string{"/entrypoint", "run", "--config", "/data/config.toml"}, "run", "/data/config.toml"},
		{"a flag before the command is not gitlab-runner's", []string{"tini", "-c", "x", "gitlab-runner", "run"}, "run", ""},
		{"registering", []string{"/entrypoint", "register", "-c=/r.toml"}, "register", "/r.toml"},
		{"something else", []string{"nginx", "-g", "daemon off;"}, "", ""},
	} {
		if command, config := host.Arguments(tt.args); command != tt.command || config != tt.config {
			t.Errorf("%s: got %q %q, want %q %q", tt.name, command, config, tt.command, tt.config)
		}
	}
}

func TestGeneratedByReadsTheHeaderAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"# Ansible managed\nconcurrent = 1\n":                "Ansible",
		"concurrent = 1\n# Ansible managed\n":                "",
		"[[runners]]\ntoken = \"__REPLACED_BY_USER_DATA__\"": "user-data",
		"": "",
	} {
		if got := host.GeneratedBy([]byte(text)); got != want {
			t.Errorf("GeneratedBy(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestRunnerImage(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]bool{
		"gitlab/gitlab-runner:alpine-v18.0.0":                                                       true,
		"registry.gitlab.com/gitlab-org/gitlab-runner@sha256:0123":                                  true,
		"mirror.test:5000/ci/gitlab-runner-ocp:v17":                                                 true,
		"registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v18":              false,
		"registry.gitlab.com/gitlab-org/gl-openshift/gitlab-runner-operator/gitlab-runner-operator": false,
		"alpine:3": false,
	} {
		if got := host.RunnerImage(image); got != want {
			t.Errorf("RunnerImage(%s) = %v, want %v", image, got, want)
		}
	}
}
