package lab

import (
	"net/http"
	"strings"

	"rekey/internal/lazyregexp"
)

// user is a person; id 1 is the administrator root.
type user struct {
	ID        int64
	Username  string
	Name      string
	Email     string
	Admin     bool
	State     string
	CreatedAt stamp
}

// userBrief is how other records show a user.
type userBrief struct {
	ID        int64   `json:"id"`
	Username  string  `json:"username"`
	PublicURL string  `json:"public_email"`
	Name      string  `json:"name"`
	State     string  `json:"state"`
	Locked    bool    `json:"locked"`
	AvatarURL *string `json:"avatar_url"`
	WebURL    string  `json:"web_url"`
}

// userEntity is a user to an administrator or to themselves.
type userEntity struct {
	userBrief
	CreatedAt        stamp  `json:"created_at"`
	Bot              bool   `json:"bot"`
	Email            string `json:"email,omitempty"`
	CommitEmail      string `json:"commit_email,omitempty"`
	ConfirmedAt      *stamp `json:"confirmed_at,omitempty"`
	CanCreateGroup   *bool  `json:"can_create_group,omitempty"`
	CanCreateProject *bool  `json:"can_create_project,omitempty"`
	IsAdmin          *bool  `json:"is_admin,omitempty"`
	NamespaceID      int64  `json:"namespace_id,omitempty"`
}

const userColumns = "id, username, name, email, admin, state, created_at"

func scanUser(sc scanner) (user, error) {
	var u user
	err := sc.Scan(&u.ID, &u.Username, &u.Name, &u.Email, &u.Admin, &u.State, &u.CreatedAt)
	return u, err
}

func (c *call) userBrief(u user) userBrief {
	return userBrief{ID: u.ID, Username: u.Username, Name: u.Name, State: u.State, WebURL: c.baseURL(c.r) + "/" + u.Username}
}

func (c *call) userEntity(u user) userEntity {
	e := userEntity{userBrief: c.userBrief(u), CreatedAt: u.CreatedAt, Bot: botName.MatchString(u.Username)}
	if c.admin() || c.caller.ID == u.ID {
		yes := true
		e.Email, e.CommitEmail, e.ConfirmedAt = u.Email, u.Email, &u.CreatedAt
		e.CanCreateGroup, e.CanCreateProject = &yes, &yes
		if c.admin() || u.Admin {
			e.IsAdmin = &u.Admin
		}
	}
	return e
}

// botName is the form that the users behind project and group access tokens have.
var botName = lazyregexp.New(`^(project|group)_[0-9]+_bot_[0-9a-f]{32}$`)

var usernamePattern = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$`)

var createUserParams = takes(need("email", text), need("name", text), may("username", text), may("password", text),
	may("reset_password", boolean), may("force_random_password", boolean), may("admin", boolean), may("skip_confirmation", boolean))

func postUser(c *call) (answer, error) {
	if !c.admin() {
		return answer{}, forbidden("")
	}
	u := user{Username: c.text("username"), Name: c.text("name"), Email: c.text("email"), Admin: c.flag("admin", false)}
	switch {
	case c.text("password") == "" && !c.flag("reset_password", false) && !c.flag("force_random_password", false):
		return answer{}, grape(http.StatusBadRequest, "password, reset_password, force_random_password are missing, at least one parameter must be provided")
	case !usernamePattern.MatchString(u.Username):
		return answer{}, modelErrors("username", "can contain only letters, digits, '_', '-', '.'")
	case !strings.Contains(u.Email, "@"):
		return answer{}, modelErrors("email", "is invalid")
	}
	if err := c.checkFree(u); err != nil {
		return answer{}, err
	}
	made, err := c.createUser(u)
	if err != nil {
		return answer{}, err
	}
	return created(c.userEntity(made))
}

func (c *call) checkFree(u user) error {
	taken, err := c.exists("SELECT 1 FROM users WHERE email = ?", u.Email)
	if err != nil {
		return err
	}
	if taken {
		return message(http.StatusConflict, "Email has already been taken")
	}
	taken, err = c.exists("SELECT 1 FROM namespaces WHERE full_path = ?", u.Username)
	if err == nil && taken {
		return message(http.StatusConflict, "Username has already been taken")
	}
	return err
}

// createUser adds a user with their namespace.
func (t *tx) createUser(u user) (user, error) {
	u.State, u.CreatedAt = "active", at(t.now)
	var err error
	u.ID, err = t.insert("INSERT INTO users (username, name, email, admin, state, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		u.Username, u.Name, u.Email, u.Admin, u.State, u.CreatedAt)
	if err != nil {
		return u, err
	}
	_, err = t.insertNamespace(namespace{Kind: kindUser, OwnerID: u.ID, Name: u.Name, Path: u.Username, FullPath: u.Username, Visibility: "public"})
	return u, err
}

func getUsers(c *call) (answer, error) {
	where, args := "1=1", []any{}
	if c.text("username") != "" {
		where, args = "username = ?", []any{c.text("username")}
	} else if c.text("search") != "" {
		where, args = "(username LIKE ? OR name LIKE ? OR email = ?)", []any{"%" + c.text("search") + "%", "%" + c.text("search") + "%", c.text("search")}
	}
	found, err := page(c, scanUser, userColumns, "users WHERE "+where, "id DESC", args...)
	if err != nil {
		return answer{}, err
	}
	return ok(each(found, c.userEntity))
}

func getSelf(c *call) (answer, error) {
	e := c.userEntity(c.caller.user)
	err := c.value(&e.NamespaceID, "SELECT id FROM namespaces WHERE owner_id = ? AND kind = ?", c.caller.ID, kindUser)
	if err != nil {
		return answer{}, err
	}
	return ok(e)
}

func getUser(c *call) (answer, error) {
	u, err := c.findUser("id")
	if err != nil {
		return answer{}, err
	}
	return ok(c.userEntity(u))
}

func (c *call) findUser(param string) (user, error) {
	id, err := c.pathID(param)
	if err != nil {
		return user{}, err
	}
	u, err := c.userByID(id)
	return u, missing(err, notFound("User"))
}

func (t *tx) userByID(id int64) (user, error) {
	return row(t, scanUser, "SELECT "+userColumns+" FROM users WHERE id = ?", id)
}

func deleteUser(c *call) (answer, error) {
	u, err := c.findUser("id")
	if err != nil {
		return answer{}, err
	}
	if !c.admin() {
		return answer{}, forbidden("")
	}
	if err := c.exec("DELETE FROM users WHERE id = ?", u.ID); err != nil {
		return answer{}, err
	}
	if err := c.removeUnowned(); err != nil { // their own projects went with them
		return answer{}, err
	}
	return noContent()
}
