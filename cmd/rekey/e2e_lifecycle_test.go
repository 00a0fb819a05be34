package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var e2eToken = regexp.MustCompile(`(?m)^\s*token = "([^"]+)"`)

// tokens returns the tokens of a config, in order.
func e2eTokens(t *testing.T, config string) []string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	for _, m := range e2eToken.FindAllStringSubmatch(string(text), -1) {
		tokens = append(tokens, m[1])
	}
	return tokens
}

// registered is a config with one section of a record that was just created.
func (r e2eRunner) registered(t *testing.T, l *e2eLab) (config string, id int64) {
	t.Helper()
	config = filepath.Join(t.TempDir(), "config.toml")
	id, token := l.newRunner()
	r.must(t, config, "register", "--non-interactive", "--url", l.URL, "--token", token, "--executor", "shell", "--name", "e2e")
	return config, id
}

// TestE2ELifecycle: what else people do with a created token.
func TestE2ELifecycle(t *testing.T) {
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(15, 11) {
			continue
		}
		t.Run(e2eName(r, "17.11"), func(t *testing.T) {
			l := e2eLabUp(t, "--gitlab-version", "17.11")
			t.Run("reserved arguments", func(t *testing.T) { r.reserved(t, l) })
			t.Run("reset-token", func(t *testing.T) { r.resets(t, l) })
			t.Run("automatic rotation", func(t *testing.T) { r.rotates(t, l) })
			t.Run("two managers", func(t *testing.T) { r.shares(t, l) })
			t.Run("list and verify --delete", func(t *testing.T) { r.forgets(t, l) })
		})
	}
}

func (r e2eRunner) reserved(t *testing.T, l *e2eLab) {
	config := filepath.Join(t.TempDir(), "config.toml")
	_, token := l.newRunner()
	out, err := r.command(t, config, "register", "--non-interactive", "--url", l.URL, "--token", token, "--executor", "shell", "--tag-list", "x")
	if want := "reserved"; err == nil || !strings.Contains(out, want) {
		t.Errorf("register with --tag-list: %v, want a failure with %q\n%s", err, want, out)
	}
}

func (r e2eRunner) resets(t *testing.T, l *e2eLab) {
	config, _ := r.registered(t, l)
	first := e2eTokens(t, config)[0]
	r.must(t, config, "reset-token", "--name", "e2e")
	second := e2eTokens(t, config)[0]
	r.must(t, config, "reset-token", "--name", "e2e", "--pat", l.Admin)
	third := e2eTokens(t, config)[0]
	if first == second || second == third {
		t.Errorf("a reset left the token as it was")
	}
	r.must(t, config, "verify")
	if _, err := l.verify(second); err == nil {
		t.Errorf("the token before the last reset is still accepted")
	}
}

// verify asks the lab about a runner token, without a system id.
func (l *e2eLab) verify(token string) ([]byte, error) {
	return l.try("POST", "runners/verify", map[string]string{"token": token})
}

// rotates shortens the life that the section tells of its token, so that three
// quarters of it are over: gitlab-runner resets the token by itself.
func (r e2eRunner) rotates(t *testing.T, l *e2eLab) {
	l.call("PUT", "application/settings", map[string]any{"project_runner_token_expiration_interval": 7200}, nil)
	defer l.call("PUT", "application/settings", map[string]any{"project_runner_token_expiration_interval": nil}, nil)
	config, id := r.registered(t, l)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	obtained := regexp.MustCompile(`token_obtained_at = \S+`)
	old := "token_obtained_at = " + time.Now().UTC().Add(-30*time.Hour).Format(time.RFC3339)
	if err := os.WriteFile(config, obtained.ReplaceAll(text, []byte(old)), 0o600); err != nil {
		t.Fatal(err)
	}
	before := e2eTokens(t, config)[0]
	r.run(t, config)
	l.await("a rotation", func() bool {
		tokens := e2eTokens(t, config)
		return len(tokens) == 1 && tokens[0] != before
	})
	if _, err := l.verify(before); err == nil {
		t.Errorf("the token is still accepted after its rotation")
	}
	l.jobRuns("e2e", id)
}

// shares runs two processes on one token: two managers of one record.
func (r e2eRunner) shares(t *testing.T, l *e2eLab) {
	config, id := r.registered(t, l)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	twin := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(twin, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, systemID := range map[string]string{config: "r_aaaaaaaaaaaa", twin: "r_bbbbbbbbbbbb"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".runner_system_id"), []byte(systemID), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(t, path)
	}
	var managers []struct {
		SystemID string `json:"system_id"`
		Status   string
	}
	l.await("two online managers", func() bool {
		l.call("GET", fmt.Sprintf("runners/%d/managers", id), nil, &managers)
		online := 0
		for _, m := range managers {
			if m.Status == "online" && strings.HasPrefix(m.SystemID, "r_") && (strings.HasSuffix(m.SystemID, "aaaa") || strings.HasSuffix(m.SystemID, "bbbb")) {
				online++
			}
		}
		return online == 2
	})
}

func (r e2eRunner) forgets(t *testing.T, l *e2eLab) {
	config, id := r.registered(t, l)
	if out := r.must(t, config, "list"); !strings.Contains(out, "e2e") {
		t.Errorf("list does not name the section")
	}
	if _, err := l.try("DELETE", fmt.Sprintf("runners/%d", id), nil); err != nil {
		t.Fatal(err)
	}
	r.must(t, config, "verify", "--delete")
	if left := e2eTokens(t, config); len(left) != 0 {
		t.Errorf("verify --delete left %d sections, want none", len(left))
	}
}
