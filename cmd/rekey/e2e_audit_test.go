package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekey"
)

// TestE2EAuditFixRegisters: a script that registers with a registration token is
// refused by a lab that switched them off; rewritten by audit --fix, and given the
// token of a runner made as its comment says, it registers an unmodified
// gitlab-runner, which runs a job.
func TestE2EAuditFixRegisters(t *testing.T) {
	t.Parallel()
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(16, 0) {
			continue
		}
		t.Run(e2eName(r, "17.11"), func(t *testing.T) {
			t.Parallel()
			lab := e2eLabUp(t, "--gitlab-version", "17.11", "--profile", "gitlab.com")
			e2eAuditFix(t, lab, r)
		})
	}
}

func e2eAuditFix(t *testing.T, lab *e2eLab, r e2eRunner) {
	t.Helper()
	dir := t.TempDir()
	script, config := filepath.Join(dir, "register.sh"), filepath.Join(dir, "config.toml")
	bin := filepath.Join(dir, "gitlab-runner")
	if err := os.Symlink(r.path, bin); err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{"#!/bin/sh", "set -eu", `gitlab-runner register \`, `  --non-interactive \`, `  --url "$URL" \`, `  --registration-token "$TOKEN" \`,
		`  --tag-list "e2e,docker" \`, `  --run-untagged=false \`, `  --locked=false \`, `  --executor shell \`, `  --config "$CONFIG"`, ""}, "\n")
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(token string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", script)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "URL="+lab.URL, "CONFIG="+config, "TOKEN="+token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(lab.Register["instance"]); err == nil {
		t.Fatalf("the old script registers with a lab of 17.11, want it refused:\n%s", out)
	}
	fix := exec.CommandContext(t.Context(), lab.rekey, "audit", "--fix", script)
	fix.Env = append(os.Environ(), "HOME="+dir)
	if out, err := fix.CombinedOutput(); err != nil {
		t.Fatalf("rekey audit --fix: %v\n%s", err, out)
	}
	after, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(after), `-f tag_list="e2e,docker" -f run_untagged=false -f locked=false`) {
		t.Errorf("the script does not say how the record is made:\n%s", after)
	}
	var record struct {
		ID    int64
		Token string
	}
	lab.call("POST", "user/runners", map[string]any{"runner_type": "project_type", "project_id": lab.project, "tag_list": "e2e,docker", "run_untagged": false, "locked": false}, &record)
	if out, err := run(record.Token); err != nil {
		t.Fatalf("the rewritten script: %v\n%s\n%s", err, redact(out, record.Token), after)
	}
	r.must(t, config, "verify")
	var seen struct {
		TagList []string `json:"tag_list"`
	}
	answer, err := lab.try("GET", fmt.Sprintf("runners/%d", record.ID), nil)
	if err != nil || json.Unmarshal(answer, &seen) != nil || len(seen.TagList) != 2 {
		t.Errorf("runner %d: %v %s, want its two tags", record.ID, err, answer)
	}
	r.run(t, config)
	lab.jobRuns("e2e", record.ID)
}

func redact(text, token string) string {
	return strings.ReplaceAll(text, token, rekey.NewToken(token).String())
}
