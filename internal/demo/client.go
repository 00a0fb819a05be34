package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client sets the lab up through GitLab's own API, as anybody would.
type client struct {
	base, token string
	http        *http.Client
}

func newClient(base, token string) *client {
	return &client{base: base + "/api/v4/", token: token, http: &http.Client{Timeout: 20 * time.Second}}
}

// call makes one request and decodes the answer into into, when it is not nil.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("PRIVATE-TOKEN", c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if into == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// issued is a runner as it is created or reset.
type issued struct {
	ID        int64      `json:"id"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"token_expires_at"`
}

func (c *client) createRunner(ctx context.Context, attributes map[string]any) (issued, error) {
	var r issued
	return r, c.call(ctx, http.MethodPost, "user/runners", attributes, &r)
}

func (c *client) resetRunner(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodPost, fmt.Sprintf("runners/%d/reset_authentication_token", id), nil, nil)
}

func (c *client) deleteRunner(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodDelete, fmt.Sprintf("runners/%d", id), nil, nil)
}

func (c *client) settings(ctx context.Context, values map[string]any) error {
	return c.call(ctx, http.MethodPut, "application/settings", values, nil)
}

func (c *client) maintenance(ctx context.Context, on bool) error {
	return c.settings(ctx, map[string]any{"maintenance_mode": on})
}

func (c *client) online(ctx context.Context, id int64) (bool, error) {
	var r struct {
		Online *bool `json:"online"`
	}
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("runners/%d", id), nil, &r)
	return r.Online != nil && *r.Online, err
}

func (c *client) successes(ctx context.Context, id int64) (int, error) {
	var jobs []struct{}
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("runners/%d/jobs?status=success", id), nil, &jobs)
	return len(jobs), err
}

func (c *client) group(ctx context.Context, path string) (int64, error) {
	var g struct {
		ID int64 `json:"id"`
	}
	return g.ID, c.call(ctx, http.MethodPost, "groups", map[string]any{"name": path, "path": path}, &g)
}

// project makes a project whose pipeline is the canary's, and lets maintainers
// set pipeline variables: new namespaces of GitLab.com let nobody.
func (c *client) project(ctx context.Context, group int64, path string) (int64, error) {
	var p struct {
		ID int64 `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "projects", map[string]any{"name": path, "path": path, "namespace_id": group, "initialize_with_readme": true}, &p)
	if err != nil {
		return 0, err
	}
	role := map[string]any{"ci_pipeline_variables_minimum_override_role": "maintainer"}
	if err := c.call(ctx, http.MethodPut, fmt.Sprintf("projects/%d", p.ID), role, nil); err != nil {
		return 0, err
	}
	file := fmt.Sprintf("projects/%d/repository/files/%s", p.ID, url.PathEscape(".gitlab-ci.yml"))
	return p.ID, c.call(ctx, http.MethodPost, file, map[string]any{"branch": "main", "content": canaryCI, "commit_message": "Add the canary [skip ci]"}, nil)
}

// canaryCI is the pipeline of docs/guides/canary.md.
const canaryCI = `rekey-canary:
  tags: [$REKEY_CANARY_TAG]
  rules:
    - if: $REKEY_CANARY_TAG
  variables:
    GIT_STRATEGY: none
  script:
    - echo "canary on $CI_RUNNER_DESCRIPTION for $REKEY_CANARY_TAG"
`
