package lab

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// counter counts requests by key in fixed windows of one length. What a window
// counted is forgotten when the next begins.
type counter struct {
	mu     sync.Mutex
	window int64
	counts map[string]int64
}

// count adds one to key and returns the sum in the window that now lies in.
func (l *counter) count(now time.Time, length time.Duration, key string) int64 {
	window := now.UnixNano() / int64(length)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.window != window || l.counts == nil {
		l.window, l.counts = window, map[string]int64{}
	}
	l.counts[key]++
	return l.counts[key]
}

// The application limiter's settings, requests a minute each; 0 switches off.
const (
	limitJobRequest   = "runner_jobs_request_api_limit"
	limitPatchTrace   = "runner_jobs_patch_trace_api_limit"
	limitJobEndpoints = "runner_jobs_endpoints_api_limit"
)

// tooMany reports whether the application limiter refuses one more request with
// this token to the endpoints of a limit.
func (s *Server) tooMany(limit, token string) bool {
	if limit == "" || !s.has(jobRateLimits) {
		return false
	}
	most, _ := s.settings().number(limit)
	return most > 0 && s.jobCalls.count(s.now(), time.Minute, limit+" "+token) > most
}

// limitedAnswer is the application limiter's 429; RateLimit headers never show it.
func (s *Server) limitedAnswer() *refusal {
	r := &refusal{status: http.StatusTooManyRequests,
		body: messageBody{map[string]string{"error": "This endpoint has been requested too many times. Try again later."}}}
	if s.has(limitRetryAfter) {
		r.header = http.Header{"Retry-After": {"60"}}
	}
	return r
}

// limited refuses a request over the limit of its route. The token is the
// runner's for POST /jobs/request, the job's elsewhere.
func (c *call) limited(rt *route) error {
	if rt.limit == "" {
		return nil
	}
	token, _ := c.in.values["token"].(string)
	if header := c.r.Header.Get("Job-Token"); header != "" && rt.limit != limitJobRequest {
		token = header
	}
	if c.tooMany(rt.limit, token) {
		return c.limitedAnswer()
	}
	return nil
}

// limitProjectJobs bounds GET /projects/:id/jobs, requests a minute by user.
const limitProjectJobs = "project_jobs_api_rate_limit"

func (c *call) jobsLimited() error {
	most, _ := c.settings().number(limitProjectJobs)
	if most <= 0 || !c.Server.has(projectJobsLimit) || c.jobCalls.count(c.now, time.Minute, limitProjectJobs+" "+formatInt(c.caller.ID)) <= most {
		return nil
	}
	return c.limitedAnswer()
}

// backoff is what runner endpoints answer while a migration holds their tables.
func (c *call) backoff(rt *route) error {
	if !rt.access.runner || !c.flagOn(flagMigrating) {
		return nil
	}
	return &refusal{status: http.StatusTooManyRequests, body: messageBody{"Executing database migrations. Please retry later."}, header: http.Header{"Retry-After": {"60"}}}
}

// apiThrottle is one of the general limits per user or address, all off by default.
type apiThrottle struct {
	name         string
	most, period int64
}

func (s *Server) throttleNamed(name string) (apiThrottle, bool) {
	set := s.settings()
	most, _ := set.number(name + "_requests_per_period")
	period, _ := set.number(name + "_period_in_seconds")
	return apiThrottle{name, most, period}, set.flag(name+"_enabled") && most > 0 && period > 0
}

// throttled answers 429 as Rack::Attack does, in plain text before anything else,
// and puts its headers on the answer. Requests that a runner or a job makes with
// its own token are none of its business.
func (s *Server) throttled(w http.ResponseWriter, r *http.Request, rt *route) bool {
	if rt != nil && rt.access.runner && rt.id() != "POST runners" {
		return false
	}
	users, usersOn := s.throttleNamed("throttle_authenticated_api")
	others, othersOn := s.throttleNamed("throttle_unauthenticated_api")
	if !usersOn && !othersOn {
		return false
	}
	limit, on, key := others, othersOn, "ip "+remoteIP(r)
	if id := s.userOf(r); id != 0 {
		limit, on, key = users, usersOn, "user "+formatInt(id)
	}
	if !on {
		return false
	}
	now, length := s.now(), time.Duration(limit.period)*time.Second
	seen := s.throttles(limit.name).count(now, length, key)
	over := seen > limit.most
	if over || s.has(throttleHeaders) {
		limit.describe(w.Header(), now, seen)
	}
	if !over {
		return false
	}
	wait := limit.period - now.Unix()%limit.period
	w.Header().Set("RateLimit-ResetTime", now.Add(time.Duration(wait)*time.Second).UTC().Format(http.TimeFormat))
	w.Header().Set("Retry-After", formatInt(wait))
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(s.throttleText()))
	return true
}

func (s *Server) throttleText() string {
	if text := s.settings().text("rate_limiting_response_text"); strings.TrimSpace(text) != "" {
		return text
	}
	return "Retry later"
}

func (s *Server) throttles(name string) *counter {
	if name == "throttle_authenticated_api" {
		return &s.userCalls
	}
	return &s.addressCalls
}

// describe sets the RateLimit headers; RateLimit-Limit is per minute, rounded up.
func (l apiThrottle) describe(h http.Header, now time.Time, seen int64) {
	wait := l.period - now.Unix()%l.period
	h.Set("RateLimit-Name", l.name)
	h.Set("RateLimit-Limit", formatInt((l.most*60+l.period-1)/l.period))
	h.Set("RateLimit-Observed", formatInt(seen))
	h.Set("RateLimit-Remaining", formatInt(max(0, l.most-seen)))
	h.Set("RateLimit-Reset", formatInt(now.Unix()+wait))
}

// userOf is the id of the user whose token came in a header or the query, 0 for
// nobody.
func (s *Server) userOf(r *http.Request) int64 {
	values := map[string]any{}
	if token := r.URL.Query().Get("private_token"); token != "" {
		values["private_token"] = token
	}
	token := credential(r, values)
	if token == "" {
		return 0
	}
	var id int64
	err := s.read(r.Context(), func(t *tx) error {
		c, err := t.authenticate(token, http.MethodGet, anyScope)
		if err == nil {
			id = c.ID
		}
		return err
	})
	if err != nil {
		return 0
	}
	return id
}
