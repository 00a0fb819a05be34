package cli

import (
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/fleet"
)

// runnerDocument is one runner in JSON: GitLab's own names.
type runnerDocument struct {
	ID          rekey.RunnerID    `json:"id"`
	RunnerType  string            `json:"runner_type"`
	Description string            `json:"description"`
	Status      string            `json:"status"`
	Paused      bool              `json:"paused"`
	ContactedAt time.Time         `json:"contacted_at,omitzero"`
	Tags        []string          `json:"tag_list,omitempty"`
	RunUntagged *bool             `json:"run_untagged,omitempty"`
	Locked      *bool             `json:"locked,omitempty"`
	AccessLevel string            `json:"access_level,omitempty"`
	Projects    []rekey.Ref       `json:"projects,omitempty"`
	Groups      []rekey.Ref       `json:"groups,omitempty"`
	Managers    []managerDocument `json:"managers,omitempty"`
	CreatedAt   time.Time         `json:"created_at,omitzero"`
	CreatedBy   string            `json:"created_by,omitempty"`
	LastSeen    time.Time         `json:"last_seen,omitzero"`
	Owner       string            `json:"owner,omitempty"`
	Remarks     []fleet.Remark    `json:"remarks,omitempty"`
}

type managerDocument struct {
	SystemID    rekey.SystemID `json:"system_id"`
	Version     string         `json:"version"`
	Status      string         `json:"status"`
	ContactedAt time.Time      `json:"contacted_at,omitzero"`
}

func runnersJSON(runners []rekey.Runner) any {
	list := []runnerDocument{}
	for _, r := range runners {
		list = append(list, document(r))
	}
	return struct {
		Schema  string           `json:"schema"`
		Runners []runnerDocument `json:"runners"`
	}{"rekey.runners/1", list}
}

func document(r rekey.Runner) runnerDocument {
	return runnerDocument{ID: r.ID, RunnerType: r.Scope.RunnerType(), Description: r.Description, Status: r.Status,
		Paused: r.Paused, ContactedAt: r.ContactedAt, CreatedAt: r.CreatedAt, CreatedBy: r.Creator}
}

func detailJSON(d app.RunnerDetail) any {
	r := document(d.Runner)
	r.Tags, r.RunUntagged, r.Locked, r.AccessLevel = d.Runner.Tags, &d.Runner.RunUntagged, &d.Runner.Locked, d.Runner.AccessLevel
	r.Projects, r.Groups = d.Runner.Projects, d.Runner.Groups
	for _, m := range d.Managers {
		r.Managers = append(r.Managers, managerDocument{m.SystemID, m.Version, m.Status, m.ContactedAt})
	}
	return struct {
		Schema string         `json:"schema"`
		Runner runnerDocument `json:"runner"`
	}{"rekey.runner/1", r}
}
