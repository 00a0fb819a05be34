package lab

import (
	"net/http"
	"slices"
)

// memberEntity is a user with a role.
type memberEntity struct {
	userBrief
	AccessLevel level   `json:"access_level"`
	CreatedAt   stamp   `json:"created_at"`
	ExpiresAt   *string `json:"expires_at"`
}

type memberRow struct {
	user
	Level level
	Since stamp
}

func scanMember(sc scanner) (memberRow, error) {
	var m memberRow
	err := sc.Scan(&m.ID, &m.Username, &m.Name, &m.Email, &m.Admin, &m.State, &m.user.CreatedAt, &m.Level, &m.Since)
	return m, err
}

const memberColumns = "u.id, u.username, u.name, u.email, u.admin, u.state, u.created_at, m.access_level, m.created_at"

func (c *call) memberEntity(m memberRow) memberEntity {
	return memberEntity{userBrief: c.userBrief(m.user), AccessLevel: m.Level, CreatedAt: m.Since}
}

func (t *tx) storeMember(kind string, source, user int64, l level) error {
	return t.exec(`INSERT INTO members (source_kind, source_id, user_id, access_level, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (source_kind, source_id, user_id) DO UPDATE SET access_level = excluded.access_level`, kind, source, user, l, at(t.now))
}

// source is the group or project that a members route names; least is the role
// that the caller needs there.
func (c *call) source(kind string, projectLeast, groupLeast level) (int64, error) {
	if kind == "group" {
		g, err := c.needGroup("id", groupLeast)
		return g.ID, err
	}
	p, err := c.needProject("id", projectLeast)
	return p.ID, err
}

func listMembers(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, 0, 0)
		if err != nil {
			return answer{}, err
		}
		found, err := page(c, scanMember, memberColumns, "members m JOIN users u ON u.id = m.user_id WHERE m.source_kind = ? AND m.source_id = ?", "u.id", kind, id)
		if err != nil {
			return answer{}, err
		}
		return ok(each(found, c.memberEntity))
	}
}

// listAllMembers adds those inherited from groups above, each with their highest role.
func listAllMembers(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, 0, 0)
		if err != nil {
			return answer{}, err
		}
		namespace := id
		if kind == "project" {
			if err := c.value(&namespace, "SELECT namespace_id FROM projects WHERE id = ?", id); err != nil {
				return answer{}, err
			}
		}
		found, err := page(c, scanMember, "u.id, u.username, u.name, u.email, u.admin, u.state, u.created_at, max(m.access_level), m.created_at",
			"(SELECT * FROM members WHERE source_kind = ? AND source_id = ? OR source_kind = 'group' AND source_id IN "+namespaceAndAbove+`) m
			JOIN users u ON u.id = m.user_id GROUP BY u.id`, "u.id", kind, id, namespace)
		if err != nil {
			return answer{}, err
		}
		return ok(each(found, c.memberEntity))
	}
}

func getMember(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, 0, 0)
		if err != nil {
			return answer{}, err
		}
		return c.oneMember(kind, id, http.StatusOK)
	}
}

func (c *call) oneMember(kind string, source int64, status int) (answer, error) {
	id, given := c.number("user_id")
	if !given {
		var err error
		if id, err = c.pathID("user_id"); err != nil {
			return answer{}, err
		}
	}
	m, err := row(c.tx, scanMember, "SELECT "+memberColumns+" FROM members m JOIN users u ON u.id = m.user_id WHERE m.source_kind = ? AND m.source_id = ? AND u.id = ?", kind, source, id)
	if err != nil {
		return answer{}, missing(err, lookupMiss())
	}
	return answer{status: status, body: c.memberEntity(m)}, nil
}

func postMember(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, levelMaintainer, levelOwner)
		if err != nil {
			return answer{}, err
		}
		userID, _ := c.number("user_id")
		if _, err := c.userByID(userID); err != nil {
			return answer{}, missing(err, notFound("User"))
		}
		there, err := c.exists("SELECT 1 FROM members WHERE source_kind = ? AND source_id = ? AND user_id = ?", kind, id, userID)
		if err != nil {
			return answer{}, err
		}
		if there {
			return answer{}, message(http.StatusConflict, "Member already exists")
		}
		if err := c.giveRole(kind, id, userID); err != nil {
			return answer{}, err
		}
		return c.oneMember(kind, id, http.StatusCreated)
	}
}

func putMember(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, levelMaintainer, levelOwner)
		if err != nil {
			return answer{}, err
		}
		if _, err := c.oneMember(kind, id, http.StatusOK); err != nil {
			return answer{}, err
		}
		userID, err := c.pathID("user_id")
		if err != nil {
			return answer{}, err
		}
		if err := c.giveRole(kind, id, userID); err != nil {
			return answer{}, err
		}
		return c.oneMember(kind, id, http.StatusOK)
	}
}

func (c *call) giveRole(kind string, source, userID int64) error {
	wanted, _ := c.number("access_level")
	if !slices.Contains(knownLevels, level(wanted)) {
		return modelErrors("access_level", "is not included in the list")
	}
	return c.storeMember(kind, source, userID, level(wanted))
}

func deleteMember(kind string) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		id, err := c.source(kind, levelMaintainer, levelOwner)
		if err != nil {
			return answer{}, err
		}
		if _, err := c.oneMember(kind, id, http.StatusOK); err != nil {
			return answer{}, err
		}
		if err := c.exec("DELETE FROM members WHERE source_kind = ? AND source_id = ? AND user_id = ?", kind, id, c.vars["user_id"]); err != nil {
			return answer{}, err
		}
		return noContent()
	}
}
