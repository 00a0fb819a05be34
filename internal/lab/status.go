package lab

import "time"

// onlineFor is how long after its contact a runner counts as online.
const onlineFor = 2 * time.Hour

func (s *Server) staleAfter() time.Duration {
	if s.has(staleAfterWeek) {
		return 7 * 24 * time.Hour
	}
	return 90 * 24 * time.Hour
}

// status is the real one: stale, never_contacted, online or offline.
func (t *tx) status(contacted, made stamp, contactCounts bool) string {
	newest := contacted
	if made.After(newest.Time) {
		newest = made
	}
	switch {
	case t.now.Sub(newest.Time) >= t.staleAfter():
		return "stale"
	case contacted.IsZero() || !contactCounts:
		return "never_contacted"
	case t.now.Sub(contacted.Time) < onlineFor:
		return "online"
	}
	return "offline"
}

// runnerStatus is REST's deprecated form, in which paused hides online and offline.
func (t *tx) runnerStatus(r *runner, contacted stamp) string {
	status := t.status(contacted, r.CreatedAt, true)
	if !r.Active && (status == "online" || status == "offline") {
		return "paused"
	}
	return status
}

// online is null before the first contact.
func (t *tx) online(contacted stamp) *bool {
	if contacted.IsZero() {
		return nil
	}
	yes := t.now.Sub(contacted.Time) < onlineFor
	return &yes
}

// statusFilter is the SQL of ?status=; it reads written contacts only, as GitLab's
// does. offline may include stale runners.
func (t *tx) statusFilter(status string) (string, []any) {
	switch status {
	case "active", "paused":
		return "r.active = ?", []any{status == "active"}
	case "online":
		return "r.contacted_at > ?", []any{at(t.now.Add(-onlineFor))}
	case "offline":
		return "r.contacted_at <= ?", []any{at(t.now.Add(-onlineFor))}
	case "never_contacted":
		return "r.contacted_at IS NULL", nil
	case "stale":
		return "max(r.created_at, coalesce(r.contacted_at, 0)) <= ?", []any{at(t.now.Add(-t.staleAfter()))}
	}
	return "1=1", nil
}
