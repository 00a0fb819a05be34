package lab

import (
	"context"
	"net/http"
)

// readOnlyText is what GitLab answers to a write while it takes none; it says
// nothing of the token that came along.
const readOnlyText = "You cannot perform write operations on a read-only instance"

// Maintenance is GitLab's maintenance mode: the setting, which an administrator may
// end through the API, unlike the read-only state.
type Maintenance struct {
	Enabled bool   `json:"enabled"`
	Message string `json:"message,omitempty"`
}

// SetMaintenance switches the application settings maintenance_mode and
// maintenance_mode_message.
func (r *Rehearsal) SetMaintenance(ctx context.Context, to Maintenance) error {
	r.change.Lock()
	defer r.change.Unlock()
	s, err := r.server()
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		if err := t.storeSetting("maintenance_mode", to.Enabled); err != nil {
			return err
		}
		if err := t.storeSetting("maintenance_mode_message", to.Message); err != nil {
			return err
		}
		next, err := t.loadSettings()
		t.onCommit(func() { t.cachedSettings.Store(next); t.queue.tickAll() })
		return err
	})
}

// SetReadOnly makes the lab a server whose database takes no writes, as while a
// backup is restored or on a secondary site: nothing but this ends it.
func (r *Rehearsal) SetReadOnly(on bool) error {
	r.change.Lock()
	defer r.change.Unlock()
	next := r.ordered()
	next.ReadOnly = on
	return r.store(next)
}

func (r *Rehearsal) readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reads := req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions
		if !reads && r.ordered().ReadOnly {
			sendJSON(w, http.StatusForbidden, messageBody{readOnlyText})
			return
		}
		next.ServeHTTP(w, req)
	})
}
