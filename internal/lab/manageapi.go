package lab

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"rekey"
)

// managePrefix is below no path that GitLab has: its own special paths begin with
// a word of GitLab's after /-/.
const managePrefix = "/-/rekey-lab"

func isManagement(path string) bool {
	return path == managePrefix || strings.HasPrefix(path, managePrefix+"/")
}

// maxOrder bounds the body of one order, which holds at most one faulty answer.
const maxOrder = 2 << 20

// ManageError is every refusal of the management API.
type ManageError struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// State is GET /-/rekey-lab/: what the lab is and what was ordered of it.
type State struct {
	Version             string      `json:"gitlab_version"`
	Profile             string      `json:"profile"`
	URL                 string      `json:"url"`
	RegistrationAllowed bool        `json:"registration_tokens_allowed"`
	Clock               ClockState  `json:"clock"`
	ReadOnly            bool        `json:"read_only"`
	Maintenance         Maintenance `json:"maintenance"`
	Snapshots           []Snapshot  `json:"snapshots"`
	Faults              []Fault     `json:"faults"`
}

// State tells all of it at once.
func (r *Rehearsal) State() (State, error) {
	s, err := r.server()
	if err != nil {
		return State{}, err
	}
	list, err := r.Snapshots()
	set := s.settings()
	return State{
		Version: s.version.String(), Profile: s.profile, URL: s.URL(), RegistrationAllowed: set.flag("allow_runner_registration_token"),
		Clock: r.Clock(), ReadOnly: r.ordered().ReadOnly, Maintenance: Maintenance{set.flag("maintenance_mode"), set.text("maintenance_mode_message")},
		Snapshots: list, Faults: r.Faults(),
	}, err
}

// manageAPI is authorised by the administrator's token of lab.json, and goes on
// answering while GitLab's own API is told not to.
func (r *Rehearsal) manageAPI() http.Handler {
	mux := http.NewServeMux()
	at := func(method, path string, h http.HandlerFunc) { mux.HandleFunc(method+" "+managePrefix+path, h) }
	at("GET", "/{$}", order(func(context.Context, *http.Request, None) (any, error) { return r.State() }))
	at("POST", "/upgrade", order(func(ctx context.Context, _ *http.Request, in UpgradeOrder) (any, error) {
		to, err := rekey.ParseVersion(in.Version)
		if err != nil {
			return nil, err
		}
		return r.Upgrade(ctx, to)
	}))
	at("PUT", "/maintenance", order(func(ctx context.Context, _ *http.Request, in Maintenance) (any, error) {
		return in, r.SetMaintenance(ctx, in)
	}))
	at("PUT", "/read_only", order(func(_ context.Context, _ *http.Request, in SwitchOrder) (any, error) {
		return ReadOnlyState{in.Enabled}, r.SetReadOnly(in.Enabled)
	}))
	at("POST", "/lose_secrets", order(func(ctx context.Context, _ *http.Request, _ None) (any, error) { return None{}, r.LoseSecrets(ctx) }))
	r.snapshotAPI(at)
	r.clockAPI(at)
	r.faultAPI(at)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { manageMiss(w) })
	return r.managers(http.NewCrossOriginProtection().Handler(mux))
}

func (r *Rehearsal) snapshotAPI(at func(method, path string, h http.HandlerFunc)) {
	at("GET", "/snapshots", order(func(context.Context, *http.Request, None) (any, error) {
		list, err := r.Snapshots()
		return SnapshotList{list}, err
	}))
	at("POST", "/snapshots", order(func(ctx context.Context, _ *http.Request, in SnapshotOrder) (any, error) {
		return r.Snapshot(ctx, in.Name)
	}))
	at("DELETE", "/snapshots/{name}", order(func(_ context.Context, req *http.Request, _ None) (any, error) {
		return None{}, r.RemoveSnapshot(req.PathValue("name"))
	}))
	at("POST", "/snapshots/{name}/restore", order(func(ctx context.Context, req *http.Request, in RestoreOrder) (any, error) {
		return r.Restore(ctx, req.PathValue("name"), in.Secrets)
	}))
}

func (r *Rehearsal) clockAPI(at func(method, path string, h http.HandlerFunc)) {
	at("GET", "/clock", order(func(context.Context, *http.Request, None) (any, error) { return r.Clock(), nil }))
	at("DELETE", "/clock", order(func(ctx context.Context, _ *http.Request, _ None) (any, error) { return r.ResetClock(ctx) }))
	at("POST", "/clock/advance", order(func(ctx context.Context, _ *http.Request, in AdvanceOrder) (any, error) {
		by, err := ParseDuration(in.By)
		if err != nil {
			return nil, err
		}
		return r.AdvanceClock(ctx, by)
	}))
}

func (r *Rehearsal) faultAPI(at func(method, path string, h http.HandlerFunc)) {
	at("GET", "/faults", order(func(context.Context, *http.Request, None) (any, error) { return FaultList{r.Faults()}, nil }))
	at("POST", "/faults", order(func(_ context.Context, _ *http.Request, in Fault) (any, error) { return r.AddFault(in) }))
	clear := order(func(_ context.Context, req *http.Request, _ None) (any, error) {
		n, err := r.ClearFaults(req.PathValue("name"))
		return ClearedFaults{n}, err
	})
	at("DELETE", "/faults", clear)
	at("DELETE", "/faults/{name}", clear)
}

// managers lets the administrator's token pass.
func (r *Rehearsal) managers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		admin := r.options.admin
		r.mu.Unlock()
		w.Header().Set("Date", r.clock.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("X-Rekey-Lab", "not GitLab, not for production")
		w.Header().Set("Cache-Control", "no-store")
		if subtle.ConstantTimeCompare([]byte(credential(req, nil)), []byte(admin)) != 1 {
			sendJSON(w, http.StatusUnauthorized, ManageError{"401 Unauthorized", "send the admin_token of the lab's lab.json as Private-Token"})
			return
		}
		next.ServeHTTP(w, req)
	})
}

// order reads a strict JSON body, acts, and answers in JSON.
func order[In any](act func(context.Context, *http.Request, In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
		body.DisallowUnknownFields()
		if err := body.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			manageRefused(w, rekey.Errorf(rekey.KindInvalid, "the body is not what this order takes: %w", err))
			return
		}
		out, err := act(r.Context(), r, in)
		if err != nil {
			manageRefused(w, err)
			return
		}
		sendJSON(w, http.StatusOK, out)
	}
}

func manageMiss(w http.ResponseWriter) {
	sendJSON(w, http.StatusNotFound, ManageError{"404 Not Found", "GET " + managePrefix + "/ shows the lab's state"})
}

var manageStatus = map[rekey.Kind]int{
	rekey.KindInvalid: http.StatusBadRequest, rekey.KindNotFound: http.StatusNotFound, rekey.KindDenied: http.StatusForbidden,
	rekey.KindConflict: http.StatusConflict, rekey.KindUnavailable: http.StatusServiceUnavailable,
}

func manageRefused(w http.ResponseWriter, err error) {
	status, known := manageStatus[rekey.KindOf(err)]
	if !known {
		status = http.StatusInternalServerError
	}
	sendJSON(w, status, ManageError{err.Error(), rekey.HintOf(err)})
}
