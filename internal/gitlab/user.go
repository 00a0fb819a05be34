package gitlab

import (
	"cmp"
	"context"
	"errors"
	"net/url"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"rekey"
)

// User is who a user token stands for. Scopes is nil where GitLab does not tell
// them, as for an OAuth token.
type User struct {
	ID     int64
	Name   string // "" where the token's scopes hide it
	Admin  bool
	Scopes []string
}

// WhoAmI asks GET /user and GET /personal_access_tokens/self. One of them is
// enough: a token with create_runner alone may read neither its user nor, on
// some versions, itself.
func (c *Client) WhoAmI(ctx context.Context) (User, error) {
	op := operation{what: "read the user of the token", scope: "read_user (or read_api, or api)", role: "any user"}
	var u User
	var user *api.User
	userErr := c.read(ctx, op, func(o ...api.RequestOptionFunc) (resp *api.Response, err error) {
		user, resp, err = c.api.Users.CurrentUser(o...)
		return resp, err
	})
	if userErr == nil {
		u.ID, u.Name, u.Admin = user.ID, user.Username, user.IsAdmin
	} else if errors.Is(userErr, ErrTokenRefused) || !errors.Is(userErr, ErrScope) {
		return User{}, userErr
	}
	self, _, err := fetch[struct {
		UserID int64    `json:"user_id"`
		Scopes []string `json:"scopes"`
	}](ctx, c, op, "personal_access_tokens/self", nil)
	if err != nil {
		return u, userErr
	}
	u.ID, u.Scopes = cmp.Or(u.ID, self.UserID), self.Scopes
	return u, nil
}

// Version reads the server's version by GET /metadata (15.2 and later), then
// GET /version; text is as the server says it.
func (c *Client) Version(ctx context.Context) (text string, v rekey.Version, err error) {
	op := operation{what: "read GitLab's version", scope: "read_user (or read_api, or api)", role: "any user"}
	type version struct {
		Version string `json:"version"`
	}
	found, _, err := fetch[version](ctx, c, op, "metadata", nil)
	if rekey.KindOf(err) == rekey.KindNotFound && err != nil {
		found, _, err = fetch[version](ctx, c, op, "version", nil)
	}
	if err != nil {
		return "", rekey.Version{}, err
	}
	v, err = rekey.ParseVersion(found.Version)
	if err != nil {
		return "", v, op.fail(rekey.KindUnavailable, nil, "the answer holds no version")
	}
	return found.Version, v, nil
}

// Settings are the instance settings that decide about runners.
type Settings struct {
	RegistrationAllowed *bool    `json:"allow_runner_registration_token"` // nil: this version does not say
	Registrars          []string `json:"valid_runner_registrars"`
	Maintenance         bool     `json:"maintenance_mode"` // false also where the edition has no such mode
}

// Settings reads GET /application/settings; administrators only.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	op := operation{what: "read the instance settings", scope: "read_api (or api)", role: roleAdmin}
	s, _, err := fetch[Settings](ctx, c, op, "application/settings", nil)
	return s, err
}

// dropNoRoute makes nil of the error that says a route is not there.
func dropNoRoute(err error) error {
	if errors.Is(err, ErrNoRoute) {
		return nil
	}
	return err
}

func queryOf(link, key string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get(key)
}
