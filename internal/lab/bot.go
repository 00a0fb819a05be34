package lab

import (
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

// botToken is a project or group access token: the token of a bot user who is a
// member there.
type botToken struct {
	accessToken
	AccessLevel level `json:"access_level"`
}

const botTokenColumns = "a.id, a.name, a.revoked, a.created_at, a.scopes, a.user_id, a.last_used_at, a.expires_on, coalesce(m.access_level, 0)"

const botTokensOf = `access_tokens a JOIN users u ON u.id = a.user_id LEFT JOIN members m ON m.user_id = u.id AND m.source_kind = u.bot_kind AND m.source_id = u.bot_source
	WHERE u.bot_kind = ? AND u.bot_source = ?`

func (t *tx) scanBotToken(sc scanner) (botToken, error) {
	var b botToken
	var expiresOn string
	err := sc.Scan(&b.ID, &b.Name, &b.Revoked, &b.CreatedAt, &b.Scopes, &b.UserID, &b.LastUsedAt, &expiresOn, &b.AccessLevel)
	b.date(expiresOn, t.now)
	return b, err
}

// botSource is the group or project of the path, for those who manage its tokens.
func (c *call) botSource(kind string) (int64, level, error) {
	id, err := c.source(kind, levelMaintainer, levelOwner)
	if err != nil {
		return 0, 0, err
	}
	if kind == "group" {
		have, err := c.groupLevel(id)
		return id, have, err
	}
	p, err := c.projectByID(id)
	if err != nil {
		return 0, 0, err
	}
	have, err := c.projectLevel(&p)
	return id, have, err
}

func listBotTokens(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, _, err := c.botSource(kind)
		if err != nil {
			return answer{}, err
		}
		where, args := botTokensOf, []any{kind, id}
		switch c.text("state") {
		case "active":
			where += " AND NOT a.revoked AND (a.expires_on = '' OR a.expires_on > ?)"
			args = append(args, c.now.UTC().Format(time.DateOnly))
		case "inactive":
			where += " AND (a.revoked OR a.expires_on != '' AND a.expires_on <= ?)"
			args = append(args, c.now.UTC().Format(time.DateOnly))
		}
		found, err := page(c, c.scanBotToken, botTokenColumns, where, "a.id", args...)
		if err != nil {
			return answer{}, err
		}
		return ok(nonNil(found))
	}
}

// findBotToken is the token of the path, or the caller's own for "self".
func (c *call) findBotToken(kind string, source int64) (botToken, error) {
	id := c.caller.tokenID
	if c.vars["token_id"] != "self" {
		var err error
		if id, err = c.pathID("token_id"); err != nil {
			return botToken{}, err
		}
	}
	found, err := row(c.tx, c.scanBotToken, "SELECT "+botTokenColumns+" FROM "+botTokensOf+" AND a.id = ?", kind, source, id)
	return found, missing(err, notFound("Could not find "+kind+" access token with token_id: "+c.vars["token_id"]))
}

func getBotToken(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		source, _, err := c.botSource(kind)
		if err != nil {
			return answer{}, err
		}
		found, err := c.findBotToken(kind, source)
		if err != nil {
			return answer{}, err
		}
		return ok(found)
	}
}

var createBotTokenParams = takes(need("name", text), need("scopes", words), may("access_level", integer), may("expires_at", date), may("description", text))

// postBotToken makes a bot and its token. The bot's role is at most the caller's.
func postBotToken(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		source, have, err := c.botSource(kind)
		if err != nil {
			return answer{}, err
		}
		wanted, given := c.number("access_level")
		if !given {
			wanted = int64(levelMaintainer)
		}
		role := level(wanted)
		scopes, _ := c.words("scopes")
		switch {
		case role != levelGuest && role != 15 && role != levelReporter && role != levelDeveloper && role != levelMaintainer && role != levelOwner:
			return answer{}, grape(http.StatusBadRequest, "access_level does not have a valid value")
		case role > have:
			return answer{}, badRequest("Access level of the token can't be greater the access level of the user who created the token")
		}
		if err := c.checkScopes(scopes); err != nil {
			return answer{}, err
		}
		expiresOn, err := c.accessTokenExpiry()
		if err != nil {
			return answer{}, err
		}
		bot, err := c.createBot(kind, source, role)
		if err != nil {
			return answer{}, err
		}
		token := newAccessToken()
		id, err := c.createAccessToken(bot, c.text("name"), scopes, expiresOn, token)
		if err != nil {
			return answer{}, err
		}
		return c.showBotToken(http.StatusCreated, kind, source, id, token)
	}
}

func (c *call) showBotToken(status int, kind string, source, id int64, token string) (answer, error) {
	made, err := row(c.tx, c.scanBotToken, "SELECT "+botTokenColumns+" FROM "+botTokensOf+" AND a.id = ?", kind, source, id)
	made.Token = token
	return answer{status: status, body: made}, err
}

func (c *call) createBot(kind string, source int64, role level) (int64, error) {
	name := kind + "_" + formatInt(source) + "_bot_" + hex.EncodeToString(randomBytes(16))
	u, err := c.createUser(user{Username: name, Name: c.text("name"), Email: name + "@noreply." + hostOf(c.baseURL(c.r))})
	if err != nil {
		return 0, err
	}
	return u.ID, errors.Join(c.exec("UPDATE users SET bot_kind = ?, bot_source = ? WHERE id = ?", kind, source, u.ID), c.storeMember(kind, source, u.ID, role))
}

// deleteBotToken revokes the token and takes the bot's role away.
func deleteBotToken(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		source, _, err := c.botSource(kind)
		if err != nil {
			return answer{}, err
		}
		found, err := c.findBotToken(kind, source)
		if err != nil {
			return answer{}, err
		}
		if err := c.preconditionFailed(found.CreatedAt); err != nil {
			return answer{}, err
		}
		if err := errors.Join(c.exec("UPDATE access_tokens SET revoked = 1 WHERE id = ?", found.ID), c.exec("DELETE FROM members WHERE user_id = ?", found.UserID)); err != nil {
			return answer{}, err
		}
		return noContent()
	}
}

var rotateParams = takes(may("expires_at", date))

func rotateBotToken(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		if c.vars["token_id"] == "" {
			c.vars["token_id"] = "self"
		}
		source, err := c.rotationSource(kind)
		if err != nil {
			return answer{}, err
		}
		found, err := c.findBotToken(kind, source)
		if err != nil {
			return answer{}, err
		}
		id, token, err := c.rotate(&found.accessToken)
		if err != nil {
			return answer{}, err
		}
		return c.showBotToken(http.StatusOK, kind, source, id, token)
	}
}

// rotationSource asks for a role, except of a bot that rotates its own token.
func (c *call) rotationSource(kind string) (int64, error) {
	if c.vars["token_id"] != "self" {
		id, _, err := c.botSource(kind)
		return id, err
	}
	return c.source(kind, 0, 0)
}

// rotate revokes a token and makes its successor, which lives a week unless told
// otherwise. A token that is over cannot be rotated.
func (c *call) rotate(old *accessToken) (int64, string, error) {
	if !old.Active {
		return 0, "", badRequest("token already revoked")
	}
	expiresOn := c.now.UTC().AddDate(0, 0, 7).Format(time.DateOnly)
	if c.params["expires_at"] != nil {
		var err error
		if expiresOn, err = c.accessTokenExpiry(); err != nil {
			return 0, "", err
		}
	}
	token := newAccessToken()
	id, err := c.createAccessToken(old.UserID, old.Name, old.Scopes, expiresOn, token)
	if err != nil {
		return 0, "", err
	}
	return id, token, errors.Join(c.exec("UPDATE access_tokens SET revoked = 1 WHERE id = ?", old.ID), c.exec("UPDATE access_tokens SET replaces = ? WHERE id = ?", old.ID, id))
}

// rotateAccessToken is POST /personal_access_tokens/:id/rotate, and …/self/rotate.
func rotateAccessToken(c *call) (answer, error) {
	id := c.caller.tokenID
	if spelled := c.vars["id"]; spelled != "" {
		var err error
		if id, err = c.pathID("id"); err != nil {
			return answer{}, err
		}
	}
	old, err := row(c.tx, c.scanAccessToken, "SELECT "+accessTokenColumns+" FROM access_tokens WHERE id = ?", id)
	switch {
	case err != nil && c.admin():
		return answer{}, missing(err, notFound(""))
	case err != nil:
		return answer{}, missing(err, unauthorized())
	case old.UserID != c.caller.ID && !c.admin():
		return answer{}, unauthorized()
	}
	made, token, err := c.rotate(&old)
	if err != nil {
		return answer{}, err
	}
	shown, err := row(c.tx, c.scanAccessToken, "SELECT "+accessTokenColumns+" FROM access_tokens WHERE id = ?", made)
	shown.Token = token
	return answer{status: http.StatusOK, body: shown}, err
}

// selfRotation opens the routes by which a token replaces itself.
var selfRotation = access{scopes: []string{"self_rotate"}}

func accessTokenRoutes() []route {
	all := []route{
		{method: post, pattern: "personal_access_tokens/self/rotate", since: v(16, 10), from: fromDocumentation, access: selfRotation, params: rotateParams, handle: rotateAccessToken},
		{method: post, pattern: "personal_access_tokens/:id/rotate", since: v(16, 0), from: fromDocumentation, params: rotateParams, handle: rotateAccessToken},
	}
	for _, kind := range []string{"project", "group"} {
		base := kind + "s/:id/access_tokens"
		all = append(all,
			route{method: get, pattern: base, from: fromDocumentation, params: takes(may("state", text, "active", "inactive")), handle: listBotTokens(kind)},
			route{method: post, pattern: base, from: fromDocumentation, params: createBotTokenParams, handle: postBotToken(kind)},
			route{method: get, pattern: base + "/:token_id", from: fromDocumentation, handle: getBotToken(kind)},
			route{method: del, pattern: base + "/:token_id", from: fromDocumentation, handle: deleteBotToken(kind)},
			route{method: post, pattern: base + "/self/rotate", since: v(17, 9), from: fromDocumentation, access: selfRotation, params: rotateParams, handle: rotateBotToken(kind)},
			route{method: post, pattern: base + "/:token_id/rotate", since: v(16, 0), from: fromDocumentation, params: rotateParams, handle: rotateBotToken(kind)})
	}
	return all
}
