package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"rekey"
	"rekey/internal/redact"
)

// Method is how rekey says who it is.
type Method string

// The methods.
const (
	ByToken      Method = "token"
	ByAppRole    Method = "approle"
	ByKubernetes Method = "kubernetes"
	ByJWT        Method = "jwt"
	ByAgent      Method = "agent" // a Vault Agent or Proxy adds the token
)

// Auth is an identity. Files are read again at each login: what renews them writes
// them anew.
type Auth struct {
	Method       Method
	Mount        string // "" for the method's own name
	Token        rekey.Token
	TokenFile    string
	Role         string // of kubernetes and jwt
	RoleID       string
	SecretID     rekey.Token
	SecretIDFile string
	JWTFile      string
}

// podToken is where a pod finds its service account's token.
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" // #nosec: a path

// FromEnvironment reads the variables of the vault command, and for the logins that
// it leaves to flags those of rekey. Home is the user's, for ~/.vault-token.
func FromEnvironment(getenv func(string) string, home string) Options {
	o := Options{
		Address: getenv("VAULT_ADDR"), Namespace: getenv("VAULT_NAMESPACE"), CACert: getenv("VAULT_CACERT"), CAPath: getenv("VAULT_CAPATH"),
		Cert: getenv("VAULT_CLIENT_CERT"), Key: getenv("VAULT_CLIENT_KEY"), ServerName: getenv("VAULT_TLS_SERVER_NAME"),
	}
	if o.Address == "" {
		o.Address = getenv("BAO_ADDR")
	}
	a := Auth{
		Method: Method(getenv("REKEY_VAULT_AUTH")), Mount: getenv("REKEY_VAULT_AUTH_MOUNT"), Role: getenv("REKEY_VAULT_ROLE"), JWTFile: getenv("REKEY_VAULT_JWT_FILE"),
		RoleID: getenv("VAULT_ROLE_ID"), SecretID: rekey.NewToken(getenv("VAULT_SECRET_ID")), SecretIDFile: getenv("VAULT_SECRET_ID_FILE"),
		Token: rekey.NewToken(strings.TrimSpace(getenv("VAULT_TOKEN"))), TokenFile: getenv("VAULT_TOKEN_FILE"),
	}
	if a.Token.IsZero() {
		a.Token = rekey.NewToken(strings.TrimSpace(getenv("BAO_TOKEN")))
	}
	agent := getenv("VAULT_AGENT_ADDR")
	if a.Method == "" {
		a.Method = guess(a, agent)
	}
	if a.Method == ByAgent && agent != "" {
		o.Address = agent
	}
	if a.Method == ByToken && a.Token.IsZero() && a.TokenFile == "" && home != "" {
		a.TokenFile = filepath.Join(home, ".vault-token")
	}
	o.Auth = a
	return o
}

func guess(a Auth, agent string) Method {
	switch {
	case !a.Token.IsZero() || a.TokenFile != "":
		return ByToken
	case a.RoleID != "":
		return ByAppRole
	case agent != "":
		return ByAgent
	}
	return ByToken
}

// login is what the identity is at present.
type login struct {
	done    bool
	made    bool      // by rekey, which gives the token back
	expires time.Time // zero: never, or not known
}

// stale reports whether a refusal may be of a token that has ended, or whose file
// holds a newer one.
func (s *Store) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.made {
		return !s.login.expires.IsZero() && !s.opts.Now().Before(s.login.expires)
	}
	if s.opts.Auth.Method != ByToken || s.opts.Auth.TokenFile == "" {
		return false
	}
	token, err := secretText(rekey.Token{}, s.opts.Auth.TokenFile, "")
	return err == nil && token.Reveal() != s.client.Token()
}

// identified returns the client with its token set, after a login where one is due.
func (s *Store) identified(ctx context.Context, again bool) (*api.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	early := s.login.made && !s.login.expires.IsZero() && s.opts.Now().After(s.login.expires)
	if s.login.done && !again && !early {
		return s.client, nil
	}
	a := s.opts.Auth
	var err error
	switch a.Method {
	case ByAgent:
		s.client.ClearToken()
		s.login = login{done: true}
	case ByToken:
		err = s.useToken(a)
	case ByAppRole:
		err = s.appRole(ctx, a)
	case ByKubernetes:
		err = s.jwt(ctx, a, "kubernetes", podToken)
	case ByJWT:
		err = s.jwt(ctx, a, "jwt", "")
	default:
		err = rekey.Errorf(rekey.KindInvalid, "%q is no way to log in to Vault that rekey knows", a.Method).WithHint("REKEY_VAULT_AUTH is one of token, approle, kubernetes, jwt, agent")
	}
	return s.client, err
}

func (s *Store) useToken(a Auth) error {
	token, err := secretText(a.Token, a.TokenFile, "set VAULT_TOKEN or log in with `vault login`; a machine uses VAULT_ROLE_ID and VAULT_SECRET_ID, a pod REKEY_VAULT_AUTH=kubernetes")
	if err != nil {
		return err
	}
	s.client.SetToken(token.Reveal())
	s.login = login{done: true}
	return nil
}

func (s *Store) appRole(ctx context.Context, a Auth) error {
	if a.RoleID == "" {
		return rekey.Errorf(rekey.KindInvalid, "the AppRole login needs a role id").WithHint("set VAULT_ROLE_ID, and VAULT_SECRET_ID or VAULT_SECRET_ID_FILE")
	}
	body := map[string]any{"role_id": a.RoleID}
	if !a.SecretID.IsZero() || a.SecretIDFile != "" {
		secret, err := secretText(a.SecretID, a.SecretIDFile, "put the secret id there alone")
		if err != nil {
			return err
		}
		body["secret_id"] = secret.Reveal()
	}
	return s.logIn(ctx, a, "approle", body)
}

func (s *Store) jwt(ctx context.Context, a Auth, method, file string) error {
	if a.Role == "" {
		return rekey.Errorf(rekey.KindInvalid, "the %s login needs a role", method).WithHint("set REKEY_VAULT_ROLE to the role's name at auth/%s/role", method)
	}
	if a.JWTFile != "" {
		file = a.JWTFile
	}
	token, err := secretText(rekey.Token{}, file, "name the file with the JWT in REKEY_VAULT_JWT_FILE")
	if err != nil {
		return err
	}
	return s.logIn(ctx, a, method, map[string]any{"role": a.Role, "jwt": token.Reveal()})
}

func (s *Store) logIn(ctx context.Context, a Auth, mounted string, body map[string]any) error {
	if a.Mount != "" {
		mounted = strings.Trim(a.Mount, "/")
	}
	s.client.ClearToken()
	client := s.client
	if s.opts.Namespace != "" {
		client = client.WithNamespace(s.opts.Namespace)
	}
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
	s.login = login{done: true, made: true}
	if lease := time.Duration(answer.Auth.LeaseDuration) * time.Second; lease > 0 {
		s.login.expires = s.opts.Now().Add(lease * 9 / 10)
	}
	return nil
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

// secretText takes a secret or reads it from a file.
func secretText(given rekey.Token, file, hint string) (rekey.Token, error) {
	if !given.IsZero() {
		return given, nil
	}
	if file == "" {
		return rekey.Token{}, rekey.Errorf(rekey.KindDenied, "there is nothing to log in to Vault with").WithHint("%s", hint)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return rekey.Token{}, rekey.Errorf(rekey.KindDenied, "there is nothing to log in to Vault with: %w", err).WithHint("%s", hint)
	}
	return rekey.NewToken(strings.TrimSpace(string(data))), nil
}
