package gitlab

import (
	"context"
	"fmt"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// BranchProtected reports whether a branch is protected; an error of kind not-found
// says that there is no such branch: a job's ref may be a tag. Needs read_api.
func (c *Client) BranchProtected(ctx context.Context, project, branch string) (bool, error) {
	op := operation{what: fmt.Sprintf("read branch %s of project %s", branch, project), scope: scopeList, role: "Reporter of the project"}
	b, _, err := fetch[struct {
		Protected bool `json:"protected"`
	}](ctx, c, op, fmt.Sprintf("projects/%s/repository/branches/%s", api.PathEscape(project), api.PathEscape(branch)), nil)
	return b.Protected, err
}
