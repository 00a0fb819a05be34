package gitlab

import (
	"context"
	"fmt"
	"net/http"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// NewestRunner returns the highest id among all runners, 0 when there is none.
// whole is false where GitLab did not tell how many pages there are (above 10,000
// rows): the id is then only the highest that was seen. GitLab never gives an id
// twice, except after it was restored from a backup. Administrators only.
func (c *Client) NewestRunner(ctx context.Context) (newest rekey.RunnerID, whole bool, err error) {
	op := operation{what: "list runners", scope: scopeList, role: roleAdmin}
	query := &api.ListRunnersOptions{ListOptions: api.ListOptions{PerPage: 100, Page: 1}}
	first, resp, err := fetch[[]wireRunner](ctx, c, op, "runners/all", query)
	if err != nil {
		return 0, false, err
	}
	for _, w := range first {
		newest = max(newest, w.runner().ID)
	}
	if nextPage(resp, 1) == 0 {
		return newest, true, nil
	}
	if resp.TotalPages == 0 {
		return newest, false, nil
	}
	query.Page = resp.TotalPages // the order of the list is not promised: the newest are at one of its ends
	last, _, err := fetch[[]wireRunner](ctx, c, op, "runners/all", query)
	for _, w := range last {
		newest = max(newest, w.runner().ID)
	}
	return newest, err == nil, err
}

// Undecryptable returns the request, if any, that a GitLab without its secrets
// cannot answer: a group or project shown with its registration token, which is
// encrypted. It is "" where GitLab decrypts, or shows no registration token because
// it takes none, and an error where nothing could be asked. Needs a group or project whose owner the user is.
func (c *Client) Undecryptable(ctx context.Context) (request string, err error) {
	type owned struct {
		ID int64 `json:"id"`
	}
	op := operation{what: "read a group or project", scope: scopeList, role: "owner of one"}
	for _, kind := range []string{"groups", "projects"} {
		query := struct {
			PerPage int  `url:"per_page"`
			Owned   bool `url:"owned"`
		}{1, true}
		found, _, err := fetch[[]owned](ctx, c, op, kind, query)
		if err != nil {
			return "", err
		}
		if len(found) == 0 {
			continue
		}
		path := fmt.Sprintf("%s/%d", kind, found[0].ID)
		status := 0
		_, resp, err := fetch[owned](ctx, c, op, path, nil)
		if resp != nil {
			status = resp.StatusCode
		}
		if status == http.StatusInternalServerError {
			return "GET " + c.base + apiPath + path, nil
		}
		return "", err
	}
	return "", rekey.Errorf(rekey.KindNotFound, "the user owns no group and no project")
}
