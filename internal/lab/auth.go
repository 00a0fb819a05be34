package lab

import (
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"rekey"
)

// access is who may call a route.
type access struct {
	public bool
	scopes []string // beside api, and read_api for reading
	// unauthorised answers 401 for a token whose scopes do not reach, as the two
	// project assignment routes do: their project lookup sees no credential.
	unauthorised bool
	runner       bool // opened by a runner's or a job's own token
}

var (
	anyone   = access{public: true}
	machine  = access{public: true, runner: true}
	userInfo = access{scopes: []string{"read_user"}}
	// POST /user/runners only.
	runnerCreation = access{scopes: []string{"create_runner"}}
	// /runners/:id and below.
	runnerManagement = access{scopes: []string{"manage_runner"}}
	assignment       = access{unauthorised: true}
	// a token may always read about itself
	anyScope = access{scopes: []string{"read_user", "create_runner", "manage_runner", "self_rotate", "read_repository", "write_repository", "sudo", "admin_mode"}}
)

// scopeRow says from which version on a personal access token may carry a scope.
type scopeRow struct {
	name  string
	since rekey.Version
	from  provenance
}

var scopeTable = []scopeRow{
	{"api", v(0, 0), fromSource},
	{"read_api", v(0, 0), fromSource},
	{"read_user", v(0, 0), fromSource},
	{"read_repository", v(0, 0), fromSource},
	{"write_repository", v(0, 0), fromSource},
	{"sudo", v(0, 0), fromSource},
	{"admin_mode", v(15, 0), fromDocumentation},
	{"create_runner", v(15, 11), fromDocumentation},
	{"manage_runner", v(17, 1), fromDocumentation},
	{"self_rotate", v(17, 9), fromDocumentation},
}

func (s *Server) scopes() []string {
	var names []string
	for _, row := range scopeTable {
		if within(s.version, row.since, never) {
			names = append(names, row.name)
		}
	}
	return names
}

// caller is the user behind a request, and the token that speaks for them.
type caller struct {
	user
	scopes  list
	tokenID int64
}

// isAdmin is false for an admin's token without admin_mode where the instance
// requires Admin Mode.
func (c *caller) isAdmin(s *settings) bool {
	return c.Admin && (!s.flag("admin_mode") || slices.Contains(c.scopes, "admin_mode"))
}

// credential returns the user credential of a request, "" for none.
func credential(r *http.Request, values map[string]any) string {
	if token := r.Header.Get("Private-Token"); token != "" {
		return token
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	token, _ = values["private_token"].(string)
	return token
}

// authenticate finds the caller, or refuses as GitLab's API guard does.
func (t *tx) authenticate(token, method string, a access) (*caller, error) {
	if token == "" {
		return nil, unauthorized()
	}
	c, expiresOn, revoked, err := t.callerByToken(token)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, unauthorized()
	}
	switch {
	case err != nil:
		return nil, err
	case revoked:
		return nil, invalidToken("Token was revoked. You have to re-authorize from the user.")
	case expired(expiresOn, t.now):
		return nil, invalidToken("Token is expired. You can either do re-authorization or token refresh.")
	case c.State != "active":
		return nil, unauthorized()
	}
	accepted := acceptedScopes(method, a)
	if slices.ContainsFunc(accepted, func(scope string) bool { return slices.Contains(c.scopes, scope) }) {
		return c, nil
	}
	if a.unauthorised {
		return nil, unauthorized()
	}
	return nil, insufficientScope(accepted)
}

func acceptedScopes(method string, a access) []string {
	accepted := []string{"api"}
	if method == http.MethodGet || method == http.MethodHead {
		accepted = append(accepted, "read_api")
	}
	return append(accepted, a.scopes...)
}

func (t *tx) callerByToken(token string) (*caller, string, bool, error) {
	var c caller
	var expiresOn string
	var revoked bool
	u, err := row(t, func(sc scanner) (user, error) {
		var u user
		err := sc.Scan(&u.ID, &u.Username, &u.Name, &u.Email, &u.Admin, &u.State, &u.CreatedAt, &c.tokenID, &c.scopes, &expiresOn, &revoked)
		return u, err
	}, `SELECT u.id, u.username, u.name, u.email, u.admin, u.state, u.created_at, a.id, a.scopes, a.expires_on, a.revoked
		FROM access_tokens a JOIN users u ON u.id = a.user_id WHERE a.digest = ?`, t.secrets.digest(domainAccess, token))
	c.user = u
	return &c, expiresOn, revoked, err
}

// expired reports whether a token with this last day ("" for none) is over: it
// stops at midnight UTC at the start of that day.
func expired(expiresOn string, now time.Time) bool {
	if expiresOn == "" {
		return false
	}
	day, err := time.Parse(time.DateOnly, expiresOn)
	return err != nil || !now.Before(day)
}
