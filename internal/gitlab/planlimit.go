package gitlab

import (
	"context"
	"strconv"
	"time"

	"rekey"
)

// staleAfter is when a runner no longer counts against a plan's limit
// (Ci::Runner::STALE_TIMEOUT; three months before 17.x, which counts more).
const staleAfter = 7 * 24 * time.Hour

// Headroom returns how many more runners a group or project may have by the
// limits of the default plan (GET /application/plan_limits). known is false where
// the user may not read them: only administrators may. Instance runners have no
// limit.
func (c *Client) Headroom(ctx context.Context, scope rekey.Scope, owner int64, now time.Time) (free int, known bool, err error) {
	op := operation{what: "read the plan limits", scope: scopeRead, role: roleAdmin}
	limits, _, err := fetch[struct {
		Group   int `json:"ci_registered_group_runners"`
		Project int `json:"ci_registered_project_runners"`
	}](ctx, c, op, "application/plan_limits", nil)
	if err != nil {
		return 0, false, err
	}
	limit, reach := limits.Project, ReachProject
	if scope == rekey.ScopeGroup {
		limit, reach = limits.Group, ReachGroup
	}
	if limit == 0 { // no limit
		return 1 << 30, true, nil
	}
	runners, err := c.List(ctx, ListOptions{Reach: reach, Owner: strconv.FormatInt(owner, 10), Type: scope})
	if err != nil {
		return 0, false, err
	}
	for _, r := range runners {
		if r.Status != "stale" || now.Sub(r.CreatedAt) < staleAfter {
			limit--
		}
	}
	return limit, true, nil
}
