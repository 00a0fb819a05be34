package iac

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rekey"
)

// secretToken stands for a token in the fixtures below: they hold none as they are.
const secretToken = "glrt-CANARYaB3dE5fG7hJ9kL"

// fixture is a small file with what is to be found in it: "slug@line", "slug@line!"
// for severity error, "slug@line?" for info.
type fixture struct{ name, path, text, want string }

var fixtures = []fixture{
	// shell
	{"long flag", "a.sh", "gitlab-runner register --url https://gitlab.com \\\n  --registration-token \"$T\" \\\n  --tag-list a\n", "legacy@2"},
	{"long flag with =", "a.sh", "sudo gitlab-runner register --url=https://gitlab.com --registration-token=$T\n", "legacy@1"},
	{"short flag", "a.sh", "gitlab-runner register -n -u https://gitlab.com -r $T\n", "legacy@1"},
	{"single dash", "a.sh", "gitlab-runner register -registration-token $T\n", "legacy@1"},
	{"container", "a.sh", "docker run --rm -v c:/etc/gitlab-runner gitlab/gitlab-runner:v16.0.0 register -n -r \"$T\"\n", "legacy@1"},
	{"container's environment", "a.sh", "docker run -e REGISTRATION_TOKEN=$T gitlab/gitlab-runner register -n\n", "legacy@1"},
	{"answers on standard input", "a.sh", "gitlab-runner register <<EOF\nhttps://gitlab.com\n$T\nEOF\n", "legacy@1"},
	{"answers through a pipe", "a.sh", "printf 'https://gitlab.com\\n%s\\n' \"$T\" | sudo gitlab-runner register\n", "legacy@1"},
	{"environment of register", "a.sh", "export REGISTRATION_TOKEN=$(cat /run/t)\ngitlab-runner register -n\n", "legacy@1"},
	{"new flow", "a.sh", "gitlab-runner register -n --url https://gitlab.com --token \"$T\" --executor docker\n", ""},
	{"server-side arguments", "a.sh", "gitlab-runner register -n --token \"$T\" \\\n  --tag-list a,b --locked=false\n", "legacy-args@2"},
	{"arguments that say the default", "a.sh", "gitlab-runner register -n --token \"$T\" --locked --run-untagged=false --maximum-timeout=0\n", ""},
	{"array", "a.sh", "args=(--url https://gitlab.com\n --registration-token \"$T\" --executor shell)\ngitlab-runner register \"${args[@]}\"\n", "legacy@2"},
	{"within sh -c", "a.sh", "ssh host \"sudo gitlab-runner register -n -r $T --url https://gitlab.com\"\n", "legacy@1"},
	{"runner token in the legacy flag", "a.sh", "gitlab-runner register -n --registration-token glrt-$T\n", "glrt-in-legacy-field@1"},
	{"registration token in the new flag", "a.sh", "gitlab-runner register -n --token GR1348941$T\n", "registration-token-as-runner-token@1"},
	{"either path by prefix", "a.sh", "if [[ $T == glrt-* ]]; then\n gitlab-runner register --token $T\nelse\n gitlab-runner register --registration-token $T\nfi\n", "legacy@4?"},
	{"comment", "a.sh", "# gitlab-runner register --registration-token $T\ntrue\n", ""},
	{"message for people", "a.sh", "echo \"run: gitlab-runner register --registration-token TOKEN\"\n", ""},
	{"usage", "a.sh", "cat <<EOF\nusage: gitlab-runner register --registration-token TOKEN\nEOF\n", ""},
	{"POST /runners", "a.sh", "curl -X POST https://gitlab.example.com/api/v4/runners --form \"token=$T\"\n", "legacy@1"},
	{"POST /user/runners", "a.sh", "curl -X POST -H \"PRIVATE-TOKEN: $T\" https://gitlab.example.com/api/v4/user/runners --data runner_type=instance_type\n", ""},
	{"list of runners", "a.sh", "curl -H \"PRIVATE-TOKEN: $T\" https://gitlab.example.com/api/v4/runners\n", ""},
	{"verify", "a.sh", "curl -X POST https://gitlab.example.com/api/v4/runners/verify --form token=$T\n", ""},
	{"helm", "a.sh", "helm upgrade --install r gitlab/gitlab-runner --set gitlabUrl=$U,runnerRegistrationToken=$T\n", "legacy@1"},
	{"secret for the chart", "a.sh", "kubectl create secret generic gitlab-runner --from-literal=runner-registration-token=\"\" --from-literal=runner-token=$T\n", ""},
	{"secret with a registration token", "a.sh", "kubectl create secret generic gitlab-runner --from-literal=runner-registration-token=$T\n", "legacy@1"},
	{"rails", "a.sh", "T=$(gitlab-rails runner 'puts Gitlab::CurrentSettings.runners_registration_token')\n", "legacy@1"},
	{"reset", "a.sh", "curl -X POST \"$GITLAB/api/v4/projects/1/runners/reset_registration_token\"\n", "legacy@1"},
	{"echo", "a.sh", "gitlab-runner register --token \"$RT\"\necho \"token is $RT\"\n", "token-in-log@2!"},
	{"echo into a file", "a.sh", "gitlab-runner register --token \"$RT\"\necho \"token is $RT\" > /root/t\n", ""},
	{"echo into a pipe", "a.sh", "gitlab-runner register --token \"$RT\"\necho \"$RT\" | vault kv put x t=-\n", ""},
	{"function that returns", "a.sh", "get() { echo \"$RT\"; }\ngitlab-runner register --token \"$RT\"\n", ""},
	{"its length only", "a.sh", "gitlab-runner register --token \"$RT\"\necho \"${#RT} ${RT:0:4}\"\n", ""},
	{"broken shell", "a.sh", "if [ -z $X ; then (\ngitlab-runner register --registration-token $T --url https://gitlab.com\n", "legacy@2 not-parsed@1?"},
	{"GitHub's runner", "a.sh", "./config.sh --url https://github.com/a/b --token $RUNNER_TOKEN\n", ""},
	{"Gitea's runner beside GitLab", "a.sh", "# moved from gitlab\nact_runner register --no-interactive --token $T --registration-token $T\n", ""},
	// templates
	{"templatefile", "user-data.sh.tpl", "#!/bin/bash\n%{ if legacy ~}\ngitlab-runner register --url ${gitlab_url} --registration-token ${join(\",\", tokens)} \\\n  --name \"$${HOSTNAME}\"\n%{ endif ~}\n", "legacy@3"},
	{"Jinja in shell", "register.sh.j2", "#!/bin/sh\n{% if x %}\ngitlab-runner register --registration-token {{ token | default('') }} {% for t in tags %}--tag-list {{ t }}{% endfor %}\n{% endif %}\n", "legacy@3"},
	{"ERB", "register.sh.erb", "#!/bin/sh\n<% if @x -%>\ngitlab-runner register -r <%= @token %>\n<% end -%>\n", "legacy@3"},
	// Terraform
	{"resource", "main.tf", "resource \"gitlab_runner\" \"a\" {\n  registration_token = var.t\n}\n", "legacy@1 legacy@2"},
	{"new resource", "main.tf", "resource \"gitlab_user_runner\" \"a\" {\n  runner_type = \"instance_type\"\n}\n", ""},
	{"module", "main.tf", "module \"gitlab-runner\" {\n  source = \"x\"\n  runner_registration_token = var.t\n}\n", "legacy@3"},
	{"set of helm_release", "main.tf", "resource \"helm_release\" \"gitlab\" {\n  set {\n    name = \"runnerRegistrationToken\"\n    value = var.t\n  }\n}\n", "legacy@3"},
	{"heredoc in Terraform", "main.tf", "locals {\n  user_data = <<-EOT\n    #!/bin/bash\n    gitlab-runner register --url ${var.url} --registration-token ${var.t[0]} --tag-list \"${join(\",\", var.tags)}\"\n  EOT\n}\n", "legacy@4"},
	{"Helm values in Terraform", "main.tf", "resource \"helm_release\" \"gitlab-runner\" {\n  values = [<<EOF\ngitlabUrl: https://gitlab.com\nrunnerRegistrationToken: ${var.t}\nEOF\n  ]\n}\n", "legacy@4"},
	{"yamlencode", "main.tf", "locals {\n  values = yamlencode({\n    gitlabUrl = var.u\n    runnerRegistrationToken = var.t\n  })\n}\n", "legacy@4"},
	{"variable", "variables.tf", "# gitlab\nvariable \"runner_registration_token\" {\n  description = \"give --registration-token\"\n}\n", "legacy@2?"},
	{"literal in tfvars", "terraform.tfvars", "gitlab_url = \"https://gitlab.com\"\nrunner_registration_token = \"xY7-qBwDeRgHtJkLmN3p\"\n", "hardcoded@2! legacy@2"},
	{"output", "outputs.tf", "output \"t\" {\n  value = gitlab_user_runner.a.token\n}\n", "token-in-state@1"},
	{"sensitive output", "outputs.tf", "output \"t\" {\n  value = gitlab_user_runner.a.token\n  sensitive = true\n}\n", "token-in-state@1?"},
	{"JSON of Terraform", "main.tf.json", "{\"resource\": {\n \"gitlab_runner\": {\"a\": {\n  \"registration_token\": \"${var.t}\"}}}}\n", "legacy@2 legacy@3"},
	{"broken HCL", "main.tf", "resource \"x\" {\n  registration_token = var.gitlab_t\n  y = {{\n}\n", "legacy@2 not-parsed@1?"},
	// YAML
	{"chart's value", "values.yaml", "gitlabUrl: https://gitlab.com/\nrunnerRegistrationToken: \"{{ .t }}\"\n", "legacy@2"},
	{"chart's empty value", "values.yaml", "gitlabUrl: https://gitlab.com/\nrunnerRegistrationToken: \"\"\n", "legacy@2"},
	{"chart's new value", "values.yaml", "gitlabUrl: https://gitlab.com/\nrunnerToken: \"\"\nrunners:\n  secret: s\n", ""},
	{"Secret with the empty key", "secret.yaml", "kind: Secret\nstringData:\n  runner-registration-token: \"\"\n  runner-token: \"{{ .t }}\"\n# gitlab\n", ""},
	{"Secret with a registration token", "secret.yaml", "kind: Secret\nmetadata: {name: gitlab-runner}\nstringData:\n  runner-registration-token: \"{{ .t }}\"\n", "legacy@4"},
	{"runner token in the chart's legacy value", "values.yaml", "runnerRegistrationToken: glrt-xxxxxxxxxxxxxxxxxxxx\n", "glrt-in-legacy-field@1 placeholder@1?"},
	{"compose list", "docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner\n    environment:\n      - REGISTRATION_TOKEN=${T}\n", "legacy@5"},
	{"compose mapping", "docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner\n    environment:\n      REGISTRATION_TOKEN: ${T}\n", "legacy@5"},
	{"compose command list", "docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner\n    command:\n      - register\n      - --url=https://gitlab.com\n      - --registration-token=${T}\n", "legacy@7"},
	{"Gitea in compose", "docker-compose.yml", "# once gitlab\nservices:\n  r:\n    image: gitea/act_runner\n    environment:\n      GITEA_RUNNER_REGISTRATION_TOKEN: ${T}\n", ""},
	{"server's seed", "docker-compose.yml", "services:\n  g:\n    image: gitlab/gitlab-ce\n    environment:\n      GITLAB_SHARED_RUNNERS_REGISTRATION_TOKEN: ${T}\n", "server-legacy@5"},
	{"server's seed in Omnibus", "docker-compose.yml", "services:\n  g:\n    environment:\n      GITLAB_OMNIBUS_CONFIG: |\n        external_url 'http://g'\n        gitlab_rails['initial_shared_runners_registration_token'] = ENV['T']\n", "server-legacy@6"},
	{"seed shared with a runner", "docker-compose.yml", "services:\n  g:\n    image: gitlab/gitlab-ce\n    environment:\n      GITLAB_SHARED_RUNNERS_REGISTRATION_TOKEN: LabToken1\n  r:\n    environment:\n      REGISTRATION_TOKEN: LabToken1\n", "hardcoded@5! legacy@5 server-legacy@5 hardcoded@8! legacy@8"},
	{"variables of the server beside a token", "docker-compose.yml", "services:\n  r:\n    environment:\n      CI_SERVER_TOKEN: ${T}\n      RUNNER_TAG_LIST: a,b\n", "legacy-args@5"},
	{"environment of a pod", "deploy.yaml", "kind: Deployment\nspec:\n  containers:\n  - name: gitlab-runner\n    env:\n    - name: REGISTRATION_TOKEN\n      valueFrom:\n        secretKeyRef: {name: a, key: b}\n", "legacy@6"},
	{"ExternalSecret", "es.yaml", "# gitlab\ndata:\n- secretKey: runner-registration-token\n  remoteRef:\n    key: kv\n    property: runner-registration-token\n", "legacy@6"},
	{"ExternalSecret of a runner token", "es.yaml", "# gitlab\ndata:\n- secretKey: runner-registration-token\n  remoteRef:\n    key: kv\n    property: runner-token\n", ""},
	{"Ansible task", "tasks/main.yml", "- name: register with --registration-token\n  command: >\n    gitlab-runner register --non-interactive\n    --registration-token {{ t }}\n    --url {{ u }}\n", "legacy@4"},
	{"Ansible argv", "tasks/main.yml", "- command:\n    argv:\n      - gitlab-runner\n      - register\n      - --registration-token\n      - \"{{ t }}\"\n", "legacy@5"},
	{"Ansible uri", "tasks/main.yml", "- uri:\n    url: \"{{ gitlab }}/api/v4/runners\"\n    method: POST\n    body: {token: \"{{ t }}\"}\n", "legacy@2"},
	{"Ansible variable", "group_vars/all.yml", "gitlab_runner_registration_token: \"{{ vault_t }}\"\n", "legacy@1"},
	{"Ansible vault", "group_vars/all.yml", "gitlab_runner_token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n", ""},
	{"Ansible default", "defaults/main.yml", "gitlab_runner_registration_token: ''\ngitlab_runner_registration_token_type: registration-token\n", ""},
	{"Ansible debug", "tasks/main.yml", "- debug:\n    msg: \"{{ gitlab_runner_token }}\"\n", "token-in-log@2!"},
	{"GitLab CI", ".gitlab-ci.yml", "job:\n  script:\n    - gitlab-runner register -n --registration-token $T\n    - |\n      for i in 1 2; do\n        gitlab-runner register -r $T\n      done\n", "legacy@3 legacy@6"},
	{"cloud-init", "cloud-config.yaml", "#cloud-config\nruncmd:\n  - [gitlab-runner, register, --registration-token, \"{{ t }}\"]\nwrite_files:\n  - path: /x.sh\n    content: |\n      #!/bin/sh\n      gitlab-runner register -r $T\n", "legacy@3 legacy@8"},
	{"CloudFormation", "cfn.yaml", "Resources:\n  I:\n    Properties:\n      UserData:\n        Fn::Base64: !Sub |\n          #!/bin/bash\n          gitlab-runner register --url ${GitLabUrl} --registration-token ${Token}\n", "legacy@7"},
	{"Go template in YAML", "templates/cm.yaml", "kind: ConfigMap\ndata:\n  entry: |\n    {{- if .Values.x }}\n    gitlab-runner register -r {{ .Values.t | quote }}\n    {{- end }}\n  {{- with .Values.y }}\n  a: {{ toYaml . | nindent 4 }}\n  {{- end }}\n", "legacy@5"},
	{"Argo CD parameters", "app.yaml", "kind: Application\nspec:\n  source:\n    chart: gitlab-runner\n    helm:\n      parameters:\n      - name: runnerRegistrationToken\n        value: $T\n", "legacy@7"},
	{"values in a block", "app.yaml", "spec:\n  chart: gitlab-runner\n  helm:\n    values: |\n      gitlabUrl: https://gitlab.com\n      runnerRegistrationToken: $T\n", "legacy@6"},
	{"one broken document of two", "two.yaml", "a: [\n---\nrunnerRegistrationToken: \"\"\n", "legacy@3 not-parsed@1?"},
	// others
	{"Dockerfile", "Dockerfile", "FROM gitlab/gitlab-runner\n# register\nENV REGISTRATION_TOKEN=$T \\\n    A=b\nRUN apt-get update && \\\n    # a note\n    gitlab-runner register -n -r $T\n", "legacy@3 legacy@7"},
	{"Dockerfile's list", "Dockerfile", "FROM gitlab/gitlab-runner\nENTRYPOINT [\"gitlab-runner\", \"register\", \"--registration-token\", \"x\"]\n", "legacy@2 placeholder@2?"},
	{"PowerShell", "a.ps1", "# gitlab\n.\\gitlab-runner.exe register `\n  --url https://gitlab.com `\n  --registration-token $Token\nWrite-Host \"Token: $Token\"\n", "legacy@4 token-in-log@5!"},
	{"PowerShell array", "a.ps1", "$a = @(\n  \"register\",\n  \"--url\", $Url,\n  \"--token\", $Token,\n  \"--tag-list\", $Tags\n)\n& .\\gitlab-runner.exe @a\n", "legacy-args@5"},
	{"Batch", "a.bat", "gitlab-runner.exe register -n ^\n --url https://gitlab.com ^\n --registration-token %TOKEN%\n", "legacy@3"},
	{"dotenv", ".env.example", "GITLAB_URL=x\nREGISTRATION_TOKEN=\nGITLAB_RUNNER_REGISTRATION_TOKEN=changeme\n", "legacy@3 placeholder@3?"},
	{"config.toml", "config.toml", "concurrent = 1\n[[runners]]\n  url = \"https://gitlab.com\"\n  token = \"${TOKEN}\"\n", ""},
	{"config.toml with a registration token", "config.toml", "[[runners]]\n  url = \"https://gitlab.com\"\n  token = \"GR1348941$T\"\n", "registration-token-as-runner-token@3"},
	{"Nix", "r.nix", "services.gitlab-runner.services.a = {\n  # registrationConfigFile = x;\n  registrationConfigFile = config.age.x.path;\n};\n", "legacy@3"},
	{"new Nix", "r.nix", "services.gitlab-runner.services.a = {\n  authenticationTokenConfigFile = config.age.x.path;\n};\n", ""},
	{"Puppet", "r.pp", "gitlab_ci_runner::runner { 'a':\n  config => {\n    'registration-token' => $t,\n  },\n}\n", "legacy@3"},
	{"new Puppet", "r.pp", "gitlab_ci_runner::runner { 'a':\n  config => {\n    'token' => $t,\n  },\n}\n", ""},
	{"Ruby", "gitlab.rb", "external_url 'https://gitlab'\n# gitlab_rails['initial_shared_runners_registration_token'] = \"x\"\ngitlab_rails['initial_shared_runners_registration_token'] = File.read('/t')\n", "server-legacy@3"},
	{"Python", "a.py", "import subprocess\nsubprocess.run([\"gitlab-runner\", \"register\",\n  \"--registration-token\", token])\n# --registration-token\n", "legacy@3"},
	{"Makefile", "Makefile", "register:\n\tdocker exec gitlab-runner gitlab-runner register -n --registration-token $(TOKEN)\n", "legacy@2"},
	{"Packer", "a.pkr.hcl", "build {\n  provisioner \"shell\" {\n    inline = [\"gitlab-runner register -n --registration-token ${var.t}\"]\n  }\n}\n", "legacy@3"},
	{"systemd", "r.service", "[Service]\nEnvironment=REGISTRATION_TOKEN=abc\nExecStartPre=/usr/bin/gitlab-runner register -n --registration-token ${T}\n", "legacy@2 legacy@3"},
	{"Salt", "r.sls", "{% set t = pillar['t'] %}\nregister:\n  cmd.run:\n    - name: gitlab-runner register -n -r {{ t }}\n", "legacy@4"},
	{"Salt that does not parse", "r.sls", "a: b: c\nx:\n    - name: echo -e '{{ url }}\\n{{ t }}\\n' | gitlab-runner register\n", "legacy@3 not-parsed@1?"},
	// literals, everywhere
	{"token in a comment", "a.tf", "# was glrt-TOKEN\n", "hardcoded@1!"},
	{"token in Markdown", "README.md", "Run `--registration-token glrt-TOKEN`\n", "hardcoded@1!"},
	{"bare token in Markdown", "README.md", "Register:\n\n    gitlab-runner register --url https://gitlab.com --registration-token aCANARYb3dE5fG7hJ9kL\n", "hardcoded@3! legacy@3?"},
	{"sentence in Markdown", "README.md", "The gitlab-runner flag --registration-token is old; register anew.\n", ""},
	{"command in a variable", "a.sh", "cmd=\"gitlab-runner register --non-interactive \\\n --token ${t} \\\n --tag-list a\"\n$cmd\n", "legacy-args@3"},
	{"service of compose", "a.sh", "# gitlab\ndocker compose run --rm runner register --url $U --executor docker --token $T --tag-list a\n", "legacy-args@2"},
	{"SQL", "a.sh", "docker exec gitlab gitlab-psql -c \"SELECT runners_registration_token FROM application_settings\"\n", "legacy@1"},
	{"option's definition", "m.nix", "options.gitlab-runner = {\n  registrationConfigFile = mkOption { };\n};\n", ""},
	{"other product's secret", "a.yaml", "matrix_registration_token: aB3dE5fG7hJ9kLmN2pQ4\n", ""},
	{"GitHub's token", "docker-compose.yml", "services:\n  r:\n    image: myoung34/github-runner\n    environment:\n      RUNNER_TOKEN: AB3DE5FG7HJ9KLMN2PQ4\n", ""},
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range fixtures {
		t.Run(c.path+" "+c.name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(c.text, "glrt-TOKEN", secretToken)
			var got []string
			for _, f := range Examine(c.path, []byte(text), Target{}) {
				mark := map[rekey.Severity]string{rekey.Failing: "!", rekey.Info: "?"}[f.Severity]
				got = append(got, fmt.Sprintf("%s@%d%s", f.Slug, f.Line, mark))
			}
			want := strings.Fields(c.want)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v in\n%s", got, want, c.text)
			}
		})
	}
}

// TestWhereIsExact: the bytes that a finding names are those of the file, however
// deep the text stands in others.
func TestWhereIsExact(t *testing.T) {
	t.Parallel()
	const text = "locals {\n  v = <<-EOT\n    a:\n      script: |\n        cat > /x.sh <<'SH'\n        gitlab-runner register --url https://gitlab.com --registration-token \"${var.t}\" --tag-list x\n        SH\n  EOT\n}\n"
	findings := Examine("main.tf", []byte(text), Target{})
	if len(findings) != 1 {
		t.Fatalf("got %+v, want one finding", findings)
	}
	f := findings[0]
	if got := text[f.Where.Start:f.Where.End]; got != "--registration-token" {
		t.Errorf("the flag is %q, want --registration-token", got)
	}
	if got := text[f.Value.Start:f.Value.End]; got != "${var.t}" {
		t.Errorf("its value is %q, want ${var.t}", got)
	}
	if len(f.Command) == 0 || text[f.Command[0].Start:f.Command[0].End] != "gitlab-runner" {
		t.Errorf("the command's words are %v, want the first to be gitlab-runner", f.Command)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	v18 := Target{GitLab: rekey.Version{Major: 18}}
	for _, c := range []struct {
		path, text string
		target     Target
		want       int
	}{
		{"docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner:v14.10.1\n", v18, 1},
		{"docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner:alpine-v17.11.0\n", v18, 0},
		{"docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner:v14.10.1\n", Target{}, 0},
		{"Dockerfile", "FROM gitlab/gitlab-runner:v15.0.0\n", Target{GitLab: rekey.Version{Major: 20}}, 1},
		{"main.tf", "resource \"helm_release\" \"r\" {\n  chart = \"gitlab-runner\"\n  version = \"0.41.0\"\n}\n", v18, 1},
		{"app.yaml", "chart: gitlab-runner\ntargetRevision: 0.76.1\n", v18, 0},
		{"main.tf", "terraform {\n  required_providers {\n    gitlab = {\n      source = \"gitlabhq/gitlab\"\n      version = \"~> 15.8\"\n    }\n  }\n}\nresource \"gitlab_user_runner\" \"a\" {\n}\n", Target{}, 1},
		{"main.tf", "terraform {\n  required_providers {\n    gitlab = {\n      source = \"gitlabhq/gitlab\"\n      version = \">= 15.8\"\n    }\n  }\n}\nresource \"gitlab_user_runner\" \"a\" {\n}\n", Target{}, 0},
	} {
		n := 0
		for _, f := range Examine(c.path, []byte(c.text), c.target) {
			if f.Slug == VersionOutside {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s for %s: %d findings, want %d in\n%s", c.path, c.target.GitLab, n, c.want, c.text)
		}
	}
}

func TestSeverityFollowsTheVersion(t *testing.T) {
	t.Parallel()
	const text = "gitlab-runner register --registration-token $T\n"
	for _, c := range []struct {
		target Target
		want   rekey.Severity
	}{
		{Target{}, rekey.Warning},
		{Target{GitLab: rekey.Version{Major: 15, Minor: 11}}, rekey.Info},
		{Target{GitLab: rekey.Version{Major: 17}}, rekey.Warning},
		{Target{GitLab: rekey.Version{Major: 18, Minor: 3}}, rekey.Warning},
		{Target{GitLab: rekey.Version{Major: 18}, RegistrationRefused: true}, rekey.Failing},
		{Target{GitLab: rekey.Version{Major: 20}}, rekey.Failing},
	} {
		findings := Examine("a.sh", []byte(text), c.target)
		if len(findings) != 1 || findings[0].Severity != c.want {
			t.Errorf("for %+v: got %+v, want one finding at %s", c.target, findings, c.want)
		}
	}
}

func TestIgnoreComments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, reason string }{
		{"gitlab-runner register -r $T # rekey:ignore legacy until the move in May\n", "until the move in May"},
		{"# rekey:ignore legacy old host\ngitlab-runner register -r $T\n", "old host"},
		{"# rekey:ignore LEGACY\ngitlab-runner register -r $T\n", "no reason given"},
		{"# rekey:ignore hardcoded other slug\ngitlab-runner register -r $T\n", ""},
		{"true # rekey:ignore legacy of another line\ngitlab-runner register -r $T\n", ""},
	} {
		findings := Examine("a.sh", []byte(c.text), Target{})
		if len(findings) != 1 || findings[0].Suppressed != c.reason {
			t.Errorf("%q: got %+v, want one finding suppressed %q", c.text, findings, c.reason)
		}
	}
}

// TestNoTokenInAFinding: evidence, message and remedy show kind and fingerprint.
func TestNoTokenInAFinding(t *testing.T) {
	t.Parallel()
	for _, f := range Examine("a.sh", []byte("gitlab-runner register --token "+secretToken+" --registration-token aCANARYb3dE5fG7hJ9k\n"), Target{}) {
		if text := fmt.Sprintf("%+v", f); strings.Contains(text, "CANARY") {
			t.Errorf("%s shows the token", f.Slug)
		}
	}
}
