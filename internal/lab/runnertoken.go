package lab

import "net/http"

var (
	tokenParams  = takes(need("token", text))
	verifyParams = takes(need("token", text), may("system_id", text), may("info", hash))
)

// verified is the 200 of POST /runners/verify.
type verified struct {
	ID        int64  `json:"id"`
	Token     string `json:"token"`
	ExpiresAt stamp  `json:"token_expires_at"`
}

// postVerify is POST /runners/verify. It writes: the manager row is made if the
// system id was never seen, "<legacy>" where none was sent.
func postVerify(c *call) (answer, error) {
	r, err := c.runnerByToken(c.text("token"))
	if err != nil {
		return answer{}, err
	}
	touches := r.RegistrationType == byRegistration || c.Server.has(verifyTouchesCreated)
	if err := c.meet(&r, contactFrom(c, c.text("system_id")), touches, false); err != nil {
		return answer{}, err
	}
	return ok(verified{r.ID, c.text("token"), r.TokenExpiresAt})
}

// deleteByToken is DELETE /runners: whoever holds the token deletes the record
// for every host.
func deleteByToken(c *call) (answer, error) {
	r, err := c.runnerByToken(c.text("token"))
	if err != nil {
		return answer{}, err
	}
	if err := c.preconditionFailed(r.UpdatedAt); err != nil {
		return answer{}, err
	}
	if err := c.deleteRunner(&r); err != nil {
		return answer{}, err
	}
	return noContent()
}

var deleteManagerParams = takes(need("token", text), need("system_id", text))

// deleteManager is DELETE /runners/managers: one manager's row, the record stays.
func deleteManager(c *call) (answer, error) {
	r, err := c.runnerByToken(c.text("token"))
	if err != nil {
		return answer{}, err
	}
	m, err := c.managerBySystemID(r.ID, c.text("system_id"))
	if err != nil {
		return answer{}, missing(err, notFound("Runner manager not found"))
	}
	if err := c.preconditionFailed(m.CreatedAt); err != nil {
		return answer{}, err
	}
	c.onCommit(func() { c.queue.forgetRunner(r.ID) })
	if err := c.exec("DELETE FROM managers WHERE id = ?", m.ID); err != nil {
		return answer{}, err
	}
	return noContent()
}

// resetByToken is POST /runners/reset_authentication_token, gitlab-runner's own
// rotation.
func resetByToken(c *call) (answer, error) {
	r, err := c.runnerByToken(c.text("token"))
	if err != nil {
		return answer{}, err
	}
	made, err := c.resetToken(&r)
	return answer{status: http.StatusCreated, body: made}, err
}

// getDiscovery is GET /runners/router/discovery: the lab has no job router, and
// says so only to a token it knows. Nothing is written.
func getDiscovery(c *call) (answer, error) {
	if _, err := c.runnerByToken(c.r.Header.Get("Runner-Token")); err != nil {
		return answer{}, err
	}
	return answer{}, message(http.StatusNotImplemented, "Job Router is not available. Please contact your administrator.")
}
