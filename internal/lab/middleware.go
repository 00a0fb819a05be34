package lab

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"rekey/internal/lazyregexp"
)

// Middleware wraps the handler of API requests: the seam where ordered faults
// act, after identification headers are set and before any work is done.
type Middleware func(http.Handler) http.Handler

// Handler answers everything a GitLab host answers, as far as the lab goes.
// It is safe for concurrent use.
func (s *Server) Handler() http.Handler {
	var api http.Handler = http.HandlerFunc(s.serveAPI)
	if s.fault != nil {
		api = s.fault(api)
	}
	page := s.pageHandler(api)
	return s.identified(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		switch {
		case strings.HasPrefix(path, "/api/v4/"):
			api.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/api/v3/"):
			sendJSON(w, http.StatusGone, errorBody{Error: "API V3 is no longer supported. Use API V4 instead."})
		case strings.HasPrefix(path, "/api/"):
			unknownRoute(w)
		default:
			page.ServeHTTP(w, r)
		}
	}))
}

var requestIDPattern = lazyregexp.New(`^[A-Za-z0-9_-]{1,128}$`)

// identified sets the headers by which clients know a GitLab and one by which
// people know the lab, and turns a panic into GitLab's 500.
func (s *Server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDPattern.MatchString(id) {
			id = hex.EncodeToString(randomBytes(16))
		}
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("Date", s.now().UTC().Format(http.TimeFormat)) // the lab's clock, which may be moved
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "SAMEORIGIN")
		h.Set("X-Rekey-Lab", "not GitLab, not for production")
		if strings.HasPrefix(r.URL.Path, "/api/") {
			meta, _ := json.Marshal(struct {
				CorrelationID string `json:"correlation_id"`
				Version       string `json:"version"`
			}{id, "1"})
			h.Set("X-Gitlab-Meta", string(meta))
			h.Set("Cache-Control", "max-age=0, private, must-revalidate")
			h.Set("Vary", "Origin")
		}
		defer s.recovered(w, r)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // the sentinel itself is thrown
		panic(cause)
	}
	s.log.Error("handler panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	sendJSON(w, http.StatusInternalServerError, messageBody{"500 Internal Server Error"})
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v4/")
	rt, vars, allowed := s.routes.find(r.Method, path)
	if s.throttled(w, r, rt) {
		return
	}
	switch {
	case rt == nil && allowed != nil:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		sendJSON(w, http.StatusMethodNotAllowed, errorBody{Error: "405 Not Allowed"})
	case rt == nil:
		unknownRoute(w)
	case s.readOnly(r, rt):
		sendJSON(w, http.StatusForbidden, messageBody{"You cannot perform write operations on a read-only instance"})
	case rt.pattern == "jobs/request" && !s.flagOn(flagMigrating) && (s.heldPoll(w, r) || s.idlePoll(w, r)):
	default:
		s.serveRoute(w, r, rt, vars)
	}
}

// readOnly reports whether maintenance mode refuses the request. Only the
// settings themselves may be written then, or nobody could end it.
func (s *Server) readOnly(r *http.Request, rt *route) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || !s.settings().flag("maintenance_mode") {
		return false
	}
	return rt.pattern != "application/settings"
}

func unknownRoute(w http.ResponseWriter) {
	sendJSON(w, http.StatusNotFound, errorBody{Error: "404 Not Found"})
}

// preconditionFailed is the conditional DELETE: a record changed after the
// time in If-Unmodified-Since is left alone. An unreadable header is ignored.
func (c *call) preconditionFailed(updated stamp) error {
	limit, err := http.ParseTime(c.r.Header.Get("If-Unmodified-Since"))
	if err != nil || !updated.Truncate(time.Second).After(limit) {
		return nil
	}
	return message(http.StatusPreconditionFailed, "412 Precondition Failed")
}
