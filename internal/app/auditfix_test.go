package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rekey/internal/iac"
)

// tool is a program that reads a language: the first of its command lines whose
// program is there. FILE stands for the file.
type tool struct {
	reads    string
	commands [][]string
}

var tools = []tool{
	{"sh", [][]string{{"bash", "-n", "FILE"}}},
	{"compose", [][]string{{"docker-compose", "-f", "FILE", "config", "-q"}, {"docker", "compose", "-f", "FILE", "config", "-q"}}},
	{"playbook", [][]string{{"ansible-playbook", "--syntax-check", "-i", "localhost,", "FILE"}}},
	{"chart", [][]string{{"helm", "template", "x", "CHART", "-f", "FILE"}}},
	{"tf", [][]string{{"tofu", "fmt", "-check=false", "-write=false", "-list=false", "FILE"}, {"terraform", "fmt", "-check=false", "-write=false", "-list=false", "FILE"}}},
}

// required are the variables that a rewritten compose file asks for.
var required = regexp.MustCompile(`\$\{(\w+):\?\}`)

// accepts reports whether the language's own tool reads a text; there is none when
// found is false. REKEY_IAC_TOOLS names a folder to look in beside PATH.
func accepts(t *testing.T, reads, name string, text []byte) (ok, found bool, said string) {
	t.Helper()
	for _, one := range tools {
		if one.reads != reads {
			continue
		}
		for _, line := range one.commands {
			program, err := exec.LookPath(line[0])
			if dir := os.Getenv("REKEY_IAC_TOOLS"); dir != "" && err != nil {
				program, err = exec.LookPath(filepath.Join(dir, line[0]))
			}
			if err != nil {
				continue
			}
			dir := t.TempDir()
			file := filepath.Join(dir, filepath.Base(name))
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			args := strings.Split(strings.NewReplacer("FILE", file, "CHART", "testdata/chart").Replace(strings.Join(line[1:], "\x00")), "\x00")
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = append(os.Environ(), "HOME="+dir, "TOKEN=x")
			for _, m := range required.FindAllSubmatch(text, -1) {
				cmd.Env = append(cmd.Env, string(m[1])+"=x")
			}
			out, err := cmd.CombinedOutput()
			if err != nil && bytes.Contains(out, []byte("unknown command")) {
				continue
			}
			return err == nil, true, string(out)
		}
	}
	return false, false, ""
}

// TestRewrittenIsRead: what --fix writes is read by the language's own tool, where
// one is there. The GitLab provider is not to be had offline, so Terraform's syntax
// is checked and not its schema.
func TestRewrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reads, name, text string }{
		{"sh", "register.sh", "#!/bin/bash\nset -e\nargs=(--url \"$U\" --registration-token \"$T\"\n  --tag-list \"a b\")\nif true; then\n  sudo gitlab-runner register -n \\\n    -r 'GR1348941CANARYq8Zt3Wm5Xc7Vb' \\\n    --locked=false \\\n    --run-untagged && echo done\nfi\nssh host \"gitlab-runner register --registration-token $T --locked=false\"\n"},
		{"compose", "docker-compose.yml", "services:\n  r:\n    image: gitlab/gitlab-runner:v16.11.0\n    environment:\n      - REGISTRATION_TOKEN=${TOKEN}\n      - RUNNER_TAG_LIST=a,b\n      - RUNNER_EXECUTOR=shell\n  s:\n    image: gitlab/gitlab-runner:v16.11.0\n    environment:\n      RUNNER_TOKEN: glrt-CANARY9fQ2xLw7ZpTbK4\n    command: [\"register\", \"--non-interactive\", \"--registration-token\", \"${TOKEN}\", \"--tag-list\", \"a,b\", \"--executor\", \"shell\"]\n"},
		{"playbook", "playbook.yml", "- hosts: all\n  vars:\n    gitlab_runner_token: glrt-CANARY9fQ2xLw7ZpTbK4\n  tasks:\n    - name: register\n      ansible.builtin.command: >-\n        gitlab-runner register --non-interactive\n        --registration-token {{ token }}\n        --tag-list \"{{ tags }}\"\n    - name: register by a script\n      ansible.builtin.shell: |\n        gitlab-runner register \\\n          --registration-token \"{{ token }}\" \\\n          --locked=false\n    - name: by arguments\n      ansible.builtin.command:\n        argv:\n          - gitlab-runner\n          - register\n          - --registration-token\n          - \"{{ token }}\"\n          - --tag-list\n          - a\n"},
		{"chart", "values.yaml", "gitlabUrl: https://gitlab.example.com/\nrunnerRegistrationToken: \"GR1348941CANARYq8Zt3Wm5Xc7Vb\"\nrunners:\n  tags: \"a,b\"\n  locked: false\n  name: x\n"},
		{"tf", "main.tf", "resource \"gitlab_runner\" \"r\" {\n  registration_token = gitlab_group.g.runners_token\n  run_untagged = false\n}\noutput \"x\" {\n  value = gitlab_runner.r.id\n}\nmodule \"gitlab_runner\" {\n  source = \"./x\"\n  runner_token = \"glrt-CANARY9fQ2xLw7ZpTbK4\"\n}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := iac.Rewrite(c.name, []byte(c.text), iac.RewriteOptions{})
			if !r.Changed() || r.Refused != "" {
				t.Fatalf("changed %v, refused %q, want a rewriting", r.Changed(), r.Refused)
			}
			ok, found, said := accepts(t, c.reads, c.name, r.After)
			if !found {
				t.Skipf("*** NO TOOL reads %s: install one, or name its folder in REKEY_IAC_TOOLS ***", c.reads)
			}
			if !ok {
				t.Errorf("refused: %s\n%s", said, r.After)
			}
		})
	}
}

// TestCorpusIsRead: a real file that its tool read before is read afterwards, and
// the whole tree, rewritten in a copy, has nothing left to rewrite.
func TestCorpusIsRead(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REKEY_CORPUS")
	if dir == "" {
		t.Skip("*** NO CORPUS: set REKEY_CORPUS to a folder with files/ ***")
	}
	files, err := filepath.Glob(filepath.Join(dir, "files", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("*** NO CORPUS: %v ***", err)
	}
	read := 0
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := iac.Rewrite(path, raw, iac.RewriteOptions{})
		reads := map[string]string{".sh": "sh", ".tf": "tf"}[filepath.Ext(path)]
		if strings.Contains(path, "docker-compose") && filepath.Ext(path) == ".yml" {
			reads = "compose"
		}
		if !r.Changed() || reads == "" {
			continue
		}
		if ok, _, _ := accepts(t, reads, path, raw); !ok {
			continue
		}
		read++
		if ok, _, said := accepts(t, reads, path, r.After); !ok {
			t.Errorf("%s: refused after the rewriting: %s", filepath.Base(path), said)
		}
	}
	t.Logf("%d rewritten files were read by their own tools", read)
	copyAndFixTwice(t, dir)
}

func copyAndFixTwice(t *testing.T, dir string) {
	t.Helper()
	tree := t.TempDir()
	if err := os.CopyFS(tree, os.DirFS(filepath.Join(dir, "files"))); err != nil {
		t.Fatal(err)
	}
	fix := func() AuditOutput {
		out, err := New(os.LookupEnv, "test").Audit(t.Context(), AuditInput{Paths: []string{tree}, Fix: true, NoIgnore: true})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first, second := fix(), fix()
	for _, f := range second.Report.Rewritten {
		if f.Changed {
			t.Errorf("%s: a second run changes it again:\n%s", f.Path, f.Diff)
		}
	}
	if got, want := len(second.Report.Findings), len(first.Report.Findings); got != want {
		t.Errorf("a second run reports %d findings, want the %d that the first left", got, want)
	}
}

// TestAuditFixKeepsTheMode: the file keeps its mode, and no copy with a token is left
// beside it.
func TestAuditFixKeepsTheMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ngitlab-runner register --registration-token \"$T\"\n"), 0o750); err != nil {
		t.Fatal(err)
	}
	out, err := New(os.LookupEnv, "test").Audit(t.Context(), AuditInput{Paths: []string{path}, Fix: true})
	if err != nil || len(out.Report.Rewritten) != 1 || !out.Report.Rewritten[0].Written {
		t.Fatalf("%v: %+v, want the file written", err, out.Report.Rewritten)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("mode %v (%v), want 0750", info.Mode(), err)
	}
	beside, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(beside) != 1 {
		t.Errorf("%d files (%v), want no copy beside it", len(beside), err)
	}
}
