package app

import (
	"context"
	"time"

	"rekey"
	"rekey/internal/gitlab"
)

// TokenLife reads how long tokens of each scope live that are issued now, 0 for
// ever, as far as the instance says.
func (f fleet) TokenLife(ctx context.Context) (map[rekey.Scope]time.Duration, error) {
	list, err := f.ExpirySettings(ctx, gitlab.ExpiryReach{Reach: gitlab.ReachInstance})
	if err != nil {
		return nil, err
	}
	scopes := map[string]rekey.Scope{
		"runner_token_expiration_interval":         rekey.ScopeInstance,
		"group_runner_token_expiration_interval":   rekey.ScopeGroup,
		"project_runner_token_expiration_interval": rekey.ScopeProject,
	}
	life := map[rekey.Scope]time.Duration{}
	for _, s := range list {
		if scope := scopes[s.Key]; s.Known && scope != "" {
			life[scope] = s.Interval
		}
	}
	return life, nil
}
