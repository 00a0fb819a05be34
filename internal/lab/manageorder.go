package lab

// None is the body of an order that says nothing, and of an answer to one that
// asks nothing.
type None struct{}

// UpgradeOrder is POST /-/rekey-lab/upgrade.
type UpgradeOrder struct {
	Version string `json:"version"`
}

// SwitchOrder is PUT /-/rekey-lab/read_only.
type SwitchOrder struct {
	Enabled bool `json:"enabled"`
}

// ReadOnlyState answers it.
type ReadOnlyState struct {
	ReadOnly bool `json:"read_only"`
}

// SnapshotOrder is POST /-/rekey-lab/snapshots.
type SnapshotOrder struct {
	Name string `json:"name"`
}

// RestoreOrder is POST /-/rekey-lab/snapshots/:name/restore. Secrets brings back
// secrets.json too.
type RestoreOrder struct {
	Secrets bool `json:"secrets"`
}

// AdvanceOrder is POST /-/rekey-lab/clock/advance; By is as ParseDuration reads it.
type AdvanceOrder struct {
	By string `json:"by"`
}

// SnapshotList is GET /-/rekey-lab/snapshots.
type SnapshotList struct {
	Snapshots []Snapshot `json:"snapshots"`
}

// FaultList is GET /-/rekey-lab/faults.
type FaultList struct {
	Faults []Fault `json:"faults"`
}

// ClearedFaults is DELETE /-/rekey-lab/faults and DELETE /-/rekey-lab/faults/:name.
type ClearedFaults struct {
	Cleared int `json:"cleared"`
}
