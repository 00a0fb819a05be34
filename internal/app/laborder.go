package app

import (
	"context"
	"net/http"
	"net/url"

	"rekey/internal/lab"
)

// The lab's management API takes and tells these.
type (
	// LabState is all that is ordered of a lab.
	LabState = lab.State
	// LabUpgraded is what an upgrade changed.
	LabUpgraded = lab.Upgraded
	// LabMode is the maintenance mode and its message.
	LabMode = lab.Maintenance
	// LabSnapshot is one snapshot.
	LabSnapshot = lab.Snapshot
	// LabClock is the lab's clock.
	LabClock = lab.ClockState
	// LabAdvanced is what moving the clock did.
	LabAdvanced = lab.Advanced
	// LabFault is one order to fail.
	LabFault = lab.Fault
)

// told sends one order to the lab in dir and returns what it answers.
func told[Out any](ctx context.Context, a *App, dir, method, path string, in any) (out Out, err error) {
	err = a.withLab(ctx, dir, func(c *labClient) error { return c.order(ctx, method, path, in, &out) })
	return out, err
}

// LabState tells all that is ordered of the lab in dir.
func (a *App) LabState(ctx context.Context, dir string) (LabState, error) {
	return told[LabState](ctx, a, dir, http.MethodGet, "/", lab.None{})
}

// LabUpgrade makes the lab a later version, in place.
func (a *App) LabUpgrade(ctx context.Context, dir, version string) (LabUpgraded, error) {
	return told[LabUpgraded](ctx, a, dir, http.MethodPost, "/upgrade", lab.UpgradeOrder{Version: version})
}

// LabMaintenance switches GitLab's maintenance mode.
func (a *App) LabMaintenance(ctx context.Context, dir string, to LabMode) (LabMode, error) {
	return told[LabMode](ctx, a, dir, http.MethodPut, "/maintenance", to)
}

// LabReadOnly makes the lab's database refuse writes, or take them again.
func (a *App) LabReadOnly(ctx context.Context, dir string, on bool) error {
	_, err := told[lab.ReadOnlyState](ctx, a, dir, http.MethodPut, "/read_only", lab.SwitchOrder{Enabled: on})
	return err
}

// LabLoseSecrets replaces the lab's key.
func (a *App) LabLoseSecrets(ctx context.Context, dir string) error {
	_, err := told[lab.None](ctx, a, dir, http.MethodPost, "/lose_secrets", lab.None{})
	return err
}

// LabSnapshot takes a snapshot.
func (a *App) LabSnapshot(ctx context.Context, dir, name string) (LabSnapshot, error) {
	return told[LabSnapshot](ctx, a, dir, http.MethodPost, "/snapshots", lab.SnapshotOrder{Name: name})
}

// LabSnapshots lists the snapshots.
func (a *App) LabSnapshots(ctx context.Context, dir string) ([]LabSnapshot, error) {
	list, err := told[lab.SnapshotList](ctx, a, dir, http.MethodGet, "/snapshots", lab.None{})
	return list.Snapshots, err
}

// LabSnapshotDelete removes a snapshot.
func (a *App) LabSnapshotDelete(ctx context.Context, dir, name string) error {
	_, err := told[lab.None](ctx, a, dir, http.MethodDelete, "/snapshots/"+url.PathEscape(name), lab.None{})
	return err
}

// LabRestore goes back to a snapshot.
func (a *App) LabRestore(ctx context.Context, dir, name string, withSecrets bool) (LabSnapshot, error) {
	return told[LabSnapshot](ctx, a, dir, http.MethodPost, "/snapshots/"+url.PathEscape(name)+"/restore", lab.RestoreOrder{Secrets: withSecrets})
}

// LabClock tells the lab's time.
func (a *App) LabClock(ctx context.Context, dir string) (LabClock, error) {
	return told[LabClock](ctx, a, dir, http.MethodGet, "/clock", lab.None{})
}

// LabClockAdvance moves the lab's clock ahead by a time such as 5d.
func (a *App) LabClockAdvance(ctx context.Context, dir, by string) (LabAdvanced, error) {
	return told[LabAdvanced](ctx, a, dir, http.MethodPost, "/clock/advance", lab.AdvanceOrder{By: by})
}

// LabClockReset goes back to the machine's clock.
func (a *App) LabClockReset(ctx context.Context, dir string) (LabClock, error) {
	return told[LabClock](ctx, a, dir, http.MethodDelete, "/clock", lab.None{})
}

// LabFaultAdd orders a fault of a running lab.
func (a *App) LabFaultAdd(ctx context.Context, dir string, f LabFault) (given LabFault, err error) {
	err = a.withRunningLab(ctx, dir, func(c *labClient) error { return c.order(ctx, http.MethodPost, "/faults", f, &given) })
	return given, err
}

// LabFaults lists the faults ordered of a running lab.
func (a *App) LabFaults(ctx context.Context, dir string) ([]LabFault, error) {
	var list lab.FaultList
	err := a.withRunningLab(ctx, dir, func(c *labClient) error { return c.order(ctx, http.MethodGet, "/faults", lab.None{}, &list) })
	return list.Faults, err
}

// LabFaultClear withdraws the fault with this name, or all for "", and returns how
// many.
func (a *App) LabFaultClear(ctx context.Context, dir, name string) (int, error) {
	path := "/faults"
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	var cleared lab.ClearedFaults
	err := a.withRunningLab(ctx, dir, func(c *labClient) error { return c.order(ctx, http.MethodDelete, path, lab.None{}, &cleared) })
	return cleared.Cleared, err
}
