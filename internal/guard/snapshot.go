package guard

import (
	"encoding/json"
	"time"

	"rekey"
)

// Schemas of the documents. Fields may be added within one.
const (
	SchemaSnapshot = "rekey.snapshot/1"
	SchemaDiff     = "rekey.snapshot-diff/1"
)

// Snapshot is what was seen at one time: the sections of the configs at hand and
// the records of GitLab in reach. It holds no token.
type Snapshot struct {
	Schema   string    `json:"schema"`
	TakenAt  time.Time `json:"taken_at"`
	Key      string    `json:"key"` // Key.Name of the key that made the marks
	GitLabs  []GitLab  `json:"gitlab"`
	Sections []Section `json:"sections"`
	Records  []Record  `json:"records"`
	// Unread says which config could not be read, and why.
	Unread []string `json:"unread"`
}

// GitLab is one server, and how much of its records the snapshot has.
type GitLab struct {
	URL     string `json:"url"`
	Version string `json:"version"` // "" when unknown
	Records Reach  `json:"records"`
	Reason  string `json:"reason,omitempty"` // why not all
}

// Reach is which of a GitLab's records were read.
type Reach string

// The reaches.
const (
	ReachAll  Reach = "all"  // every record: an administrator's token
	ReachOwn  Reach = "own"  // those that the user may administer, and the sections' own
	ReachNone Reach = "none" // no user token for it
)

// Section is one [[runners]].
type Section struct {
	Config     string          `json:"config"`
	Index      int             `json:"index"`
	Name       string          `json:"name"`
	URL        string          `json:"url"`
	GitLab     string          `json:"gitlab"` // base URL of the GitLab it points to
	RunnerID   rekey.RunnerID  `json:"runner_id"`
	Token      Mark            `json:"token"`
	Kind       rekey.TokenKind `json:"kind"`
	SystemID   rekey.SystemID  `json:"system_id"`
	ObtainedAt time.Time       `json:"obtained_at,omitzero"`
	ExpiresAt  time.Time       `json:"expires_at,omitzero"`
	Verdict    rekey.Verdict   `json:"verdict"`
	Seen       string          `json:"seen,omitempty"` // what GitLab answered, where the verdict is not valid
}

// Presence says how the question for a record ended.
type Presence string

// The ends.
const (
	PresenceThere   Presence = "there"
	PresenceGone    Presence = "gone"    // 404
	PresenceUnknown Presence = "unknown" // it could not be asked, or the answer says nothing
)

// Record is one runner record: enough to know it again, and to make it again.
type Record struct {
	GitLab     string           `json:"gitlab"`
	ID         rekey.RunnerID   `json:"id"`
	Presence   Presence         `json:"presence"`
	Reason     string           `json:"reason,omitempty"` // of an unknown presence
	CreatedAt  time.Time        `json:"created_at,omitzero"`
	ContactAt  time.Time        `json:"contacted_at,omitzero"`
	Attributes rekey.Attributes `json:"attributes"`
}

// RecordOf takes what a snapshot keeps of a record.
func RecordOf(gitlab string, r rekey.Runner) Record {
	a := rekey.Attributes{Scope: r.Scope, Description: r.Description, Tags: r.Tags, RunUntagged: r.RunUntagged, Locked: r.Locked, Paused: r.Paused,
		AccessLevel: r.AccessLevel, MaximumTimeout: r.MaximumTimeout, MaintenanceNote: r.MaintenanceNote}
	switch {
	case r.Scope == rekey.ScopeGroup && len(r.Groups) > 0:
		a.Owner = r.Groups[0]
	case r.Scope == rekey.ScopeProject && len(r.Projects) > 0:
		a.Owner, a.Projects = r.Projects[0], r.Projects
	}
	return Record{GitLab: gitlab, ID: r.ID, Presence: PresenceThere, CreatedAt: r.CreatedAt, ContactAt: r.ContactedAt, Attributes: a}
}

// ParseSnapshot reads a snapshot's file.
func ParseSnapshot(text []byte) (Snapshot, error) {
	var s Snapshot
	if err := parse(text, SchemaSnapshot, &s); err != nil {
		return Snapshot{}, err
	}
	return s, nil
}

// ParseDiff reads what `rekey snapshot diff -o json` wrote.
func ParseDiff(text []byte) (Diff, error) {
	var d Diff
	if err := parse(text, SchemaDiff, &d); err != nil {
		return Diff{}, err
	}
	return d, nil
}

func parse(text []byte, schema string, into any) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return rekey.Errorf(rekey.KindInvalid, "the file is no JSON document: %w", err).WithHint("`rekey snapshot -o FILE` writes a snapshot, `rekey snapshot diff FILE -o json` a comparison")
	}
	if head.Schema != schema {
		return rekey.Errorf(rekey.KindInvalid, "the file's schema is %q, not %s", head.Schema, schema).
			WithHint("`rekey snapshot -o FILE` writes %s, `rekey snapshot diff FILE -o json` writes %s", SchemaSnapshot, SchemaDiff)
	}
	return json.Unmarshal(text, into)
}
