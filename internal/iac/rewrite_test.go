package iac_test

import (
	"strings"
	"testing"

	"rekey/internal/iac"
)

const (
	glrt = "glrt-CANARY9fQ2xLw7ZpTbK4"
	gr   = "GR1348941CANARYq8Zt3Wm5Xc7VbQ"
)

// rewriteCases are one text for each way of rewriting, with what has to stand in it
// afterwards and what must not.
var rewriteCases = []struct {
	name, path, in string
	want, without  []string
	left           int // findings of warning or above that stay
}{
	{
		name: "continued lines", path: "register.sh",
		in:      "#!/bin/bash\nset -e\ngitlab-runner register \\\n  --non-interactive \\\n  --url \"$URL\" \\\n  --registration-token \"$TOKEN\" \\\n  --tag-list \"docker,linux\" \\\n  --locked=false \\\n  --executor shell \\\n  --run-untagged\n",
		want:    []string{"  --url \"$URL\" \\\n  --token \"$TOKEN\" \\\n  --executor shell\n", "# rekey: create the runner once", `-f tag_list="docker,linux" -f locked=false -f run_untagged=true`, "what TOKEN has to hold"},
		without: []string{"--registration-token", "  --tag-list"},
	},
	{
		name: "short flag and a literal", path: "r.sh",
		in:      "#!/bin/sh\nsudo gitlab-runner register -n --url https://gitlab.example.com -r '" + gr + "' --executor docker\n",
		want:    []string{`--token "${GITLAB_RUNNER_TOKEN:?}" --executor`},
		without: []string{gr, " -r "},
	},
	{
		name: "array", path: "a.sh",
		in:      "#!/bin/bash\nargs=(--non-interactive --url \"$URL\"\n  --registration-token \"$T\"\n  --tag-list \"a b\")\ngitlab-runner register \"${args[@]}\"\n",
		want:    []string{`--token "$T")`, "-f tag_list=\"a b\""},
		without: []string{"--registration-token"},
	},
	{
		name: "arguments beside a runner's token", path: "b.sh",
		in:      "#!/bin/sh\ngitlab-runner register --non-interactive --token \"$T\" --tag-list x --executor shell\n",
		want:    []string{`--token "$T" --executor shell`, "glab api -X PUT runners/RUNNER_ID -f tag_list=x"},
		without: []string{"--tag-list"},
	},
	{
		name: "a runner's token in the old flag", path: "c.sh",
		in:      "#!/bin/sh\ngitlab-runner register --non-interactive --registration-token " + glrt + " --tag-list x\n",
		want:    []string{`--token "${GITLAB_RUNNER_TOKEN:?}"`, "rekey rotate"},
		without: []string{glrt, "--tag-list"},
	},
	{
		name: "list of arguments in YAML", path: "docker-compose.yml",
		in:      "services:\n  runner:\n    image: gitlab/gitlab-runner:v16.11.0\n    command:\n      - register\n      - --non-interactive\n      - --url=https://gitlab.example.com\n      - --registration-token=${TOKEN}\n      - --tag-list\n      - \"a,b\"\n      - --executor=shell\n",
		want:    []string{"      - --token=${TOKEN}\n      - --executor=shell\n", "-f tag_list=\"a,b\""},
		without: []string{"--tag-list\n"},
	},
	{
		name: "environment of the image", path: "compose.yaml",
		in:      "services:\n  runner:\n    image: gitlab/gitlab-runner:v16.11.0\n    environment:\n      CI_SERVER_URL: https://gitlab.example.com\n      REGISTRATION_TOKEN: ${TOKEN}\n      RUNNER_TAG_LIST: a,b\n      REGISTER_LOCKED: \"false\"\n      RUNNER_EXECUTOR: shell\n",
		want:    []string{"      CI_SERVER_TOKEN: ${TOKEN}\n      RUNNER_EXECUTOR: shell\n", `-f tag_list="a,b" -f locked=false`},
		without: []string{"REGISTRATION_TOKEN:", "RUNNER_TAG_LIST:"},
	},
	{
		name: "values of the chart", path: "values.yaml",
		in:      "gitlabUrl: https://gitlab.example.com/\nrunnerRegistrationToken: \"" + gr + "\"\nrunners:\n  tags: \"a,b\"\n  locked: false\n  config: |\n    [[runners]]\n      executor = \"kubernetes\"\n",
		want:    []string{"runnerToken: \"\"\n", "  # tags: \"a,b\"\n  # locked: false\n  config: |", "runners.secret"},
		without: []string{gr, "runnerRegistrationToken:"},
	},
	{
		name: "Secret of the chart", path: "secret.yaml",
		in:      "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitlab-runner\nstringData:\n  runner-registration-token: " + gr + "\n",
		want:    []string{"  runner-registration-token: \"\"\n", "  runner-token: \"\"\n"},
		without: []string{gr},
	},
	{
		name: "Secret with both keys", path: "secret.yaml",
		in:   "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitlab-runner\nstringData:\n  runner-registration-token: \"$(TOKEN)\"\n  runner-token: \"\"\n",
		want: []string{"  runner-token: \"$(TOKEN)\"\n  runner-registration-token: \"\"\n"},
	},
	{
		name: "helm on a command line", path: "install.sh",
		in:   "#!/bin/sh\nhelm upgrade --install gitlab-runner gitlab/gitlab-runner --set runnerRegistrationToken=\"$T\" --set gitlabUrl=\"$U\"\n",
		want: []string{"--set runnerToken=\"$T\""},
	},
	{
		name: "resource whose group is told", path: "main.tf",
		in: "resource \"gitlab_group\" \"g\" {\n  name = \"g\"\n  path = \"g\"\n}\n\n# the runner\nresource \"gitlab_runner\" \"r\" {\n  registration_token = gitlab_group.g.runners_token\n  description        = \"x\" # kept\n  run_untagged       = false\n  tag_list           = [\"a\"]\n}\n\n" +
			"output \"id\" {\n  value = gitlab_runner.r.id\n}\n\nlocals {\n  config = <<-EOT\n    [[runners]]\n      token = \"${gitlab_runner.r.authentication_token}\"\n  EOT\n}\n",
		want: []string{"resource \"gitlab_user_runner\" \"r\" {\n  runner_type        = \"group_type\"\n  group_id           = gitlab_group.g.id\n  description        = \"x\" # kept\n  untagged           = false",
			"removed {\n  from = gitlab_runner.r\n\n  lifecycle {\n    destroy = false", "value = gitlab_user_runner.r.id", "${gitlab_user_runner.r.token}"},
		without: []string{"runners_token", "authentication_token"},
	},
	{
		name: "resource whose owner nobody knows", path: "main.tf",
		in:   "variable \"t\" {}\n\nresource \"gitlab_runner\" \"r\" {\n  registration_token = var.t\n}\n",
		want: []string{"# rekey: gitlab_runner takes a registration token", "resource \"gitlab_runner\" \"r\" {\n  registration_token = var.t"},
		left: 2,
	},
	{
		name: "literal in Terraform", path: "main.tf",
		in:      "module \"gitlab_runner\" {\n  source       = \"./x\"\n  runner_token = \"" + glrt + "\"\n}\n",
		want:    []string{"runner_token = var.gitlab_runner_token\n", "variable \"gitlab_runner_token\" {\n  type      = string\n  sensitive = true\n}\n"},
		without: []string{glrt},
	},
	{
		name: "heredoc in Terraform", path: "ud.tf",
		in:      "resource \"aws_instance\" \"x\" {\n  user_data = <<-EOF\n    #!/bin/bash\n    gitlab-runner register --non-interactive --url ${var.url} \\\n      --registration-token ${var.token} \\\n      --tag-list \"${var.tags}\" \\\n      --executor shell\n  EOF\n}\n",
		want:    []string{"      --token ${var.token} \\\n      --executor shell\n", "    # rekey: create"},
		without: []string{"--registration-token"},
	},
	{
		name: "Ansible task", path: "roles/runner/tasks/main.yml",
		in:      "- name: register\n  ansible.builtin.command: >-\n    gitlab-runner register --non-interactive\n    --url {{ url }}\n    --registration-token {{ token }}\n    --tag-list \"{{ tags }}\"\n    --executor shell\n",
		want:    []string{"    --token {{ token }}\n    --executor shell\n", "  # rekey: create the runner once, before this; its glrt- token is what token"},
		without: []string{"    --tag-list"},
	},
	{
		name: "variables of a role", path: "group_vars/all.yml",
		in:   "gitlab_runner_registration_token: \"{{ vault_token }}\"\n",
		want: []string{"# rekey: the role takes authentication tokens", "gitlab_runner_registration_token: \"{{ vault_token }}\""},
		left: 1,
	},
	{
		name: "literal in Ansible", path: "group_vars/all.yml",
		in:      "gitlab_runner_token: " + glrt + "\n",
		want:    []string{"gitlab_runner_token: \"{{ vault_gitlab_runner_token }}\""},
		without: []string{glrt},
	},
	{
		name: "Dockerfile", path: "Dockerfile",
		in:      "FROM gitlab/gitlab-runner:v16.11.0\nENV CI_SERVER_TOKEN=" + glrt + "\nRUN gitlab-runner register --non-interactive \\\n    --registration-token \"$T\" \\\n    --locked=false \\\n    --executor shell\n",
		want:    []string{"ENV CI_SERVER_TOKEN=\n", "RUN gitlab-runner register --non-interactive \\\n    --token \"$T\" \\\n    --executor shell\n"},
		without: []string{glrt},
	},
	{
		name: "PowerShell", path: "install.ps1",
		in:      "$url = 'https://gitlab.example.com'\n.\\gitlab-runner.exe register `\n  --non-interactive `\n  --url $url `\n  --registration-token $env:TOKEN `\n  --tag-list 'windows' `\n  --executor shell\n",
		want:    []string{"  --token $env:TOKEN `\n  --executor shell\n", "# rekey: create"},
		without: []string{"--registration-token"},
	},
	{
		name: "Makefile", path: "Makefile",
		in:      "TOKEN := x\nregister:\n\tgitlab-runner register --non-interactive \\\n\t  --registration-token $(TOKEN) \\\n\t  --tag-list a,b \\\n\t  --executor shell\n",
		want:    []string{"\n# rekey: create", "\t  --token $(TOKEN) \\\n\t  --executor shell\n"},
		without: []string{"\t  --tag-list"},
	},
	{
		name: "another name for a registration token", path: "main.tf",
		in:   "resource \"helm_release\" \"r\" {\n  chart = \"gitlab-runner\"\n  values = [yamlencode({\n    runnerRegistrationToken = gitlab_group.g.runners_token\n  })]\n}\n",
		want: []string{"# rekey: runners_token is a registration token", "runnerRegistrationToken = gitlab_group.g.runners_token"},
		left: 1,
	},
	{
		name: "variable of a pipeline", path: ".gitlab-ci.yml",
		in:      "variables:\n  REGISTRATION_TOKEN: " + gr + "\nd:\n  script:\n    - docker run --rm -e REGISTRATION_TOKEN gitlab/gitlab-runner register --non-interactive\n",
		want:    []string{"  CI_SERVER_TOKEN: \"\"\n", "-e CI_SERVER_TOKEN gitlab"},
		without: []string{gr},
	},
	{
		name: "pipeline", path: ".gitlab-ci.yml",
		in:   "register:\n  script:\n    - gitlab-runner register --non-interactive --url \"$CI_SERVER_URL\" --registration-token \"$REG_TOKEN\" --executor shell\n",
		want: []string{"    - gitlab-runner register --non-interactive --url \"$CI_SERVER_URL\" --token \"$REG_TOKEN\" --executor shell\n"},
	},
	{
		name: "dotenv", path: ".env",
		in:      "CI_SERVER_TOKEN=" + glrt + "\nOTHER=1\n",
		want:    []string{"CI_SERVER_TOKEN=\nOTHER=1\n"},
		without: []string{glrt},
	},
	{
		name: "config.toml", path: "config.toml",
		in:      "concurrent = 1\n[[runners]]\n  name = \"x\"\n  token = \"" + glrt + "\"\n",
		want:    []string{"  token = \"${GITLAB_RUNNER_TOKEN}\"\n"},
		without: []string{glrt},
	},
	{
		name: "JSON has no comments", path: "params.json",
		in:      "{\n  \"gitlab\": 1,\n  \"runner_token\": \"" + glrt + "\"\n}\n",
		want:    []string{"  \"runner_token\": \"\"\n"},
		without: []string{glrt, "rekey:"},
	},
	{
		name: "Python", path: "x.py",
		in:      "import sys\n\nGITLAB_RUNNER_TOKEN = \"" + glrt + "\"\n",
		want:    []string{"import os\nimport sys\n", "GITLAB_RUNNER_TOKEN = os.environ[\"GITLAB_RUNNER_TOKEN\"]"},
		without: []string{glrt},
	},
	{
		name: "CRLF", path: "r.sh",
		in:   "gitlab-runner register --registration-token \"$T\" \\\r\n  --locked=false \\\r\n  --executor shell\r\n",
		want: []string{"--token \"$T\" \\\r\n  --executor shell\r\n", "once, before this; its glrt- token is what T has to hold from now on:\r\n"},
	},
	{
		name: "a template that happens to parse", path: "r.sh",
		in:   "gitlab-runner register --registration-token <TOKEN>\n",
		want: []string{"gitlab-runner register --registration-token <TOKEN>\n"},
		left: 1,
	},
	{
		name: "NixOS", path: "runner.nix",
		in:      "services.gitlab-runner.services = {\n  a = {\n    registrationConfigFile = config.age.secrets.a.path;\n    dockerImage = \"alpine\";\n  };\n  b.registrationConfigFile = \"/run/b\";\n};\n",
		want:    []string{"    authenticationTokenConfigFile = config.age.secrets.a.path;\n", "  b.authenticationTokenConfigFile = \"/run/b\";\n", "# rekey: authenticationTokenConfigFile takes a file with CI_SERVER_URL"},
		without: []string{"registrationConfigFile"},
	},
	{
		name: "NixOS, one moved already", path: "runner.nix",
		in:   "services.gitlab-runner.services = {\n  a.registrationConfigFile = \"/run/a\";\n  b.authenticationTokenConfigFile = \"/run/b\";\n};\n",
		want: []string{"  a.registrationConfigFile = \"/run/a\";\n", "# rekey: authenticationTokenConfigFile takes"},
		left: 1,
	},
	{
		name: "the state of Terraform", path: "terraform.tfstate",
		in:   "{\"resources\": [{\"attributes\": {\"runners_token\": \"" + gr + "\"}}, {\"attributes\": {\"registration_token\": \"" + gr + "\"}}]}\n",
		want: []string{gr + "\"}}, "},
		left: 1,
	},
	{
		name: "two tokens for one runner", path: "r.sh",
		in:   "gitlab-runner register --registration-token \"$A\" --token \"$B\"\n",
		want: []string{"gitlab-runner register --registration-token \"$A\" --token \"$B\"\n", "# rekey: make the runner first"},
		left: 1,
	},
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, c := range rewriteCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := iac.Rewrite(c.path, []byte(c.in), iac.RewriteOptions{})
			after := string(r.After)
			for _, want := range c.want {
				if !strings.Contains(after, want) {
					t.Errorf("no %q in\n%s(%s)", want, after, r.Refused)
				}
			}
			for _, without := range c.without {
				if strings.Contains(after, without) {
					t.Errorf("%q is still in\n%s(%s)", without, after, r.Refused)
				}
			}
			grave := 0
			for _, f := range r.Left {
				if f.Severity.AtLeast("warning") {
					grave++
				}
			}
			if grave != c.left {
				t.Errorf("%d findings of warning or above are left, want %d in\n%s", grave, c.left, after)
			}
			promises(t, r)
		})
	}
}

// TestRewriteModule: what refers to a moved resource follows, in other files too; a
// variable is declared once in a module.
func TestRewriteModule(t *testing.T) {
	t.Parallel()
	main := []byte("resource \"gitlab_runner\" \"all\" {\n  for_each           = toset([\"a\"])\n  registration_token = data.gitlab_project.p.runners_token\n}\n")
	other := []byte("output \"t\" {\n  value     = { for k, r in gitlab_runner.all : k => r.authentication_token }\n  sensitive = true\n}\nlocals {\n  runner_token = \"" + glrt + "\"\n}\n")
	r := iac.Rewrite("other.tf", other, iac.RewriteOptions{Beside: [][]byte{main, []byte("variable \"gitlab_runner_token\" {}\n")}})
	want := "output \"t\" {\n  value     = { for k, r in gitlab_user_runner.all : k => r.token }\n  sensitive = true\n}\nlocals {\n"
	if !strings.HasPrefix(string(r.After), want) || strings.Contains(string(r.After), "variable \"") {
		t.Errorf("got\n%s(%s), want it to begin with\n%s", r.After, r.Refused, want)
	}
	if keep := r.Keep(); len(keep) != 1 || keep[0].Reveal() != glrt {
		t.Errorf("%d tokens to keep, want the one", len(keep))
	}
}

// TestDiffHidesTokens: what is shown holds no token, in what changes and beside it.
func TestDiffHidesTokens(t *testing.T) {
	t.Parallel()
	in := "#!/bin/sh\n# old: " + glrt + "\nT=x # glrt-CANARY9fQ2xLw7Zp\ngitlab-runner register --registration-token " + gr + "\n"
	r := iac.Rewrite("r.sh", []byte(in), iac.RewriteOptions{})
	var shown strings.Builder
	if err := r.Diff(&shown); err != nil || !strings.Contains(shown.String(), "+gitlab-runner register --token") {
		t.Fatalf("%v: the diff does not show the change:\n%s", err, shown.String())
	}
	if strings.Contains(shown.String(), "CANARY") {
		t.Errorf("the diff shows a token:\n%s", shown.String())
	}
}

// TestWideTextIsLeft: a text whose bytes are not what was read is not spliced, and
// it is said.
func TestWideTextIsLeft(t *testing.T) {
	t.Parallel()
	raw := []byte("\xff\xfe")
	for _, c := range []byte("gitlab-runner register --registration-token $t\r\n") {
		raw = append(raw, c, 0)
	}
	if r := iac.Rewrite("r.ps1", raw, iac.RewriteOptions{}); r.Changed() || !strings.Contains(r.Refused, "UTF-16") {
		t.Errorf("changed %v, refused %q, want it left and said", r.Changed(), r.Refused)
	}
}
