package lab

import (
	"database/sql"
	"errors"
	"slices"
	"strconv"
)

// sudo lets an administrator's token with that scope act as another user, named
// by the header Sudo or the parameter sudo.
func (c *call) sudo() error {
	as := c.r.Header.Get("Sudo")
	if as == "" {
		as, _ = c.in.values["sudo"].(string)
	}
	switch {
	case as == "":
		return nil
	case !c.admin():
		return forbidden("Must be admin to use sudo")
	case !slices.Contains(c.caller.scopes, "sudo"):
		return insufficientScope([]string{"sudo"})
	}
	where, arg := "username = ?", any(as)
	if id, err := strconv.ParseInt(as, 10, 64); err == nil {
		where, arg = "id = ?", id
	}
	u, err := row(c.tx, scanUser, "SELECT "+userColumns+" FROM users WHERE "+where, arg)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("User with ID or username '" + as + "'")
	}
	acting := *c.caller
	acting.user = u
	c.caller = &acting
	return err
}
