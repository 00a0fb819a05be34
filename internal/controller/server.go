package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// server collects the facts of one GitLab while its sections are asked about.
type server struct {
	fleet    Fleet
	patience time.Duration
	now      func() time.Time

	// quit ends ctx, and with it what still queues, when this GitLab is given up.
	ctx  context.Context
	quit context.CancelCauseFunc

	mu       sync.Mutex
	facts    diagnose.Server
	waiting  int           // how many wait for this GitLab
	since    time.Time     // of the first of them, or of the last usable answer
	silent   time.Duration // silence before that
	repeated int           // fresh tokens that were asked about again
}

// servers finds the GitLabs that the sections name and asks each about itself.
func (o *Observer) servers(ctx context.Context, facts *diagnose.Facts) map[string]*server {
	servers := map[string]*server{}
	registration := map[string]bool{}
	for _, c := range facts.Configs {
		for _, s := range c.Sections {
			url := s.URL
			if s.Expanded != nil {
				url = s.ExpandedURL
			}
			base, err := o.BaseURL(url)
			if err != nil {
				continue
			}
			if servers[base] == nil {
				servers[base] = o.newServer(ctx, base)
			}
			registration[base] = registration[base] || o.AskRegistration || s.Token.Kind() == rekey.TokenRegistration
		}
	}
	var wait sync.WaitGroup
	for base, s := range servers {
		wait.Go(func() {
			o.introduce(ctx, s)
			switch {
			case s.readRegistration(ctx, registration[base] || refusedOnce(facts.Logs, base)):
			case registration[base] && o.Registration != nil && !o.NoTouch:
				ctx, stop := s.patient(ctx)
				defer stop()
				s.facts.RegistrationAllowed, s.facts.RegistrationEvidence = o.Registration(ctx, s.facts.URL)
			}
		})
	}
	wait.Wait()
	return servers
}

func (o *Observer) newServer(ctx context.Context, base string) *server {
	s := &server{patience: o.Patience, now: o.Now}
	if s.patience == 0 {
		s.patience = 30 * time.Second
	}
	s.ctx, s.quit = context.WithCancelCause(ctx)
	s.facts = diagnose.Server{URL: base, UserToken: diagnose.UserTokenNone}
	if o.Fleet != nil {
		s.fleet = o.Fleet(base, s.patient)
	}
	return s
}

// introduce asks what the server is, with the user token where one is for it.
func (o *Observer) introduce(ctx context.Context, s *server) {
	if s.fleet != nil {
		s.greet(ctx)
		s.askMaintenance(ctx)
	}
}

// refusedOnce reports whether a log tells that this GitLab took no registration
// token (410): what the setting says today is read beside it.
func refusedOnce(logs []diagnose.LogLine, base string) bool {
	return slices.ContainsFunc(logs, func(l diagnose.LogLine) bool {
		return strings.HasSuffix(l.ID, "/gone") && strings.HasPrefix(l.URL+"/", base+"/")
	})
}

// readRegistration reads the setting with the user token, where it matters and the
// token may.
func (s *server) readRegistration(ctx context.Context, matters bool) bool {
	if !matters || s.fleet == nil {
		return false
	}
	allowed, err := s.fleet.RegistrationAllowed(ctx)
	if err != nil {
		return false
	}
	s.facts.RegistrationAllowed = &allowed
	s.facts.RegistrationEvidence = rekey.Evidence{Seen: fmt.Sprintf("the setting allow_runner_registration_token is %v", allowed),
		Where: "GET " + s.facts.URL + "/api/v4/application/settings", At: s.now().UTC()}
	return true
}

// askMaintenance asks what the answers about tokens do not show any more from 18.7
// on, where the question is one that only reads (GET /runners/router/discovery).
func (s *server) askMaintenance(ctx context.Context) {
	if s.facts.UserToken == diagnose.UserTokenAccepted && s.facts.Version.AtLeast(18, 7) {
		on, err := s.fleet.Maintenance(ctx)
		s.facts.Maintenance = err == nil && on
	}
}

// greet reads version and scopes. A token that may not read the version can
// still be good for runners: only 401 is a refusal.
func (s *server) greet(ctx context.Context) {
	text, version, err := s.fleet.Version(ctx)
	s.facts.Version, s.facts.VersionText = version, text
	_, _, scopes, whoErr := s.fleet.WhoAmI(ctx)
	switch {
	case err == nil:
		s.facts.UserToken = diagnose.UserTokenAccepted
		s.facts.ProfileEvidence = "GET /api/v4/metadata with the user token"
	case rekey.KindOf(err) == rekey.KindDenied && !refused(err):
		s.facts.UserToken, s.facts.UserTokenDetail = diagnose.UserTokenLimited, err.Error()
	case rekey.KindOf(err) == rekey.KindDenied:
		s.facts.UserToken, s.facts.UserTokenDetail = diagnose.UserTokenRefused, err.Error()
	default:
		s.facts.UserToken, s.facts.UserTokenDetail = diagnose.UserTokenUnknown, err.Error()
	}
	if whoErr == nil && len(scopes) > 0 && s.facts.UserTokenDetail == "" {
		s.facts.UserTokenDetail = "scopes " + strings.Join(scopes, ", ")
	}
}

// refused tells a token that GitLab does not know (401) from one that lacks a
// scope (403).
func refused(err error) bool {
	u, ok := err.(interface{ Unauthorized() bool })
	return ok && u.Unauthorized()
}

// patient bounds a wait for this GitLab by what is left of the patience with it:
// time without a usable answer while somebody waits for one. Waiting for our own
// pace does not count.
func (s *server) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == 0 {
		s.since = s.now()
	}
	s.waiting++
	ctx, cancel := context.WithTimeoutCause(ctx, s.patience-s.silence(), s.givenUp())
	return ctx, sync.OnceFunc(func() { cancel(); s.rest() })
}

func (s *server) givenUp() error {
	return rekey.Errorf(rekey.KindUnavailable, "no usable answer within %s", s.patience)
}

// silence is how long people have waited since the last usable answer.
func (s *server) silence() time.Duration {
	if s.waiting == 0 {
		return s.silent
	}
	return s.silent + s.now().Sub(s.since)
}

// rest ends one wait.
func (s *server) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	silence := s.silence()
	if s.waiting--; s.waiting == 0 {
		s.silent = silence
	}
	if silence >= s.patience {
		s.quit(s.givenUp())
	}
}

// usable notes an answer to the user token.
func (s *server) usable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent, s.since = 0, s.now()
}

// heard notes an answer: one that speaks keeps patience up.
func (s *server) heard(a rekey.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Kind != rekey.AnswerUnreachable && a.Kind != rekey.AnswerRateLimited && a.Kind != rekey.AnswerNotAsked {
		s.silent, s.since = 0, s.now()
	}
	if a.ServerTime.After(s.facts.ServerTime) {
		s.facts.ServerTime, s.facts.ReadAt = a.ServerTime, a.At
	}
	if s.facts.ProfileEvidence == "" && a.IsGitLab != "" {
		s.facts.ProfileEvidence = a.IsGitLab
	}
}

// ended tells why a question was cut off: by an interrupt, or because this GitLab
// was given up meanwhile.
func (s *server) ended(ctx context.Context, a rekey.Answer) rekey.Answer {
	cut := a.Kind == rekey.AnswerUnreachable || a.Kind == rekey.AnswerNotAsked || a.Kind == rekey.AnswerRateLimited
	switch {
	case !cut || s.ctx.Err() == nil:
	case ctx.Err() != nil:
		return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: diagnose.InterruptedMessage, At: a.At}
	case a.Kind == rekey.AnswerNotAsked:
		a.Message = fmt.Sprintf("this GitLab gave no usable answer for %s (--timeout)", s.patience)
	case a.Kind == rekey.AnswerUnreachable && a.Status == 0 && context.Cause(s.ctx) != nil && a.Message == "interrupted":
		a.Message = "no answer within the time given"
	}
	return a
}

// finish returns what was learnt. The clock is that of the answers about tokens,
// else that of any other.
func (s *server) finish(clock func(base string) (server, read time.Time)) diagnose.Server {
	s.quit(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if clock != nil && s.facts.ServerTime.IsZero() {
		s.facts.ServerTime, s.facts.ReadAt = clock(s.facts.URL)
	}
	return s.facts
}

// record asks the user token's side about the section's runner id.
func (o *Observer) record(srv *server, s *diagnose.Section) {
	if srv.fleet == nil || s.RunnerID == 0 {
		return
	}
	ctx := srv.ctx
	r := diagnose.Record{Request: fmt.Sprintf("GET %s/api/v4/runners/%d", srv.facts.URL, s.RunnerID), At: o.Now()}
	runner, err := srv.fleet.Runner(ctx, s.RunnerID)
	if kind := rekey.KindOf(err); err == nil || kind == rekey.KindNotFound || kind == rekey.KindDenied {
		srv.usable()
	}
	switch {
	case err == nil:
		r.Lookup, r.Runner = diagnose.LookupFound, runner
		r.Managers, r.ManagersKnown, _ = srv.fleet.Managers(ctx, s.RunnerID)
	case rekey.KindOf(err) == rekey.KindNotFound:
		r.Lookup = diagnose.LookupGone
	case rekey.KindOf(err) == rekey.KindDenied:
		r.Lookup, r.Reason = diagnose.LookupDenied, err.Error()
	default:
		r.Lookup, r.Reason = diagnose.LookupFailed, err.Error()
	}
	s.Record = r
}
