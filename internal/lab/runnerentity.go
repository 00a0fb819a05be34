package lab

import "encoding/json"

// runnerEntity is a runner in lists, and where other records name it. It never
// holds the token.
type runnerEntity struct {
	ID              int64           `json:"id"`
	Description     *string         `json:"description"`
	IPAddress       *string         `json:"ip_address"`
	Active          bool            `json:"active"`
	Paused          bool            `json:"paused"`
	IsShared        bool            `json:"is_shared"`
	RunnerType      string          `json:"runner_type"`
	Name            *string         `json:"name"`
	Online          *bool           `json:"online"`
	CreatedBy       json.RawMessage `json:"created_by,omitempty"`
	CreatedAt       *stamp          `json:"created_at,omitempty"`
	Status          string          `json:"status"`
	ExecutionStatus string          `json:"job_execution_status,omitempty"`
}

// runnerDetail is GET /runners/:id.
type runnerDetail struct {
	runnerEntity
	Tags            list           `json:"tag_list"`
	RunUntagged     bool           `json:"run_untagged"`
	Locked          bool           `json:"locked"`
	MaximumTimeout  *int64         `json:"maximum_timeout"`
	AccessLevel     string         `json:"access_level"`
	Version         *string        `json:"version"`
	Revision        *string        `json:"revision"`
	Platform        *string        `json:"platform"`
	Architecture    *string        `json:"architecture"`
	ContactedAt     stamp          `json:"contacted_at"`
	MaintenanceNote *string        `json:"maintenance_note"`
	Projects        []projectBasic `json:"projects,omitzero"`
	Groups          []groupBasic   `json:"groups"`
}

type groupBasic struct {
	ID     int64  `json:"id"`
	WebURL string `json:"web_url"`
	Name   string `json:"name"`
}

func (c *call) runnerEntity(r runner) (runnerEntity, error) {
	contacted := c.queue.lastSeen(managerKey{r.ID, ""}, r.ContactedAt)
	e := runnerEntity{ID: r.ID, Description: unlessEmpty(r.Description), Name: unlessEmpty(r.Name), Active: r.Active, Paused: !r.Active, IsShared: r.Type == instanceType,
		RunnerType: r.Type, Online: c.online(contacted), Status: c.runnerStatus(&r, contacted)}
	var err error
	if c.Server.has(executionStatus) {
		e.ExecutionStatus, err = c.execution("runner_id", r.ID)
	}
	if !c.Server.has(runnerAddressHidden) {
		e.IPAddress = new(string)
	}
	if err == nil && c.Server.has(createdFieldsInList) {
		err = c.addCreation(&e, &r)
	}
	return e, err
}

func (c *call) addCreation(e *runnerEntity, r *runner) error {
	e.CreatedAt, e.CreatedBy = &r.CreatedAt, json.RawMessage("null")
	if r.CreatorID == 0 {
		return nil
	}
	u, err := c.userByID(r.CreatorID)
	if err != nil {
		return missing(err, nil)
	}
	e.CreatedBy, err = json.Marshal(c.userBrief(u))
	return err
}

// execution is "active" while a job runs on the runner or manager.
func (t *tx) execution(column string, id int64) (string, error) {
	busy, err := t.exists("SELECT 1 FROM jobs WHERE "+column+" = ? AND status IN ('running', 'canceling')", id)
	if busy {
		return "active", err
	}
	return "idle", err
}

func (c *call) runnerDetail(r runner) (runnerDetail, error) {
	base, err := c.runnerEntity(r)
	if err != nil {
		return runnerDetail{}, err
	}
	d := runnerDetail{runnerEntity: base, Tags: r.Tags, RunUntagged: r.RunUntagged, Locked: r.Locked, MaximumTimeout: r.MaximumTimeout,
		AccessLevel: r.AccessLevel, ContactedAt: c.queue.lastSeen(managerKey{r.ID, ""}, r.ContactedAt)}
	may, err := c.mayUpdate(&r)
	if err != nil {
		return d, err
	}
	if may {
		d.MaintenanceNote = unlessEmpty(r.MaintenanceNote)
	}
	if err := c.addLatestManager(&d, r.ID); err != nil {
		return d, err
	}
	if d.Projects, err = c.visibleProjects(r.ID); err != nil {
		return d, err
	}
	d.Groups = []groupBasic{}
	if r.Type == groupType && r.GroupID != 0 { // an orphan has none
		g, err := c.namespaceByID(r.GroupID)
		if err != nil {
			return d, err
		}
		d.Groups = append(d.Groups, groupBasic{g.ID, c.baseURL(c.r) + "/groups/" + g.FullPath, g.Name})
	}
	return d, nil
}

// addLatestManager takes version and platform from the manager contacted last.
func (c *call) addLatestManager(d *runnerDetail, runnerID int64) error {
	m, err := row(c.tx, scanManager, "SELECT "+managerColumns+" FROM managers m WHERE m.runner_id = ? ORDER BY m.contacted_at DESC, m.id DESC LIMIT 1", runnerID)
	if err != nil {
		return missing(err, nil)
	}
	d.Version, d.Revision = unlessEmpty(m.Version), unlessEmpty(m.Revision)
	d.Platform, d.Architecture = unlessEmpty(m.Platform), unlessEmpty(m.Architecture)
	return nil
}

// unlessEmpty shows a text that was never set as null.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// visibleProjects are the assignments that the caller may see; others vanish
// silently.
func (c *call) visibleProjects(runnerID int64) ([]projectBasic, error) {
	where, args := c.visible(runnerID)
	found, err := rows(c.tx, scanProject, "SELECT "+projectColumns+" FROM projects WHERE "+where+" ORDER BY id", args...)
	return each(found, projectBasicOf), err
}

func (c *call) visible(runnerID int64) (string, []any) {
	where, args := "id IN (SELECT project_id FROM runner_projects WHERE runner_id = ?)", []any{runnerID}
	if c.admin() {
		return where, args
	}
	me := c.caller.ID
	return where + " AND (visibility != 'private' OR id IN " + memberProjects + ")", append(args, me, me, me)
}

// managerEntity is one manager; its status is never paused.
type managerEntity struct {
	ID              int64  `json:"id"`
	SystemID        string `json:"system_id"`
	Version         string `json:"version"`
	Revision        string `json:"revision"`
	Platform        string `json:"platform"`
	Architecture    string `json:"architecture"`
	CreatedAt       stamp  `json:"created_at"`
	ContactedAt     stamp  `json:"contacted_at"`
	IPAddress       string `json:"ip_address"`
	Status          string `json:"status"`
	ExecutionStatus string `json:"job_execution_status,omitempty"`
}

func (c *call) managerEntity(m manager) (managerEntity, error) {
	contacted := c.queue.lastSeen(managerKey{m.RunnerID, m.SystemID}, m.ContactedAt)
	e := managerEntity{ID: m.ID, SystemID: m.SystemID, Version: m.Version, Revision: m.Revision, Platform: m.Platform, Architecture: m.Architecture,
		CreatedAt: m.CreatedAt, ContactedAt: contacted, IPAddress: m.IPAddress, Status: c.status(contacted, m.CreatedAt, m.CreationState == stateFinished)}
	var err error
	if c.Server.has(executionStatus) {
		e.ExecutionStatus, err = c.execution("manager_id", m.ID)
	}
	return e, err
}
