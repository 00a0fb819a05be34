package gitlab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

const (
	scopeRead   = "read_api (or manage_runner from GitLab 17.1, or api)"
	scopeList   = "read_api (or api)"
	scopeManage = "manage_runner (or api; below GitLab 17.1 only api)"
	scopeAPI    = "api"

	roleRead   = "Maintainer of the group or of an assigned project"
	roleManage = "administrator for an instance runner, Owner of the group for a group runner, Maintainer of the owner project for a project runner"
	roleAdmin  = "administrator"
	roleAssign = "Maintainer of both projects"
)

// wireRunner is GitLab's runner, of a list and in detail. client-go's own loses
// that online is null before the first contact, and created_at.
type wireRunner struct {
	ID              int64    `json:"id"`
	RunnerType      string   `json:"runner_type"`
	Description     string   `json:"description"`
	TagList         []string `json:"tag_list"`
	RunUntagged     bool     `json:"run_untagged"`
	Locked          bool     `json:"locked"`
	Paused          bool     `json:"paused"`
	AccessLevel     string   `json:"access_level"`
	MaximumTimeout  int64    `json:"maximum_timeout"`
	MaintenanceNote string   `json:"maintenance_note"`
	Status          string   `json:"status"`
	Online          *bool    `json:"online"`
	ContactedAt     string   `json:"contacted_at"`
	CreatedAt       string   `json:"created_at"`
	Version         string   `json:"version"`
	Execution       string   `json:"job_execution_status"`

	CreatedBy json.RawMessage `json:"created_by"` // absent, null or a user
	Projects  []struct {
		ID   int64  `json:"id"`
		Path string `json:"path_with_namespace"`
	} `json:"projects"`
	Groups []struct {
		ID     int64  `json:"id"`
		WebURL string `json:"web_url"`
	} `json:"groups"`
}

func (w wireRunner) runner() rekey.Runner {
	scope, _ := rekey.ParseScope(w.RunnerType)
	r := rekey.Runner{
		ID: rekey.RunnerID(w.ID), Scope: scope, Description: w.Description, Tags: w.TagList,
		RunUntagged: w.RunUntagged, Locked: w.Locked, Paused: w.Paused, AccessLevel: w.AccessLevel,
		MaximumTimeout: time.Duration(w.MaximumTimeout) * time.Second, MaintenanceNote: w.MaintenanceNote,
		Status: w.Status, Online: w.Online, ContactedAt: timestamp(w.ContactedAt), CreatedAt: timestamp(w.CreatedAt), Version: w.Version,
	}
	r.Creator, r.CreatorKnown = creator(w.CreatedBy)
	if busy := w.Execution == "active"; busy || w.Execution == "idle" {
		r.Busy = &busy
	}
	for _, p := range w.Projects {
		r.Projects = append(r.Projects, rekey.Ref{ID: p.ID, Path: p.Path})
	}
	for _, g := range w.Groups {
		_, path, _ := strings.Cut(g.WebURL, "/groups/")
		r.Groups = append(r.Groups, rekey.Ref{ID: g.ID, Path: path})
	}
	return r
}

// creator reads created_by of a runner (lib/api/entities/ci/runner.rb): null means
// that no user made it, absent that this version does not say.
func creator(raw json.RawMessage) (name string, known bool) {
	if len(raw) == 0 {
		return "", false
	}
	var user *struct {
		Username string `json:"username"`
	}
	if json.Unmarshal(raw, &user) != nil {
		return "", false
	}
	if user == nil {
		return "", true
	}
	return user.Username, user.Username != ""
}

// Runner reads a record. KindNotFound without ErrNoRoute means that GitLab has
// no record of this id.
func (c *Client) Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error) {
	w, err := c.detail(ctx, id)
	return w.runner(), err
}

// Busy reports whether GitLab says that the record runs a job; known is false
// where it does not say (before 17.x), so never read as idle.
func (c *Client) Busy(ctx context.Context, id rekey.RunnerID) (busy, known bool, err error) {
	w, err := c.detail(ctx, id)
	return w.Execution == "active", w.Execution == "active" || w.Execution == "idle", err
}

func (c *Client) detail(ctx context.Context, id rekey.RunnerID) (wireRunner, error) {
	op := operation{what: fmt.Sprintf("read runner %d", id), scope: scopeRead, role: roleRead}
	w, _, err := fetch[wireRunner](ctx, c, op, fmt.Sprintf("runners/%d", id), nil)
	if err == nil && w.ID != int64(id) {
		return wireRunner{}, op.fail(rekey.KindUnavailable, nil, "the answer is about another runner or none")
	}
	return w, err
}

// Managers lists the processes that use the record's token. known is false where
// GitLab does not list them over REST (before 17.1).
func (c *Client) Managers(ctx context.Context, id rekey.RunnerID) (managers []rekey.Manager, known bool, err error) {
	op := operation{what: fmt.Sprintf("list the managers of runner %d", id), scope: scopeRead, role: roleRead}
	var found []*api.RunnerManager
	err = c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		found, resp, err = c.api.Runners.ListRunnerManagers(int64(id), o...)
		return resp, err
	})
	if err != nil {
		return nil, false, dropNoRoute(err)
	}
	for _, m := range found {
		managers = append(managers, rekey.Manager{
			ID: m.ID, SystemID: rekey.SystemID(m.SystemID), Version: m.Version, Status: m.Status,
			CreatedAt: timeOf(m.CreatedAt), ContactedAt: timeOf(m.ContactedAt),
		})
	}
	return managers, true, nil
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// UpdateRunner changes the fields that are set and returns the record as GitLab
// then has it; read back what matters. A timeout of 0 removes the limit. Tags
// replace the whole list.
func (c *Client) UpdateRunner(ctx context.Context, id rekey.RunnerID, edit rekey.RunnerEdit) (rekey.Runner, error) {
	body := editBody(edit)
	if len(body) == 0 {
		return c.Runner(ctx, id)
	}
	op := operation{what: fmt.Sprintf("update runner %d", id), scope: scopeManage, role: roleManage}
	var w wireRunner
	err := c.change(ctx, "update", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		req, err := c.api.NewRequest(http.MethodPut, fmt.Sprintf("runners/%d", id), body, o)
		if err != nil {
			return nil, err
		}
		return c.api.Do(req, &w)
	})
	return w.runner(), err
}

func editBody(edit rekey.RunnerEdit) map[string]any {
	body := map[string]any{}
	set(body, "description", edit.Description)
	set(body, "run_untagged", edit.RunUntagged)
	set(body, "locked", edit.Locked)
	set(body, "paused", edit.Paused)
	set(body, "access_level", edit.AccessLevel)
	set(body, "maintenance_note", edit.MaintenanceNote)
	if edit.Tags != nil {
		body["tag_list"] = tagList(*edit.Tags)
	}
	if edit.MaximumTimeout != nil {
		body["maximum_timeout"] = nil
		if *edit.MaximumTimeout > 0 {
			body["maximum_timeout"] = int64(*edit.MaximumTimeout / time.Second)
		}
	}
	return body
}

func set[T any](body map[string]any, key string, value *T) {
	if value != nil {
		body[key] = *value
	}
}

// DeleteRunner removes the record for every host that uses it. KindNotFound
// means that it was gone already.
func (c *Client) DeleteRunner(ctx context.Context, id rekey.RunnerID) error {
	op := operation{what: fmt.Sprintf("delete runner %d", id), scope: scopeManage, role: roleManage}
	return c.change(ctx, "delete", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		return c.api.Runners.RemoveRunner(int64(id), o...)
	})
}

// AssignProject lets an unlocked project runner work for one more project, named
// by path or id.
func (c *Client) AssignProject(ctx context.Context, project string, id rekey.RunnerID) error {
	op := operation{what: fmt.Sprintf("assign runner %d to project %s", id, project), scope: scopeAPI, role: roleAssign}
	return c.change(ctx, "assign", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		_, resp, err := c.api.Runners.EnableProjectRunner(project, &api.EnableProjectRunnerOptions{RunnerID: int64(id)}, o...)
		return resp, err
	})
}

// UnassignProject takes a project, not the owner project, from a runner.
func (c *Client) UnassignProject(ctx context.Context, project string, id rekey.RunnerID) error {
	op := operation{what: fmt.Sprintf("unassign runner %d from project %s", id, project), scope: scopeAPI, role: roleAssign}
	return c.change(ctx, "unassign", op, func(o ...api.RequestOptionFunc) (*api.Response, error) {
		return c.api.Runners.DisableProjectRunner(project, int64(id), o...)
	})
}
