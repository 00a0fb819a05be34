package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/internal/lab/labtest"
)

// TestE2EAgentFollowsGitLabRunner: a token that an unmodified gitlab-runner rotated by
// itself is soon in the store, a token that was then put there is soon in its config,
// and a job runs with each.
func TestE2EAgentFollowsGitLabRunner(t *testing.T) {
	for _, r := range e2eRunners(t) {
		if !r.version.AtLeast(15, 11) {
			continue // rotation came with 15.3, and glrt- tokens are for all of these
		}
		t.Run(e2eName(r, "17.11"), func(t *testing.T) {
			l := e2eLabUp(t)
			l.call("PUT", "application/settings", labtest.M{"project_runner_token_expiration_interval": 7200}, nil)
			l.call("PUT", "application/settings", labtest.M{"runner_token_expiration_interval": 7200}, nil)
			id, first := l.newRunner()
			h := newAgentHost(t, "")
			h.ownRotationDue(l.URL, planted{name: "own", token: first, id: id})
			h.secret("put", "own", first)
			h.start("--interval", "2s")
			began := time.Now()
			r.run(t, h.config)

			var second string
			h.until("gitlab-runner's token is in the store", func() bool {
				second = h.secret("get", "own", "")
				return second != first && h.holds(second)
			})
			if got := l.holder(second); got != id {
				t.Fatalf("the store's token is runner %d's, want %d's", got, id)
			}
			t.Logf("gitlab-runner %s: the token that it rotated by itself was in the store %s after its start", r.version, time.Since(began).Round(100*time.Millisecond))
			if l.holder(first) != 0 {
				t.Errorf("GitLab still takes the first token: gitlab-runner has not rotated it")
			}
			l.jobRuns("e2e", id)

			var third labtest.Issued
			l.call("POST", fmt.Sprintf("runners/%d/reset_authentication_token", id), nil, &third)
			h.secret("put", "own", third.Token)
			h.until("the store's token is in the config", func() bool { return h.holds(third.Token) })
			l.jobRuns("e2e", id)
			if !h.holds(third.Token) || h.secret("get", "own", "") != third.Token {
				t.Errorf("after a job config and store no longer both hold the third token")
			}
			for _, token := range []string{first, second, third.Token} {
				if strings.Contains(h.logged(), token[5:]) {
					t.Errorf("the agent's log holds a token")
				}
			}
		})
	}
}

// ownRotationDue writes a section of which gitlab-runner finds three quarters of its
// token's life over.
func (h *agentHost) ownRotationDue(url string, s planted) {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	must(h.t, os.WriteFile(h.config, fmt.Appendf(nil, "concurrent = 4\ncheck_interval = 1\n\n[[runners]]\n  name = %q\n  url = %q\n  id = %d\n  token = %q\n  token_obtained_at = %s\n  token_expires_at = %s\n  executor = \"shell\"\n",
		s.name, url, s.id, s.token, now.Add(-100*time.Minute).Format(time.RFC3339), now.Add(20*time.Minute).Format(time.RFC3339)), 0o600))
	must(h.t, os.Remove(filepath.Join(filepath.Dir(h.config), ".runner_system_id"))) // gitlab-runner makes its own
}

// holds reports whether the config has a token.
func (h *agentHost) holds(token string) bool {
	text, _ := os.ReadFile(h.config)
	return strings.Contains(string(text), `"`+token+`"`)
}

// holder asks whose token it is; 0 for nobody's.
func (l *e2eLab) holder(token string) int64 {
	l.t.Helper()
	resp, err := http.PostForm(l.URL+"/api/v4/runners/verify", map[string][]string{"token": {token}}) //nolint:noctx // the lab's
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var one struct{ ID int64 }
	if resp.StatusCode == http.StatusOK {
		must(l.t, json.NewDecoder(resp.Body).Decode(&one))
	}
	return one.ID
}
