package controller

import (
	"context"
	"fmt"
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

	mu       sync.Mutex
	facts    diagnose.Server
	lastGood time.Time
	gaveUp   bool
	repeated int // fresh tokens that were asked about again
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
				servers[base] = o.newServer(base)
			}
			registration[base] = registration[base] || s.Token.Kind() == rekey.TokenRegistration
		}
	}
	var wait sync.WaitGroup
	for base, s := range servers {
		wait.Go(func() { o.introduce(ctx, s, registration[base]) })
	}
	wait.Wait()
	return servers
}

func (o *Observer) newServer(base string) *server {
	s := &server{patience: o.Patience, now: o.Now, lastGood: o.Now()}
	if s.patience == 0 {
		s.patience = 30 * time.Second
	}
	s.facts = diagnose.Server{URL: base, UserToken: diagnose.UserTokenNone}
	if o.Fleet != nil {
		s.fleet = o.Fleet(base)
	}
	return s
}

// introduce asks what the server is, with the user token where one is for it.
func (o *Observer) introduce(ctx context.Context, s *server, registration bool) {
	ctx, stop := s.patient(ctx)
	defer stop()
	if s.fleet != nil {
		s.greet(ctx)
	}
	if !registration {
		return
	}
	if s.fleet != nil {
		if allowed, err := s.fleet.RegistrationAllowed(ctx); err == nil {
			s.facts.RegistrationAllowed = &allowed
			s.facts.RegistrationEvidence = rekey.Evidence{Seen: fmt.Sprintf("the setting allow_runner_registration_token is %v", allowed),
				Where: "GET " + s.facts.URL + "/api/v4/application/settings", At: s.now().UTC()}
			return
		}
	}
	if o.Registration != nil && !o.NoTouch {
		s.facts.RegistrationAllowed, s.facts.RegistrationEvidence = o.Registration(ctx, s.facts.URL)
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

// patient bounds how long one GitLab may go without a usable answer.
func (s *server) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.patience - s.now().Sub(s.lastGood)
	if s.gaveUp || rest <= 0 {
		rest = 0
		s.gaveUp = true
	}
	return context.WithTimeoutCause(ctx, rest, rekey.Errorf(rekey.KindUnavailable, "no usable answer within %s", s.patience))
}

// heard notes an answer: one that speaks keeps patience up.
func (s *server) heard(a rekey.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Kind != rekey.AnswerUnreachable && a.Kind != rekey.AnswerRateLimited && a.Kind != rekey.AnswerNotAsked {
		s.lastGood = s.now()
	}
	if a.ServerTime.After(s.facts.ServerTime) {
		s.facts.ServerTime, s.facts.ReadAt = a.ServerTime, a.At
	}
	if s.facts.ProfileEvidence == "" && a.IsGitLab != "" {
		s.facts.ProfileEvidence = a.IsGitLab
	}
}

func (s *server) finish() diagnose.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts
}

// record asks the user token's side about the section's runner id.
func (o *Observer) record(ctx context.Context, srv *server, s *diagnose.Section) {
	if srv.fleet == nil || s.RunnerID == 0 {
		return
	}
	ctx, stop := srv.patient(ctx)
	defer stop()
	r := diagnose.Record{Request: fmt.Sprintf("GET %s/api/v4/runners/%d", srv.facts.URL, s.RunnerID), At: o.Now()}
	runner, err := srv.fleet.Runner(ctx, s.RunnerID)
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
