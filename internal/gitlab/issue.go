package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"rekey"
	"rekey/internal/durable"
)

// issueLimit is how much of an answer with a token is read and sealed.
const issueLimit = 1 << 20

// Seal makes the raw answer that holds a new token durable. It is called once,
// with whatever arrived of a 2xx answer, before anything else looks at it; the
// token is lost to the caller if it fails.
type Seal func(raw []byte) error

// CreateRunner makes a record (POST /user/runners) and returns its token, which
// GitLab shows this once. It is never repeated. Where OutcomeUnknown says so of
// the error, a record may exist: look for it by its marker tag. Needs the scope
// create_runner or api.
func (c *Client) CreateRunner(ctx context.Context, n rekey.NewRunner, seal Seal) (rekey.Issued, error) {
	op := operation{what: "create a runner", scope: "create_runner (or api)", role: createRole(n.Scope)}
	body, err := createBody(n)
	if err != nil {
		return rekey.Issued{}, err
	}
	issued, err := c.issue(ctx, "create", op, "user/runners", body, seal)
	if err == nil && issued.ID == 0 {
		return rekey.Issued{}, op.unknown(op.fail(rekey.KindUnavailable, nil, "the answer holds no id"))
	}
	return issued, err
}

// ResetRunner gives the record a new token and kills the old one at once
// (POST /runners/:id/reset_authentication_token). It is never repeated. The
// Issued has no ID. Needs the scope manage_runner or api.
func (c *Client) ResetRunner(ctx context.Context, id rekey.RunnerID, seal Seal) (rekey.Issued, error) {
	op := operation{what: fmt.Sprintf("reset the token of runner %d", id), scope: scopeManage, role: roleManage}
	issued, err := c.issue(ctx, "reset", op, fmt.Sprintf("runners/%d/reset_authentication_token", id), nil, seal)
	issued.ID = 0
	return issued, err
}

func createRole(s rekey.Scope) string {
	switch s {
	case rekey.ScopeInstance:
		return "administrator (and the scope admin_mode where Admin Mode is enforced)"
	case rekey.ScopeGroup:
		return "Owner of the group, where groups may have runners created"
	}
	return "Maintainer or Owner of the project, where projects may have runners created"
}

func createBody(n rekey.NewRunner) ([]byte, error) {
	body := map[string]any{
		"runner_type": n.Scope.RunnerType(), "description": n.Description, "tag_list": tagList(n.Tags),
		"run_untagged": n.RunUntagged, "locked": n.Locked, "paused": n.Paused,
	}
	owner := map[rekey.Scope]string{rekey.ScopeGroup: "group_id", rekey.ScopeProject: "project_id"}[n.Scope]
	switch {
	case n.Scope != rekey.ScopeInstance && owner == "":
		return nil, rekey.Errorf(rekey.KindInvalid, "cannot create a runner: %q is not a scope", n.Scope)
	case owner != "" && n.Owner <= 0:
		return nil, rekey.Errorf(rekey.KindInvalid, "cannot create a runner: a %s runner needs the id of its %[1]s", n.Scope)
	case owner != "":
		body[owner] = n.Owner
	}
	if n.AccessLevel != "" {
		body["access_level"] = n.AccessLevel
	}
	if n.MaximumTimeout > 0 {
		body["maximum_timeout"] = int64(n.MaximumTimeout / time.Second)
	}
	if n.MaintenanceNote != "" {
		body["maintenance_note"] = n.MaintenanceNote
	}
	return json.Marshal(body)
}

// tagList is never null: GitLab takes an empty array as no tags.
func tagList(tags []string) []string { return append([]string{}, tags...) }

// issue is our own net/http call, not client-go's: no retry, no redirect, and the
// raw body sealed before it is parsed.
func (c *Client) issue(ctx context.Context, name string, op operation, path string, body []byte, seal Seal) (rekey.Issued, error) {
	op.changes = true
	if err := c.budget.Wait(ctx, nil); err != nil {
		return rekey.Issued{}, c.unsent(op, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(changeTimeout, c.opts.Timeout))
	defer cancel()
	ctx, wrote := traceWrites(ctx)
	req, err := newRequest(ctx, http.MethodPost, c.base+apiPath+path, c.opts.UserAgent, body)
	if err != nil {
		return rekey.Issued{}, op.fail(rekey.KindInternal, nil, "the request cannot be built")
	}
	var resp *http.Response
	if err := durable.Call("gitlab."+name, func() error {
		resp, err = c.http.Do(req)
		return err
	}); err != nil {
		return rekey.Issued{}, c.noAnswer(op, err, wrote.Load()).err
	}
	r := readIssue(name, resp)
	if r.status >= 200 && r.status < 300 {
		return c.sealed(op, r, seal)
	}
	return rekey.Issued{}, c.answered(op, r).err
}

func readIssue(name string, resp *http.Response) *reply {
	defer drain(resp.Body)
	r := &reply{status: resp.StatusCode, header: resp.Header}
	_ = durable.Call("gitlab."+name+".read", func() error {
		r.body, r.cut = io.ReadAll(io.LimitReader(resp.Body, issueLimit))
		return r.cut
	})
	return r
}

// sealed seals what arrived, whole or not, and only then looks into it. A
// connection that broke behind the last brace has brought all there is.
func (c *Client) sealed(op operation, r *reply, seal Seal) (rekey.Issued, error) {
	if len(r.body) > 0 {
		if err := seal(r.body); err != nil {
			return rekey.Issued{}, op.unknown(op.fail(rekey.KindUnavailable, err, "it was done, but the new token could not be sealed: %v", err))
		}
	}
	issued, err := ParseIssued(r.body)
	if err != nil && r.cut != nil {
		return rekey.Issued{}, op.unknown(op.fail(rekey.KindUnavailable, nil, "the answer broke off: %s", short(c.scrub, transportText(r.cut))))
	}
	if err != nil {
		return rekey.Issued{}, op.unknown(op.fail(rekey.KindUnavailable, err, "%v", err))
	}
	issued.ObtainedAt = c.opts.Now()
	if at, err := http.ParseTime(r.header.Get("Date")); err == nil {
		issued.ObtainedAt = at
	}
	return issued, nil
}

// ParseIssued reads a sealed answer of CreateRunner or ResetRunner again, as
// after a crash between sealing and parsing. ObtainedAt is left zero. The error
// never quotes the answer.
func ParseIssued(raw []byte) (rekey.Issued, error) {
	var body struct {
		ID        int64   `json:"id"`
		Token     string  `json:"token"`
		ExpiresAt *string `json:"token_expires_at"`
	}
	if json.Unmarshal(raw, &body) != nil || body.Token == "" {
		return rekey.Issued{}, errors.New("the answer holds no token that can be read")
	}
	issued := rekey.Issued{ID: rekey.RunnerID(body.ID), Token: rekey.NewToken(body.Token)}
	if body.ExpiresAt != nil && *body.ExpiresAt != "" {
		if issued.ExpiresAt = timestamp(*body.ExpiresAt); issued.ExpiresAt.IsZero() {
			return rekey.Issued{}, errors.New("the answer holds an expiry that cannot be read")
		}
	}
	return issued, nil
}
