package lab

import (
	"net/http"
	"strconv"
)

var transferParams = takes(need("namespace", text))

// transferProject is PUT /projects/:id/transfer. The project's own runners go
// with it; those of groups change with the place.
func transferProject(c *call) (answer, error) {
	p, err := c.needProject("id", levelOwner)
	if err != nil {
		return answer{}, err
	}
	to, err := c.transferTarget()
	if err != nil {
		return answer{}, err
	}
	have, err := c.groupLevel(to.ID)
	if err != nil {
		return answer{}, err
	}
	p.NamespaceID, p.FullPath = to.ID, to.FullPath+"/"+p.Path
	if have < levelMaintainer || c.pathFree(p.FullPath) != nil {
		return answer{}, message(http.StatusBadRequest, "Project transfer failed, please contact an admin.") // the text is unverified
	}
	c.onCommit(c.queue.tickAll)
	if err := c.exec("UPDATE projects SET namespace_id = ?, full_path = ? WHERE id = ?", p.NamespaceID, p.FullPath, p.ID); err != nil {
		return answer{}, err
	}
	e, err := c.projectDetail(p)
	return answer{status: http.StatusOK, body: e}, err
}

// transferTarget is the namespace named by id or path.
func (c *call) transferTarget() (namespace, error) {
	where, arg := "full_path = ?", any(c.text("namespace"))
	if id, err := strconv.ParseInt(c.text("namespace"), 10, 64); err == nil {
		where, arg = "id = ?", id
	}
	n, err := row(c.tx, scanNamespace, "SELECT "+namespaceColumns+" FROM namespaces WHERE "+where, arg)
	return n, missing(err, notFound("Namespace"))
}
