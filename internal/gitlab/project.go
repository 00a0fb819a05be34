package gitlab

import (
	"context"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// Project is what rekey needs of one.
type Project struct {
	ID            int64
	Path          string // full path
	DefaultBranch string // "" of an empty repository
	Namespace     string // full path of its group or user
	NamespaceID   int64
	WebURL        string
	Archived      bool
	GroupRunners  bool // group runners are enabled
	SharedRunners bool // instance runners are enabled
}

// Project reads one project, named by full path or id. Needs read_api.
func (c *Client) Project(ctx context.Context, pathOrID string) (Project, error) {
	op := operation{what: "read project " + pathOrID, scope: scopeList, role: "Reporter of the project"}
	var p *api.Project
	err := c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		p, resp, err = c.api.Projects.GetProject(pathOrID, nil, o...)
		return resp, err
	})
	if err != nil {
		return Project{}, err
	}
	project := Project{
		ID: p.ID, Path: p.PathWithNamespace, DefaultBranch: p.DefaultBranch, WebURL: p.WebURL,
		Archived: p.Archived, GroupRunners: p.GroupRunnersEnabled, SharedRunners: p.SharedRunnersEnabled,
	}
	if p.Namespace != nil {
		project.Namespace, project.NamespaceID = p.Namespace.FullPath, p.Namespace.ID
	}
	return project, nil
}

// Group is what rekey needs of one.
type Group struct {
	ID     int64
	Path   string // full path
	WebURL string
}

// Group reads one group, named by full path or id. Needs read_api.
func (c *Client) Group(ctx context.Context, pathOrID string) (Group, error) {
	op := operation{what: "read group " + pathOrID, scope: scopeList, role: "member of the group"}
	var g *api.Group
	err := c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		//lint:ignore SA1019 until v5 of the API the answer would hold every project of the group
		g, resp, err = c.api.Groups.GetGroup(pathOrID, &api.GetGroupOptions{WithProjects: api.Ptr(false)}, o...)
		return resp, err
	})
	if err != nil {
		return Group{}, err
	}
	return Group{ID: g.ID, Path: g.FullPath, WebURL: g.WebURL}, nil
}
