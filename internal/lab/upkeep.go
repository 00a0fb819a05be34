package lab

import (
	"context"
	"errors"
)

const (
	mostManagersPerRun = 1000
	managersPerBatch   = 100
	pruneAfterMonths   = 3 // of group runners, where the group asks for it
)

// Upkept is what one run of the periodic work removed.
type Upkept struct {
	Managers int64 `json:"stale_managers"`
	Runners  int64 `json:"stale_group_runners"`
}

// Upkeep does GitLab's periodic work once, at the lab's time: it removes stale
// managers, at most 1000 a run, and the runners of groups that prune stale ones
// after three months. Runners of projects and of the instance are never removed.
// The lab does none of it by itself: whoever moves the clock calls it.
func (s *Server) Upkeep(ctx context.Context) (Upkept, error) {
	var done Upkept
	err := s.write(ctx, func(t *tx) error {
		managers, err := t.removeStaleManagers()
		if err != nil {
			return err
		}
		runners, err := t.pruneGroupRunners()
		done = Upkept{managers, runners}
		return err
	})
	return done, err
}

// Sweep is Upkeep for whoever moves the clock and asks no more than whether it
// went well.
func (s *Server) Sweep(ctx context.Context) error {
	_, err := s.Upkeep(ctx)
	return err
}

func (t *tx) removeStaleManagers() (int64, error) {
	limit := at(t.now.Add(-t.staleAfter()))
	var removed int64
	for removed < mostManagersPerRun {
		stale, err := rows(t, func(sc scanner) (managerKey, error) {
			var key managerKey
			err := sc.Scan(&key.runner, &key.systemID)
			return key, err
		}, "SELECT runner_id, system_id FROM managers WHERE created_at <= ? AND coalesce(contacted_at, created_at) <= ? ORDER BY id LIMIT ?", limit, limit, managersPerBatch)
		if err != nil || len(stale) == 0 {
			return removed, err
		}
		for _, key := range stale {
			t.onCommit(func() { t.queue.forgetRunner(key.runner) })
			if err := t.exec("DELETE FROM managers WHERE runner_id = ? AND system_id = ?", key.runner, key.systemID); err != nil {
				return removed, err
			}
		}
		removed += int64(len(stale))
	}
	return removed, nil
}

func (t *tx) pruneGroupRunners() (int64, error) {
	limit := at(t.now.AddDate(0, -pruneAfterMonths, 0))
	stale, err := rows(t, scanRunner, "SELECT "+runnerColumns+` FROM runners r WHERE r.created_at <= ? AND coalesce(r.contacted_at, r.created_at) <= ?
		AND r.group_id IN (SELECT id FROM namespaces WHERE stale_pruning)`, limit, limit)
	for i := range stale {
		err = errors.Join(err, t.deleteRunner(&stale[i]))
	}
	return int64(len(stale)), err
}
