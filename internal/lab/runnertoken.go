package lab

import (
	"errors"
	"net/http"
	"strings"
)

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
	if err := c.notOrphaned(&r); err != nil {
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
	if err := errors.Join(c.auditRunner(auditRunnerUnregistered, "Unregistered", &r), c.deleteRunner(&r)); err != nil {
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
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: made}, c.auditRunner(auditRunnerTokenReset, "Reset token of", &r)
}

// notOrphaned refuses a group or project runner whose owner is gone, in the
// versions that could have one. Others refuse or serve it like any runner.
func (c *call) notOrphaned(r *runner) error {
	if !c.Server.has(orphanRefusal) || r.Type == instanceType || r.Type == groupType && r.GroupID != 0 {
		return nil
	}
	if r.Type == projectType {
		owner, err := c.ownerProject(r)
		if err != nil || owner != 0 {
			return err
		}
	}
	if c.flagOn(flagRejectOrphaned) {
		return forbidden("Runner is orphaned")
	}
	return message(http.StatusUnprocessableEntity, "Runner is orphaned")
}

// discovered is the 200 of GET /runners/router/discovery.
type discovered struct {
	ServerURL string `json:"server_url"`
}

// getDiscovery is GET /runners/router/discovery: the token is looked at first, so
// that 501 says it is good. Nothing is written. With the flags on the address of
// a job router is named, where the lab has none.
func getDiscovery(c *call) (answer, error) {
	r, err := c.runnerByToken(c.r.Header.Get("Runner-Token"))
	if err != nil {
		return answer{}, err
	}
	if !c.flagOn(flagJobRouter) || r.Type == instanceType && !c.flagOn(flagJobRouterInstance) {
		return answer{}, message(http.StatusNotImplemented, "Job Router is not available. Please contact your administrator.")
	}
	_, host, _ := strings.Cut(c.baseURL(c.r), "://")
	scheme := "ws://"
	if strings.HasPrefix(c.baseURL(c.r), "https://") {
		scheme = "wss://"
	}
	return ok(discovered{scheme + host + "/-/kubernetes-agent/"})
}
