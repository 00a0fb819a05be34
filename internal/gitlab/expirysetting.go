package gitlab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// ExpirySetting is one interval after which tokens issued from now on expire.
// Tokens that exist keep the expiry they were issued with.
type ExpirySetting struct {
	Key      string        // as GitLab spells it
	Interval time.Duration // 0: never, where Known
	Known    bool          // GitLab showed it
}

// ExpiryReach names where expiry settings belong.
type ExpiryReach struct {
	Reach Reach  // ReachInstance, ReachGroup or ReachProject
	Owner string // path or id of the group or project
}

// expiryKeys are the settings of each reach. Those of an instance are
// GET and PUT /application/settings (doc/api/settings); that of a project is in
// /projects/:id; those of a group GitLab keeps for its pages and GraphQL.
var expiryKeys = map[Reach][]string{
	ReachInstance: {"runner_token_expiration_interval", "group_runner_token_expiration_interval", "project_runner_token_expiration_interval"},
	ReachGroup:    {"runner_token_expiration_interval", "subgroup_runner_token_expiration_interval", "project_runner_token_expiration_interval"},
	ReachProject:  {"runner_token_expiration_interval"},
}

// ExpirySettings reads the settings of a reach, in GitLab's order. A key that
// the answer lacks is not Known: for a group that is the rule.
func (c *Client) ExpirySettings(ctx context.Context, r ExpiryReach) ([]ExpirySetting, error) {
	path, op, err := expiryPath("read", r)
	if err != nil {
		return nil, err
	}
	body, _, err := fetch[map[string]json.RawMessage](ctx, c, op, path, nil)
	if err != nil {
		return nil, err
	}
	return expiryFrom(op, body, expiryKeys[r.Reach])
}

func expiryFrom(op operation, body map[string]json.RawMessage, keys []string) ([]ExpirySetting, error) {
	var list []ExpirySetting
	for _, key := range keys {
		s := ExpirySetting{Key: key}
		if raw, there := body[key]; there {
			var seconds *int64
			if json.Unmarshal(raw, &seconds) != nil {
				return nil, op.fail(rekey.KindUnavailable, nil, "%s is no number of seconds", key)
			}
			s.Known = true
			if seconds != nil {
				s.Interval = time.Duration(*seconds) * time.Second
			}
		}
		list = append(list, s)
	}
	return list, nil
}

// SetExpiry changes settings of a reach, 0 being never, and returns them as
// GitLab then has them: it ignores keys that it does not know, so compare.
func (c *Client) SetExpiry(ctx context.Context, r ExpiryReach, intervals map[string]time.Duration) ([]ExpirySetting, error) {
	path, op, err := expiryPath("change", r)
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	for key, interval := range intervals {
		body[key] = nil
		if interval > 0 {
			body[key] = int64(interval / time.Second)
		}
	}
	err = c.change(ctx, "expiry", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		req, err := c.api.NewRequest(http.MethodPut, path, body, o)
		if err != nil {
			return nil, err
		}
		return c.api.Do(req, nil)
	})
	if err != nil {
		return nil, err
	}
	return c.ExpirySettings(ctx, r)
}

func expiryPath(verb string, r ExpiryReach) (string, operation, error) {
	scope := scopeList
	if verb == "change" {
		scope = scopeAPI
	}
	op := operation{what: verb + " the expiry settings of the instance", scope: scope, role: roleAdmin}
	switch {
	case r.Reach == ReachInstance:
		return "application/settings", op, nil
	case r.Owner == "":
		return "", op, op.fail(rekey.KindInvalid, nil, "no %s is named", r.Reach)
	case r.Reach == ReachGroup:
		op.role = "Owner of the group"
	case r.Reach == ReachProject:
		op.role = "Maintainer of the project"
	default:
		return "", op, op.fail(rekey.KindInvalid, nil, "%q has no expiry settings", r.Reach)
	}
	op.what = fmt.Sprintf("%s the expiry settings of %s %s", verb, r.Reach, r.Owner)
	return string(r.Reach) + "s/" + api.PathEscape(r.Owner), op, nil
}
