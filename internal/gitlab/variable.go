package gitlab

import (
	"context"
	"fmt"
	"net/http"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// VariableOwner is a project or a group that has CI/CD variables.
type VariableOwner struct {
	Group bool
	Path  string // or id
}

func (o VariableOwner) String() string {
	if o.Group {
		return "group " + o.Path
	}
	return "project " + o.Path
}

func (o VariableOwner) path() string {
	kind := "projects"
	if o.Group {
		kind = "groups"
	}
	return kind + "/" + api.PathEscape(o.Path) + "/variables"
}

func (o VariableOwner) operation(what, key string) operation {
	if key != "" {
		what += " " + key
	}
	role := "Maintainer of the project"
	if o.Group {
		role = "Owner of the group"
	}
	return operation{what: what + " of " + o.String(), scope: scopeAPI, role: role}
}

// Variable is a CI/CD variable. GitLab does not show the value of a hidden one.
type Variable struct {
	Key         string
	Value       rekey.Token
	Scope       string // environment scope, "*" for all
	Masked      bool
	Hidden      bool
	Protected   bool
	Raw         bool
	Description string // "" also below GitLab 16.2
}

type wireVariable struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	Scope       string  `json:"environment_scope"`
	Masked      bool    `json:"masked"`
	Hidden      bool    `json:"hidden"`
	Protected   bool    `json:"protected"`
	Raw         bool    `json:"raw"`
	Description string  `json:"description"`
}

func (w wireVariable) variable() Variable {
	v := Variable{Key: w.Key, Scope: w.Scope, Masked: w.Masked, Hidden: w.Hidden, Protected: w.Protected, Raw: w.Raw, Description: w.Description}
	if w.Value != nil {
		v.Value = rekey.NewToken(*w.Value)
	}
	return v
}

type variableFilter struct {
	Filter struct {
		Scope string `url:"environment_scope"`
	} `url:"filter"`
}

func filterBy(scope string) variableFilter {
	var f variableFilter
	f.Filter.Scope = scope
	return f
}

// Variable reads a variable of one environment scope
// (GET /projects/:id/variables/:key, doc/api/project_level_variables.md). Needs api.
func (c *Client) Variable(ctx context.Context, o VariableOwner, key, scope string) (Variable, error) {
	w, _, err := fetch[wireVariable](ctx, c, o.operation("read the variable", key), o.path()+"/"+api.PathEscape(key), filterBy(scope))
	return w.variable(), err
}

// mostVariables bounds a list: GitLab allows 8,000 of a project and 30,000 of a group.
const mostVariables = 30_000

// Variables lists an owner's variables. Needs api.
func (c *Client) Variables(ctx context.Context, o VariableOwner) ([]Variable, error) {
	var all []Variable
	for page := 1; page > 0 && len(all) < mostVariables; {
		found, resp, err := fetch[[]wireVariable](ctx, c, o.operation("list the variables", ""), o.path(), api.ListOptions{Page: int64(page), PerPage: 100})
		if err != nil {
			return nil, err
		}
		for _, w := range found {
			all = append(all, w.variable())
		}
		page = int(resp.NextPage)
	}
	return all, nil
}

// CreateVariable makes a variable; KindInvalid where the key is taken in that scope.
// It is never repeated. Needs api.
func (c *Client) CreateVariable(ctx context.Context, o VariableOwner, v Variable) error {
	body := v.body()
	body["key"] = v.Key
	if v.Hidden {
		delete(body, "masked")
		body["masked_and_hidden"] = true
	}
	return c.sendVariable(ctx, "variable.create", http.MethodPost, o.operation("make the variable", v.Key), o.path(), body)
}

// UpdateVariable changes value and attributes of the variable of v's scope; hidden it
// stays as it is. It is never repeated. Needs api.
func (c *Client) UpdateVariable(ctx context.Context, o VariableOwner, v Variable) error {
	body := v.body()
	body["filter"] = map[string]string{"environment_scope": v.Scope}
	return c.sendVariable(ctx, "variable.update", http.MethodPut, o.operation("change the variable", v.Key), o.path()+"/"+api.PathEscape(v.Key), body)
}

func (v Variable) body() map[string]any {
	body := map[string]any{"value": v.Value.Reveal(), "masked": v.Masked, "protected": v.Protected, "raw": v.Raw, "environment_scope": v.Scope}
	if v.Description != "" {
		body["description"] = v.Description
	}
	return body
}

func (c *Client) sendVariable(ctx context.Context, name, method string, op operation, path string, body map[string]any) error {
	return c.change(ctx, name, op, func(options ...api.RequestOptionFunc) (*api.Response, error) {
		req, err := c.api.NewRequest(method, path, body, options)
		if err != nil {
			return nil, fmt.Errorf("the request cannot be made")
		}
		return c.api.Do(req, nil)
	})
}

// DeleteVariable removes the variable of one scope. Needs api.
func (c *Client) DeleteVariable(ctx context.Context, o VariableOwner, key, scope string) error {
	op := o.operation("delete the variable", key)
	return c.change(ctx, "variable.delete", op, func(options ...api.RequestOptionFunc) (*api.Response, error) {
		req, err := c.api.NewRequest(http.MethodDelete, o.path()+"/"+api.PathEscape(key), filterBy(scope), options)
		if err != nil {
			return nil, err
		}
		return c.api.Do(req, nil)
	})
}
