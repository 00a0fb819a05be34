package lab

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// accessToken is a personal access token's record; the value is shown once.
type accessToken struct {
	ID         int64   `json:"id"`
	Name       string  `json:"name"`
	Revoked    bool    `json:"revoked"`
	CreatedAt  stamp   `json:"created_at"`
	Scopes     list    `json:"scopes"`
	UserID     int64   `json:"user_id"`
	LastUsedAt stamp   `json:"last_used_at"`
	Active     bool    `json:"active"`
	ExpiresAt  *string `json:"expires_at"`
	Token      string  `json:"token,omitempty"`
}

const accessTokenColumns = "id, name, revoked, created_at, scopes, user_id, last_used_at, expires_on"

func (t *tx) scanAccessToken(sc scanner) (accessToken, error) {
	var a accessToken
	var expiresOn string
	err := sc.Scan(&a.ID, &a.Name, &a.Revoked, &a.CreatedAt, &a.Scopes, &a.UserID, &a.LastUsedAt, &expiresOn)
	a.date(expiresOn, t.now)
	return a, err
}

func (a *accessToken) date(expiresOn string, now time.Time) {
	if expiresOn != "" {
		a.ExpiresAt = &expiresOn
	}
	a.Active = !a.Revoked && !expired(expiresOn, now)
}

var createAccessTokenParams = takes(need("name", text), need("scopes", words), may("expires_at", date), may("description", text))

func postAccessToken(c *call) (answer, error) {
	u, err := c.findUser("user_id")
	if err != nil {
		return answer{}, err
	}
	if !c.admin() {
		return answer{}, forbidden("")
	}
	scopes, _ := c.words("scopes")
	if err := c.checkScopes(scopes); err != nil {
		return answer{}, err
	}
	expiresOn, err := c.accessTokenExpiry()
	if err != nil {
		return answer{}, err
	}
	token := newAccessToken()
	id, err := c.createAccessToken(u.ID, c.text("name"), scopes, expiresOn, token)
	if err != nil {
		return answer{}, err
	}
	made, err := row(c.tx, c.scanAccessToken, "SELECT "+accessTokenColumns+" FROM access_tokens WHERE id = ?", id)
	made.Token = token
	if err != nil {
		return answer{}, err
	}
	return created(made)
}

func (c *call) checkScopes(scopes []string) error {
	known := c.scopes()
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(known, s) }) {
		return grape(http.StatusBadRequest, "scopes does not have a valid value")
	}
	return nil
}

// accessTokenExpiry is the day asked for; a year ahead where tokens must expire
// and none was given.
func (c *call) accessTokenExpiry() (string, error) {
	day, given := c.params["expires_at"].(time.Time)
	if given {
		if !day.After(c.now) {
			return "", modelErrors("expires_at", "can't be in the past")
		}
		return day.Format(time.DateOnly), nil
	}
	if c.Server.has(tokenExpiryMandatory) && c.settings().flag("require_personal_access_token_expiry") {
		return c.now.UTC().AddDate(0, 0, 365).Format(time.DateOnly), nil
	}
	return "", nil
}

func (t *tx) createAccessToken(userID int64, name string, scopes list, expiresOn, token string) (int64, error) {
	return t.insert("INSERT INTO access_tokens (user_id, name, digest, scopes, expires_on, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		userID, name, t.secrets.digest(domainAccess, token), scopes, expiresOn, at(t.now))
}

func getAccessTokenSelf(c *call) (answer, error) {
	self, err := row(c.tx, c.scanAccessToken, "SELECT "+accessTokenColumns+" FROM access_tokens WHERE id = ?", c.caller.tokenID)
	if err != nil {
		return answer{}, err
	}
	return ok(self)
}

func getAccessTokens(c *call) (answer, error) {
	where, args := "user_id = ?", []any{c.caller.ID}
	if id, given := c.number("user_id"); c.admin() {
		where, args = "1=1", nil
		if given {
			where, args = "user_id = ?", []any{id}
		}
	}
	found, err := page(c, c.scanAccessToken, accessTokenColumns, "access_tokens WHERE "+where, "id", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(nonNil(found))
}

func deleteAccessToken(c *call) (answer, error) {
	id := c.caller.tokenID
	if !strings.HasSuffix(c.r.URL.Path, "/self") {
		var err error
		if id, err = c.pathID("id"); err != nil {
			return answer{}, err
		}
	}
	var owner int64
	if err := c.value(&owner, "SELECT user_id FROM access_tokens WHERE id = ?", id); err != nil {
		return answer{}, missing(err, notFound(""))
	}
	if owner != c.caller.ID && !c.admin() {
		return answer{}, unauthorized()
	}
	if err := c.exec("UPDATE access_tokens SET revoked = 1 WHERE id = ?", id); err != nil {
		return answer{}, err
	}
	return noContent()
}
