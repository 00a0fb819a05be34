package gitlab

import (
	"context"
	"encoding/base64"
	"errors"
	"path"
	"strconv"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// MakeProject makes a private project with a README at a full path; the group or
// user before its last part is there already. It is never repeated. Needs api.
func (c *Client) MakeProject(ctx context.Context, fullPath string) (Project, error) {
	op := operation{what: "make the project " + fullPath, scope: scopeAPI, role: "Maintainer of the group, or whoever may make projects there"}
	name, namespace := path.Base(fullPath), path.Dir(fullPath)
	options := &api.CreateProjectOptions{Name: &name, Path: &name, InitializeWithReadme: api.Ptr(true), Visibility: api.Ptr(api.PrivateVisibility)}
	id, err := c.namespaceID(ctx, namespace)
	if err != nil {
		return Project{}, err
	}
	if id != 0 {
		options.NamespaceID = &id
	}
	err = c.change(ctx, "project", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		_, resp, err := c.api.Projects.CreateProject(options, o...)
		return resp, err
	})
	if err != nil {
		return Project{}, err
	}
	return c.Project(ctx, fullPath)
}

// namespaceID returns a group's id, and 0 for the user's own namespace.
func (c *Client) namespaceID(ctx context.Context, namespace string) (int64, error) {
	g, err := c.Group(ctx, namespace)
	if err == nil {
		return g.ID, nil
	}
	if rekey.KindOf(err) == rekey.KindNotFound && !errors.Is(err, ErrNoRoute) {
		if user, uerr := c.WhoAmI(ctx); uerr == nil && user.Name == namespace {
			return 0, nil
		}
	}
	return 0, err
}

// VariablesRole returns the least role that may set pipeline variables in a
// project, "" where GitLab does not say (before 17.1). Needs read_api.
func (c *Client) VariablesRole(ctx context.Context, project int64) (string, error) {
	op := operation{what: "read project " + strconv.FormatInt(project, 10), scope: scopeList, role: "Maintainer of the project"}
	var p *api.Project
	err := c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		p, resp, err = c.api.Projects.GetProject(project, nil, o...)
		return resp, err
	})
	if err != nil {
		return "", err
	}
	return string(p.CIPipelineVariablesMinimumOverrideRole), nil
}

// SetVariablesRole lets everybody of a role and above set pipeline variables in a
// project. Needs api.
func (c *Client) SetVariablesRole(ctx context.Context, project int64, role string) error {
	op := operation{what: "let pipeline variables be set in project " + strconv.FormatInt(project, 10), scope: scopeAPI, role: "Maintainer of the project, or Owner where only owners may"}
	value := api.CIPipelineVariablesMinimumOverrideRoleValue(role)
	return c.change(ctx, "project.edit", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		_, resp, err := c.api.Projects.EditProject(project, &api.EditProjectOptions{CIPipelineVariablesMinimumOverrideRole: &value}, o...)
		return resp, err
	})
}

// File reads a file of a project at a branch; there is false where the branch or
// the file is not. Needs read_api (or read_repository).
func (c *Client) File(ctx context.Context, project int64, file, branch string) (text []byte, there bool, err error) {
	op := operation{what: "read " + file + " of project " + strconv.FormatInt(project, 10), scope: scopeList, role: "Reporter of the project"}
	var f *api.File
	err = c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		f, resp, err = c.api.RepositoryFiles.GetFile(project, file, &api.GetFileOptions{Ref: &branch}, o...)
		return resp, err
	})
	switch {
	case err != nil && rekey.KindOf(err) == rekey.KindNotFound && !errors.Is(err, ErrNoRoute):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	if f.Encoding != "base64" {
		return []byte(f.Content), true, nil
	}
	text, err = base64.StdEncoding.DecodeString(strings.TrimSpace(f.Content))
	if err != nil {
		return nil, false, op.fail(rekey.KindUnavailable, err, "the file's content cannot be decoded")
	}
	return text, true, nil
}

// CommitFile commits one file to a branch (POST /projects/:id/repository/commits);
// update says that it is there already. KindInvalid where GitLab finds otherwise.
// It is never repeated. Needs api.
func (c *Client) CommitFile(ctx context.Context, project int64, branch, file, text, message string, update bool) error {
	op := operation{what: "commit " + file + " to project " + strconv.FormatInt(project, 10), scope: scopeAPI, role: "Developer of the project, with the right to push to the branch"}
	action := api.FileCreate
	if update {
		action = api.FileUpdate
	}
	options := &api.CreateCommitOptions{Branch: &branch, CommitMessage: &message, Actions: []*api.CommitActionOptions{{Action: &action, FilePath: &file, Content: &text}}}
	return c.change(ctx, "commit", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		_, resp, err := c.api.Commits.CreateCommit(project, options, o...)
		return resp, err
	})
}
