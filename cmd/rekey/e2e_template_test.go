package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

const templateGuide = "../../docs/guides/templates.md"

// guideBlock is the block number n, from 0, below a heading of the guide for
// templates: what is tried here is what people copy.
func guideBlock(t *testing.T, heading string, n int) string {
	t.Helper()
	page, err := os.ReadFile(templateGuide)
	must(t, err)
	_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	inside := false
	for line := range strings.Lines(section) {
		text, code := strings.CutPrefix(line, "    ")
		switch blank := strings.TrimSpace(line) == ""; {
		case code && !inside:
			blocks, inside = append(blocks, text), true
		case inside && (code || blank):
			blocks[len(blocks)-1] += text
		default:
			inside = inside && blank
		}
	}
	if !found || n >= len(blocks) {
		t.Fatalf("%s has no block %d below %q", templateGuide, n, heading)
	}
	return blocks[n]
}

// replaced is a block with the example's own names replaced; each must be in it.
func replaced(t *testing.T, block string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(block, pairs[i]) {
			t.Fatalf("the guide's block has no %q:\n%s", pairs[i], block)
		}
		block = strings.ReplaceAll(block, pairs[i], pairs[i+1])
	}
	return block
}

const guideRef = "vault://secret/ci/runner"

// templateDesk is where a person sits: rekey on PATH, and a token in a sealed file.
type templateDesk struct {
	t        *testing.T
	dir, ref string
	env      []string
}

const templateToken = "glrt-CANARYtemplate12345"

func newTemplateDesk(t *testing.T) *templateDesk {
	t.Helper()
	d := &templateDesk{t: t, dir: t.TempDir()}
	d.ref = "file://" + filepath.Join(d.dir, "runner.sealed")
	bin := filepath.Join(d.dir, "bin")
	must(t, os.Mkdir(bin, 0o700))
	must(t, os.Symlink(mortal, filepath.Join(bin, "rekey")))
	d.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":"+os.Getenv("REKEY_IAC_TOOLS"), "HOME="+d.dir, "REKEY_STATE_DIR="+filepath.Join(d.dir, "state"),
		"TF_CLI_CONFIG_FILE="+os.DevNull, "CHECKPOINT_DISABLE=1", "LC_ALL=C.UTF-8")
	d.run(templateToken, "rekey", "secret", "put", d.ref, "--runner-id", "42")
	return d
}

// tool finds a program, or skips the test loudly.
func (d *templateDesk) tool(name string) string {
	d.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join(os.Getenv("REKEY_IAC_TOOLS"), name))
	}
	if err != nil {
		d.t.Skipf("*** NO %s: the guide's example for it is not tried ***", strings.ToUpper(name))
	}
	return path
}

// file writes into the desk's folder.
func (d *templateDesk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	must(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(d.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (d *templateDesk) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	must(d.t, err)
	return string(text)
}

func (d *templateDesk) run(input string, args ...string) string {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), args[0], args[1:]...)
	if args[0] == "rekey" {
		cmd = exec.CommandContext(d.t.Context(), mortal, args[1:]...)
	}
	cmd.Env, cmd.Dir, cmd.Stdin = d.env, d.dir, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// shell runs a line of the guide with the desk's reference.
func (d *templateDesk) shell(line string) string {
	d.t.Helper()
	return d.run("", "sh", "-c", replaced(d.t, line, guideRef, d.ref))
}

// secretInVault puts the token where the guide has it.
func (d *templateDesk) secretInVault(v *e2eVault) {
	d.t.Helper()
	v.must("POST", "sys/mounts/secret", labtest.M{"type": "kv", "options": labtest.M{"version": "2"}}, nil)
	v.await("the KV engine", time.Minute, func() bool { return v.try("GET", "secret/config", nil, nil) == nil })
	d.env = append(d.env, "VAULT_ADDR="+v.url, "VAULT_TOKEN="+v.root)
	d.run(templateToken, "rekey", "secret", "put", guideRef, "--runner-id", "42")
}

func TestE2ETemplateTerraformEphemeral(t *testing.T) {
	t.Parallel()
	d := newTemplateDesk(t)
	d.tool("terraform")
	d.file("main.tf", replaced(t, guideBlock(t, "Terraform", 0), "/etc/gitlab-runner/config.toml", "config.toml"))
	d.run("", "terraform", "init", "-no-color")
	said := d.shell(replaced(t, guideBlock(t, "Terraform", 1), "apply", "apply -auto-approve -no-color"))
	if got := d.read("config.toml"); !strings.Contains(got, `token = "`+templateToken+`"`) {
		t.Errorf("got config.toml\n%s\nwant the token in it", got)
	}
	if strings.Contains(said+d.read("terraform.tfstate"), templateToken) {
		t.Error("the token is in Terraform's output or state, want it in neither")
	}
}

// REKEY_TF_PLUGINS names a folder as `terraform init -plugin-dir` reads it.
func TestE2ETemplateTerraformExternal(t *testing.T) {
	t.Parallel()
	d := newTemplateDesk(t)
	d.tool("terraform")
	plugins := os.Getenv("REKEY_TF_PLUGINS")
	if found, _ := filepath.Glob(filepath.Join(plugins, "registry.terraform.io/hashicorp/external/*")); plugins == "" || len(found) == 0 {
		t.Skip("*** NO PROVIDER hashicorp/external: name its folder in REKEY_TF_PLUGINS; the guide's example for it is not tried ***")
	}
	d.file("main.tf", replaced(t, guideBlock(t, "Terraform", 2), guideRef, d.ref))
	d.run("", "terraform", "init", "-no-color", "-plugin-dir="+plugins)
	d.run("", "terraform", "apply", "-auto-approve", "-no-color")
	if got := d.run("", "terraform", "output", "-raw", "runner_token"); got != templateToken {
		t.Errorf("got the output %q, want the token", got)
	}
}

func TestE2ETemplateAnsible(t *testing.T) {
	t.Parallel()
	d := newTemplateDesk(t)
	d.tool("ansible-playbook")
	book := d.file("site.yml", replaced(t, guideBlock(t, "Ansible", 0), guideRef, d.ref, "/etc/gitlab-runner/token", filepath.Join(d.dir, "token")))
	said := d.run("", "ansible-playbook", "-v", "-c", "local", "-i", "runners,", book)
	if got := d.read("token"); got != templateToken {
		t.Errorf("got the file %q, want the token alone", got)
	}
	if info, err := os.Stat(filepath.Join(d.dir, "token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
	if strings.Contains(said, templateToken) {
		t.Errorf("ansible-playbook printed the token:\n%s", said)
	}
}

// TestE2ETemplateAnsibleVault: the lookup of community.hashi_vault reads what rekey wrote.
// ansible-playbook finds the collection as always, by ANSIBLE_COLLECTIONS_PATHS too.
func TestE2ETemplateAnsibleVault(t *testing.T) {
	eachVault(t, func(t *testing.T, v *e2eVault) {
		d := newTemplateDesk(t)
		d.tool("ansible-playbook")
		const lookup = "community.hashi_vault.vault_kv2_get"
		if said, err := exec.CommandContext(t.Context(), "ansible-doc", "-t", "lookup", lookup).CombinedOutput(); err != nil {
			t.Skipf("*** NO COLLECTION community.hashi_vault: the guide's example for it is not tried ***\n%s", said)
		}
		d.secretInVault(v)
		task := guideBlock(t, "Ansible", 1)
		book := d.file("site.yml", "- hosts: runners\n  gather_facts: false\n  tasks:\n    - name: token\n      no_log: true\n      ansible.builtin.copy:\n        "+strings.TrimSpace(task)+"\n        dest: "+filepath.Join(d.dir, "token")+"\n        mode: \"0600\"\n")
		said := d.run("", "ansible-playbook", "-v", "-c", "local", "-i", "runners,", book)
		if got := d.read("token"); got != templateToken {
			t.Errorf("got the file %q, want the token alone", got)
		}
		if strings.Contains(said, templateToken) {
			t.Errorf("ansible-playbook printed the token:\n%s", said)
		}
	})
}

func TestE2ETemplateHelm(t *testing.T) {
	t.Parallel()
	d := newTemplateDesk(t)
	d.tool("helm")
	d.file("chart/Chart.yaml", "apiVersion: v2\nname: runner\nversion: 0.1.0\n")
	d.file("chart/templates/secret.yaml", guideBlock(t, "Helm", 0))
	said := d.shell(replaced(t, guideBlock(t, "Helm", 1), "helm upgrade --install", "helm template"))
	if want := fmt.Sprintf("runner-token: %q\n", templateToken); !strings.Contains(said, want) {
		t.Errorf("got\n%s\nwant %s in it", said, want)
	}
}

// TestE2ETemplateVaultAgent: a real agent renders config.toml, and anew when the
// store has another token.
func TestE2ETemplateVaultAgent(t *testing.T) { eachVault(t, templateVaultAgent) }

func templateVaultAgent(t *testing.T, v *e2eVault) {
	d := newTemplateDesk(t)
	d.secretInVault(v)

	var reader struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	v.must("PUT", "sys/policies/acl/reader", labtest.M{"policy": `path "secret/data/ci/*" { capabilities = ["read"] }`}, nil)
	v.must("POST", "auth/token/create", labtest.M{"policies": []string{"reader"}}, &reader)
	config := filepath.Join(d.dir, "config.toml")
	agent := d.file("agent.hcl", replaced(t, guideBlock(t, "Vault Agent", 0), "https://vault.example.com:8200", v.url, "/etc/vault/token", d.file("reader", reader.Auth.Token),
		"/etc/gitlab-runner/config.toml", config, `"1m"`, `"1s"`))
	cmd := exec.Command(v.program, "agent", "-config", agent)
	cmd.Env = append(os.Environ(), "HOME="+d.dir)
	e2eBackground(t, cmd)
	rendered := func(want string) func() bool {
		return func() bool {
			got, err := os.ReadFile(config)
			return err == nil && string(got) == "concurrent = 4\n\n[[runners]]\n  name = \"docker\"\n  url = \"https://gitlab.example.com\"\n  id = 42\n  token = \""+want+"\"\n  executor = \"shell\"\n"
		}
	}
	v.await("config.toml rendered", time.Minute, rendered(templateToken))
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
	const second = "glrt-CANARYtemplate67890"
	d.run(second, "rekey", "secret", "put", guideRef)
	v.await("config.toml rendered with the second token", time.Minute, rendered(second))
}

// TestE2ETemplateExternalSecrets: a real API server that has the definitions of
// External Secrets takes the objects, every field known. EXTERNAL_SECRETS_CRDS names
// the folder that has them (config/crds/bases of its sources).
func TestE2ETemplateExternalSecrets(t *testing.T) { // not parallel: the API server is this package's only one
	folder := os.Getenv("EXTERNAL_SECRETS_CRDS")
	if folder == "" {
		t.Skip("*** NO DEFINITIONS of External Secrets: name their folder in EXTERNAL_SECRETS_CRDS; the guide's objects are not tried ***")
	}
	cluster, namespace := kubetest.Real(t)
	const yaml = "application/yaml"
	for _, name := range []string{"externalsecrets", "clustersecretstores"} {
		text, err := os.ReadFile(filepath.Join(folder, "external-secrets.io_"+name+".yaml"))
		must(t, err)
		if code, said := cluster.Do("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml, string(text)); code != 201 {
			t.Fatalf("%s: %d %s", name, code, said)
		}
	}
	post := func(path, object string) (int, string) {
		t.Helper()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			code, said := cluster.Do("POST", "/apis/external-secrets.io/v1/"+path+"?fieldValidation=Strict", yaml, object)
			if code != 404 { // the definition is not served at once
				return code, said
			}
			select {
			case <-t.Context().Done():
				t.Fatalf("%s: %s", path, said)
			case <-tick.C:
			}
		}
	}
	secret := replaced(t, guideBlock(t, "External Secrets", 1), "namespace: ci", "namespace: "+namespace)
	secrets := "namespaces/" + namespace + "/externalsecrets"
	if code, said := post(secrets, replaced(t, secret, "refreshInterval", "refreshIntervall")); code != 400 && code != 422 {
		t.Errorf("an unknown field: got %d %s, want a refusal", code, said)
	}
	if code, said := post(secrets, secret); code != 201 {
		t.Errorf("the ExternalSecret: got %d %s, want 201", code, said)
	}
	if code, said := post("clustersecretstores", guideBlock(t, "External Secrets", 0)); code != 201 {
		t.Errorf("the ClusterSecretStore: got %d %s, want 201", code, said)
	}
}
