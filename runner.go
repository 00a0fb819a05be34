package rekey

import "time"

// RunnerID is GitLab's id of a runner record; 0 is unknown.
type RunnerID int64

// SystemID tells the managers of one runner apart: "s_" or "r_" and twelve
// letters or digits, from .runner_system_id beside config.toml; "" is unknown.
type SystemID string

// Scope is where a runner may work.
type Scope string

// The scopes of a runner.
const (
	ScopeInstance Scope = "instance"
	ScopeGroup    Scope = "group"
	ScopeProject  Scope = "project"
)

// ParseScope accepts instance, group, project and GitLab's own runner types
// (instance_type …).
func ParseScope(text string) (Scope, error) {
	for _, s := range []Scope{ScopeInstance, ScopeGroup, ScopeProject} {
		if text == string(s) || text == s.RunnerType() {
			return s, nil
		}
	}
	return "", Errorf(KindInvalid, "%q is not a scope", text).WithHint("use instance, group or project")
}

// RunnerType returns GitLab's word: instance_type, group_type or project_type.
func (s Scope) RunnerType() string { return string(s) + "_type" }

// Ref names a group or a project.
type Ref struct {
	ID   int64  `json:"id"`
	Path string `json:"path"` // full path; "" when GitLab showed none
}

// Runner is a runner record as one user of GitLab sees it (GET /runners/:id;
// lists leave Tags, Projects, Groups and MaintenanceNote out). It never holds a
// token.
type Runner struct {
	ID              RunnerID
	Scope           Scope
	Description     string
	Tags            []string
	RunUntagged     bool
	Locked          bool
	Paused          bool
	AccessLevel     string // not_protected or ref_protected
	MaximumTimeout  time.Duration
	MaintenanceNote string
	Status          string // GitLab's word: online, offline, stale, never_contacted, paused
	Online          *bool  // nil: never contacted
	ContactedAt     time.Time
	CreatedAt       time.Time
	Version         string // of the manager contacted last; "" from 17.0 where GitLab says none
	Creator         string // username; "" without one: made with a registration token, or by a user since deleted
	CreatorKnown    bool   // GitLab says who made it (18.0 and later); else Creator tells nothing
	Busy            *bool  // a job runs on it; nil: GitLab does not say (before 17.x)
	Projects        []Ref  // only those the user may see
	Groups          []Ref
}

// Manager is one process that uses a runner's token (GET /runners/:id/managers).
type Manager struct {
	ID          int64
	SystemID    SystemID
	Version     string
	Status      string // online, offline, stale, never_contacted
	CreatedAt   time.Time
	ContactedAt time.Time
}

// NewRunner is what POST /user/runners takes.
type NewRunner struct {
	Scope           Scope
	Owner           int64 // group or project id; 0 for instance
	Description     string
	Tags            []string
	RunUntagged     bool
	Locked          bool
	Paused          bool
	AccessLevel     string
	MaximumTimeout  time.Duration
	MaintenanceNote string
}

// RunnerEdit is a change of a runner record (PUT /runners/:id); nil fields stay.
type RunnerEdit struct {
	Description     *string
	Tags            *[]string
	RunUntagged     *bool
	Locked          *bool
	Paused          *bool
	AccessLevel     *string
	MaximumTimeout  *time.Duration
	MaintenanceNote *string
}

// Issued is a token as GitLab showed it, once.
type Issued struct {
	ID         RunnerID // 0 from a reset, which does not repeat it
	Token      Token
	ObtainedAt time.Time // the server's Date, else the local clock
	ExpiresAt  time.Time // zero: does not expire
}
