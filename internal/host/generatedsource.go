package host

import (
	"strings"

	"rekey/internal/lazyregexp"
)

// sources say where the token of a config that a tool writes has its source, and
// what to change there. The names of options are those of each tool's own chart,
// role or module for gitlab-runner.
var sources = map[string]string{
	"Helm": "the pod registers anew from its Secret at each start: put the new glrt- token under the key runner-token of the Secret named by `runners.secret`, " +
		"or in the value `runnerToken`, then `helm upgrade` and `kubectl rollout restart` the deployment; the file in the pod is a copy",
	"a Kubernetes ConfigMap or Secret": "change the ConfigMap or Secret that is mounted there (kubectl describe pod names it), or the chart or manifest that makes it, then roll the workload out",
	"Ansible": "the token is a variable of the play: with the role riemers.gitlab-runner `gitlab_runner_runners[].token` (and `gitlab_runner_registration_token_type: authentication-token`), " +
		"else whatever the template reads; change it in the inventory or its vault and run the play. Mode by_template writes the variable's token at every run, and undoes a rotation on the host",
	"Puppet": "the token is in the catalog: `'token'` in the `config` of `gitlab_ci_runner::runner`, as a rule from Hiera; change it there. A token that was registered by `registration-token` is cached in " +
		"/etc/gitlab-runner/auth-token-NAME and never looked at again: remove that file too",
	"NixOS":     "set `services.gitlab-runner.services.NAME.authenticationTokenConfigFile` to a file with CI_SERVER_URL and CI_SERVER_TOKEN; the new token in that file alone changes nothing, so change the service's name or settings too, then nixos-rebuild switch",
	"Terraform": "the file is a template of a Terraform resource: change the value that it is given (gitlab_user_runner.token, as a rule) and apply",
	"user-data": "the machine's user-data writes it at boot: change what that reads (of cattle-ops/gitlab-runner/aws `runner_gitlab.preregistered_runner_token_ssm_parameter_name`: the SSM parameter) and replace the machine; " +
		"`rekey fix --token-file` on the machine mends it until then",
	"Chef": "the token is an attribute or a data bag item of the cookbook: change it there, then chef-client",
	"Salt": "the token is in the pillar: change it there, then salt-call state.apply",
}

// templatePath is what Ansible and others write into the header: the template.
var templatePath = lazyregexp.New(`(?:^|[\s:"'])(/[\w.@+/-]+\.(?:j2|erb|epp|tmpl|tpl|nix|jinja2?|toml))\b`)

// SourceOf says where a config that a tool writes has its source and what to
// change there, "" when the tool is not known or there is none.
func (h Host) SourceOf(f File) string {
	if f.Generated == "" {
		return ""
	}
	text, known := sources[f.Generated]
	if !known {
		text = "find the template behind it and change the token there"
	}
	if at := namedSource(f.Data); at != "" {
		text = "its header names " + at + ": " + text
	}
	return text
}

// namedSource is the file that a generated config names as its source.
func namedSource(data []byte) string {
	for _, line := range header(data) {
		if m := templatePath.FindStringSubmatch(line); m != nil && !strings.Contains(m[1], "..") {
			return m[1]
		}
	}
	return ""
}
