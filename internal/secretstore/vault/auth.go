package vault

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"rekey"
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
