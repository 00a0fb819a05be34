package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"rekey"
	"rekey/internal/redact"
)

// login is what the identity is at present.
type login struct {
	done    bool
	made    bool      // by rekey, which gives the token back
	tried   time.Time // when it was made, or a newer one was refused
	refused error     // why a newer one was
	good    bool      // its token was taken once
	expires time.Time // zero: never, or not known
}

// soonest is the least time between two logins that are not sure to help. Vault locks
// a role out after a few that fail.
const soonest = time.Minute

// identified returns a client with its token set, after a login where one is due.
func (s *Store) identified(ctx context.Context) (*api.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	early := s.login.made && !s.login.expires.IsZero() && s.opts.Now().After(s.login.expires)
	if !s.login.done || early {
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
	}
	return s.asNow(), nil
}

// asNow is a copy of the client: the token of a request does not change under it.
func (s *Store) asNow() *api.Client { return s.client.WithNamespace("") }

// enter takes the identity anew.
func (s *Store) enter(ctx context.Context) error {
	a := s.opts.Auth
	switch a.Method {
	case ByAgent:
		s.client.ClearToken()
		s.login = login{done: true}
		return nil
	case ByToken:
		return s.useToken(a)
	case ByAppRole:
		return s.appRole(ctx, a)
	case ByKubernetes:
		return s.jwt(ctx, a, "kubernetes", podToken)
	case ByJWT:
		return s.jwt(ctx, a, "jwt", "")
	}
	return rekey.Errorf(rekey.KindInvalid, "%q is no way to log in to Vault that rekey knows", a.Method).WithHint("REKEY_VAULT_AUTH is one of token, approle, kubernetes, jwt, agent")
}

// renewed returns a client with another token than the refused one, nil where the
// refusal stands, and whether it logged in for that. Ended says that the server does
// not know the token: a login is then made at once, since a token that is good for a few
// requests may live for seconds.
func (s *Store) renewed(ctx context.Context, refused string, ended bool) (client *api.Client, own bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.client.Token() != refused: // another request has seen to it
	case s.login.made:
		if own, err = s.logInAgain(ctx, ended); !own {
			return nil, false, err
		}
	case !s.newInFile(refused):
		return nil, false, nil
	default:
		own, err = true, s.useToken(s.opts.Auth)
	}
	return s.asNow(), own, err
}

// newInFile reports whether the token's file holds a newer one.
func (s *Store) newInFile(refused string) bool {
	if s.opts.Auth.Method != ByToken || s.opts.Auth.TokenFile == "" {
		return false
	}
	token, err := secretText(rekey.Token{}, s.opts.Auth.TokenFile, "")
	return err == nil && token.Reveal() != refused
}

// logInAgain replaces a login whose token was refused, if that may help, and reports
// whether it did. Without an error and a new login the refusal stands: it is a policy's.
func (s *Store) logInAgain(ctx context.Context, ended bool) (bool, error) {
	before := s.login
	young := s.opts.Now().Sub(before.tried) < soonest
	switch {
	case !ended && (young || before.refused != nil), ended && young && !before.good:
		return false, nil
	case young && before.refused != nil:
		return false, before.refused
	}
	old := s.asNow()
	err := s.enter(ctx)
	if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
		s.login.tried, s.login.refused = s.opts.Now(), err
	}
	switch {
	case err != nil && !ended && rekey.KindOf(err) != rekey.KindUnavailable:
		return false, nil
	case err != nil:
		return false, err
	case !ended: // it may be good still, and each one that is left is a lease more
		s.giveBack(old)
	}
	return true, nil
}

// took notes that the server knows a token: one that it never knew is not worth
// another login at once.
func (s *Store) took(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.good = s.login.good || s.client.Token() == token
}

// tokenEnded reports a refusal of the token itself. Vault names it; OpenBao and old
// versions of Vault say "permission denied" and nothing around it, where a refusal by
// policy stands in a list of errors.
func tokenEnded(err error) bool {
	var answered *api.ResponseError
	if !errors.As(err, &answered) || answered.StatusCode != http.StatusForbidden || answered.RawError {
		return false
	}
	text := strings.Join(answered.Errors, "; ")
	return strings.Contains(text, "invalid token") || text == "permission denied"
}

func (s *Store) logIn(ctx context.Context, a Auth, mounted string, body map[string]any) error {
	if a.Mount != "" {
		mounted = strings.Trim(a.Mount, "/")
	}
	client := s.client.WithNamespace(s.opts.Namespace)
	client.ClearToken()
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	answer, err := client.Logical().WriteWithContext(ctx, "auth/"+mounted+"/login", body)
	if err == nil && (answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "") {
		err = errors.New("the answer has no token")
	}
	if err != nil {
		return s.loginFailed(mounted, err)
	}
	s.client.SetToken(answer.Auth.ClientToken)
	s.login = login{done: true, made: true, tried: s.opts.Now()}
	if lease := time.Duration(answer.Auth.LeaseDuration) * time.Second; lease > 0 {
		s.login.expires = s.opts.Now().Add(lease * 9 / 10)
	}
	return nil
}

// giveBack revokes the token of a login; it ends by itself otherwise.
func (s *Store) giveBack(client *api.Client) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	_, _ = client.WithNamespace(s.opts.Namespace).Logical().WriteWithContext(ctx, "auth/token/revoke-self", nil)
}

func (s *Store) loginFailed(mounted string, err error) error {
	status := statusOf(err)
	if status == 0 || status >= 500 || status == 429 {
		return rekey.Errorf(rekey.KindUnavailable, "log in to %s by %s: %s", s.opts.Address, mounted, loginText(err)).WithHint("see whether Vault is well: `vault status`")
	}
	return rekey.Errorf(rekey.KindDenied, "log in to %s by %s: refused: %s", s.opts.Address, mounted, loginText(err)).
		WithHint("check the role and its bounds, and that what is shown as proof has not ended: `vault read auth/%s/role/NAME`", mounted)
}

// loginText is what Vault said; it never quotes what was sent.
func loginText(err error) string {
	var answered *api.ResponseError
	if errors.As(err, &answered) && !answered.RawError {
		return redact.Scrub(strings.Join(answered.Errors, "; "))
	}
	return said(err)
}
