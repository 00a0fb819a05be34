package gitlab

import (
	"context"
	"errors"
	"slices"
	"strconv"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// Reach is which runners a list is about.
type Reach string

// The reaches.
const (
	ReachOwn      Reach = ""         // those the user may administer (GET /runners)
	ReachAll      Reach = "all"      // every runner; administrators (GET /runners/all)
	ReachInstance Reach = "instance" // instance runners; administrators
	ReachGroup    Reach = "group"    // those available to the group Owner
	ReachProject  Reach = "project"  // those available to the project Owner
)

// ListOptions choose runners; zero values do not filter.
type ListOptions struct {
	Reach  Reach
	Owner  string // path or id of the group or project
	Status string // GitLab's: online, offline, stale, never_contacted
	Tags   []string
	Type   rekey.Scope
	Paused *bool
}

// List returns all pages of a list, in GitLab's order. Runners of a list carry
// no tags, notes or assignments. KindDenied where the user may not list.
func (c *Client) List(ctx context.Context, o ListOptions) ([]rekey.Runner, error) {
	path, op, err := listPath(o)
	if err != nil {
		return nil, err
	}
	query := listQuery(o)
	var runners []rekey.Runner
	for page := int64(1); ; {
		query.Page = page
		wire, resp, err := fetch[[]wireRunner](ctx, c, op, path, query)
		if err != nil {
			return nil, err
		}
		for _, w := range wire {
			runners = append(runners, w.runner())
		}
		if page = nextPage(resp, page); page == 0 {
			return runners, nil
		}
	}
}

func listPath(o ListOptions) (string, operation, error) {
	op := operation{what: "list runners", scope: scopeList, role: roleRead}
	switch o.Reach {
	case ReachOwn:
		return "runners", op, nil
	case ReachAll, ReachInstance:
		op.role = roleAdmin
		return "runners/all", op, nil
	case ReachGroup, ReachProject:
		if o.Owner == "" {
			return "", op, op.fail(rekey.KindInvalid, nil, "no %s is named", o.Reach)
		}
		op.what, op.role = "list the runners of "+string(o.Reach)+" "+o.Owner, "Maintainer of the "+string(o.Reach)
		return string(o.Reach) + "s/" + api.PathEscape(o.Owner) + "/runners", op, nil
	}
	return "", op, op.fail(rekey.KindInvalid, nil, "%q is not a reach", o.Reach)
}

func listQuery(o ListOptions) *api.ListRunnersOptions {
	q := &api.ListRunnersOptions{ListOptions: api.ListOptions{PerPage: 100}, Paused: o.Paused}
	if o.Reach == ReachInstance {
		o.Type = rekey.ScopeInstance
	}
	if o.Type != "" {
		q.Type = api.Ptr(o.Type.RunnerType())
	}
	if o.Status != "" {
		q.Status = &o.Status
	}
	if len(o.Tags) > 0 {
		q.TagList = &o.Tags
	}
	return q
}

// nextPage follows X-Next-Page, else the page of Link's next; 0 at the end, and
// when a page does not lead on.
func nextPage(resp *api.Response, page int64) int64 {
	next := resp.NextPage
	if next == 0 && resp.NextLink != "" {
		next, _ = strconv.ParseInt(queryOf(resp.NextLink, "page"), 10, 64)
	}
	if next <= page {
		return 0
	}
	return next
}

// FindByTag returns the records, in detail, that carry tag: among all runners
// for an administrator, else among those the user may administer. The tag is
// read back from each record, so that what follows cannot hit another one.
// KindDenied where the user token may not list at all, as with create_runner
// alone.
func (c *Client) FindByTag(ctx context.Context, tag string) ([]rekey.Runner, error) {
	listed, err := c.List(ctx, ListOptions{Reach: ReachAll, Tags: []string{tag}})
	if rekey.KindOf(err) == rekey.KindDenied && !errors.Is(err, ErrTokenRefused) {
		listed, err = c.List(ctx, ListOptions{Tags: []string{tag}})
	}
	if err != nil {
		return nil, err
	}
	var found []rekey.Runner
	for _, l := range listed {
		r, err := c.Runner(ctx, l.ID)
		switch {
		case rekey.KindOf(err) == rekey.KindNotFound && !errors.Is(err, ErrNoRoute) && err != nil:
		case err != nil:
			return nil, err
		case slices.Contains(r.Tags, tag):
			found = append(found, r)
		}
	}
	return found, nil
}
