package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/secretstoretest"
	"rekey/internal/secretstore/vault"
)

const everything = `path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }`

// TestRealVault starts one server of each product for all that is asked of a real one,
// and seals it at the end.
func TestRealVault(t *testing.T) {
	t.Parallel()
	for product, start := range map[string]func(*testing.T) *secretstoretest.VaultServer{"Vault": secretstoretest.Vault, "OpenBao": secretstoretest.OpenBao} {
		t.Run(product, func(t *testing.T) { t.Parallel(); realServer(t, start(t)) })
	}
}

func realServer(t *testing.T, v *secretstoretest.VaultServer) {
	v.Do(t, "POST", "sys/auth/approle", map[string]string{"type": "approle"}, nil)
	t.Run("unsealed", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *secretstoretest.VaultServer){
			"approle": approle, "jwt": jwt, "agent": agent, "token file": tokenFile, "policies": policies, "deleted": deleted, "shapes": shapes,
			"mounts": mounts, "answers": answers, "no repetition": noRepetition, "namespace": namespace,
			"few uses": fewUses, "revoked": revoked, "missing policy": missingPolicy, "role gone": roleGone,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, v) })
		}
	})
	sealed(t, v)
}

func options(url string, a vault.Auth) vault.Options {
	return vault.Options{Address: url, Auth: a, Now: time.Now}
}

func byToken(token string) vault.Auth {
	return vault.Auth{Method: vault.ByToken, Token: rekey.NewToken(token)}
}

func open(t *testing.T, o vault.Options) *vault.Store {
	t.Helper()
	s, err := vault.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ref(t *testing.T, text string) secretstore.Ref {
	t.Helper()
	r, err := secretstore.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, s *vault.Store, r secretstore.Ref) {
	t.Helper()
	if _, err := s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{}); err != nil {
		t.Fatalf("Put %s: %v\n%s", r, err, rekey.HintOf(err))
	}
}

// wants fails the test unless err has the kind, and the text in itself or its hint.
func wants(t *testing.T, what string, err error, kind rekey.Kind, texts ...string) {
	t.Helper()
	if err == nil || rekey.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %s", what, err, kind)
		return
	}
	secretstoretest.Sweep(t, err)
	for _, text := range texts {
		if !strings.Contains(err.Error()+"\n"+rekey.HintOf(err), text) {
			t.Errorf("%s: got %q, hint %q, want %q", what, err, rekey.HintOf(err), text)
		}
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proof")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// approle: a login whose token has ended makes a new one; the store gives its token
// back; a wrong secret id is not quoted.
func approle(t *testing.T, v *secretstoretest.VaultServer) {
	role, secret := v.AppRole(t, "by-approle", everything)
	var ahead atomic.Int64
	o := options(v.URL, vault.Auth{Method: vault.ByAppRole, RoleID: role, SecretIDFile: file(t, secret+"\n")})
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := open(t, o)
	write(t, s, ref(t, "vault://secret/approle"))
	v.Do(t, "POST", "auth/token/tidy", nil, nil)
	ahead.Store(int64(2 * time.Hour))
	write(t, s, ref(t, "vault://secret/approle"))
	wrong := open(t, options(v.URL, vault.Auth{Method: vault.ByAppRole, RoleID: role, SecretID: rekey.NewToken("CANARY-secret-id")}))
	_, err := wrong.Get(t.Context(), ref(t, "vault://secret/approle"), "")
	wants(t, "a wrong secret id", err, rekey.KindDenied, "log in", "approle")
}

func jwt(t *testing.T, v *secretstoretest.VaultServer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	v.Do(t, "POST", "sys/auth/gitlab", map[string]string{"type": "jwt"}, nil)
	v.Do(t, "POST", "auth/gitlab/config", map[string]any{"jwt_validation_pubkeys": []string{public}}, nil)
	v.Policy(t, "by-jwt", everything)
	v.Do(t, "POST", "auth/gitlab/role/ci", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}, "token_policies": "by-jwt"}, nil)
	a := vault.Auth{Method: vault.ByJWT, Mount: "gitlab", Role: "ci", JWTFile: file(t, signed(t, key, "vault"))}
	write(t, open(t, options(v.URL, a)), ref(t, "vault://secret/jwt"))
	a.JWTFile = file(t, signed(t, key, "CANARYsomebodyelse"))
	_, err = open(t, options(v.URL, a)).Get(t.Context(), ref(t, "vault://secret/jwt"), "")
	if rekey.KindOf(err) != rekey.KindDenied {
		t.Errorf("a JWT for another audience: got %v, want denied", err)
	}
	a.Role = ""
	_, err = open(t, options(v.URL, a)).Get(t.Context(), ref(t, "vault://secret/jwt"), "")
	wants(t, "no role", err, rekey.KindInvalid, "REKEY_VAULT_ROLE")
}

// signed is a JWT for an audience (ES256).
func signed(t *testing.T, key *ecdsa.PrivateKey, audience string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{"sub": "project_path:acme/web", "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	if err != nil {
		t.Fatal(err)
	}
	text := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return text + "." + encode(raw)
}

// agent: a real Vault Agent adds the token; rekey has none.
func agent(t *testing.T, v *secretstoretest.VaultServer) {
	role, secret := v.AppRole(t, "by-agent", everything)
	getenv := func(name string) string {
		return map[string]string{"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": v.Agent(t, role, secret)}[name]
	}
	o := vault.FromEnvironment(getenv, "")
	o.Now = time.Now
	s := open(t, o)
	for t.Context().Err() == nil { // the agent answers before it has logged in
		if _, err := s.Put(t.Context(), ref(t, "vault://secret/agent"), secretstoretest.Token(1), secretstore.Put{}); err == nil {
			return
		} else if rekey.KindOf(err) != rekey.KindDenied {
			t.Fatalf("Put through the agent: %v", err)
		}
	}
}

// tokenFile: what renews ~/.vault-token writes it anew, and the store reads it again.
func tokenFile(t *testing.T, v *secretstoretest.VaultServer) {
	v.Policy(t, "by-file", everything)
	path := file(t, v.Token(t, "by-file")+"\n")
	s := open(t, options(v.URL, vault.Auth{Method: vault.ByToken, TokenFile: path}))
	write(t, s, ref(t, "vault://secret/token-file"))
	old, _ := os.ReadFile(path)
	v.Do(t, "POST", "auth/token/revoke", map[string]string{"token": strings.TrimSpace(string(old))}, nil)
	_, err := s.Get(t.Context(), ref(t, "vault://secret/token-file"), "")
	wants(t, "a revoked token", err, rekey.KindDenied, "vault login")
	if err := os.WriteFile(path, []byte(v.Token(t, "by-file")), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, s, ref(t, "vault://secret/token-file"))
}

// policies: a refusal names the line of policy that is missing, and with that very
// line the request is allowed.
func policies(t *testing.T, v *secretstoretest.VaultServer) {
	root := open(t, options(v.URL, byToken(v.Root)))
	write(t, root, ref(t, "vault://secret/guarded/runner"))
	all := `path "secret/other" { capabilities = ["read"] }`
	v.Policy(t, "growing", all)
	token := v.Token(t, "growing")
	s := open(t, options(v.URL, byToken(token)))
	r := ref(t, "vault://secret/guarded/runner")
	try := map[string]func() error{
		"get":      func() error { _, err := s.Get(t.Context(), r, ""); return err },
		"put":      func() error { _, err := s.Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{}); return err },
		"versions": func() error { _, err := s.Versions(t.Context(), r); return err },
		"list": func() error {
			_, err := s.List(t.Context(), ref(t, "vault://secret/guarded/runner").With("secret/guarded", ""))
			return err
		},
	}
	for _, what := range []string{"get", "put", "versions", "list"} {
		err := try[what]()
		wants(t, what+" without the right", err, rekey.KindDenied, "the line: path \"secret/")
		_, line, _ := strings.Cut(rekey.HintOf(err), " the line: ")
		line, _, _ = strings.Cut(line, " (KV")
		all += "\n" + line
		v.Policy(t, "growing", all)
		if err := try[what](); err != nil {
			t.Errorf("%s with the line %s: %v\n%s", what, line, err, rekey.HintOf(err))
		}
	}
}

func deleted(t *testing.T, v *secretstoretest.VaultServer) {
	s := open(t, options(v.URL, byToken(v.Root)))
	r := ref(t, "vault://secret/deleted")
	write(t, s, r)
	write(t, s, r)
	v.Do(t, "POST", "secret/delete/deleted", map[string]any{"versions": []int{2}}, nil)
	_, err := s.Get(t.Context(), r, "")
	wants(t, "a deleted version", err, rekey.KindNotFound, "version 2 was deleted", "vault kv undelete -versions=2 secret/deleted")
	v.Do(t, "PUT", "secret/destroy/deleted", map[string]any{"versions": []int{2}}, nil)
	_, err = s.Get(t.Context(), r, "")
	wants(t, "a destroyed version", err, rekey.KindNotFound, "version 2 was destroyed")
	if got, err := s.Get(t.Context(), r, "1"); err != nil || got.Value != secretstoretest.Token(1) {
		t.Errorf("the version before: %v, %v", got.Value, err)
	}
	_, err = s.Get(t.Context(), r, "nine")
	wants(t, "a version that is no number", err, rekey.KindNotFound)
}

// shapes: what is in the secret is not a token.
func shapes(t *testing.T, v *secretstoretest.VaultServer) {
	s := open(t, options(v.URL, byToken(v.Root)))
	v.Do(t, "POST", "secret/data/shapes", map[string]any{"data": map[string]any{"number": 5, "deep": map[string]string{"a": "CANARY"}, "newline": "glrt-CANARYaaaaaaaaaaaaaa\n", "newline_rekey": "{}"}}, nil)
	_, err := s.Get(t.Context(), ref(t, "vault://secret/shapes#number"), "")
	wants(t, "a number", err, rekey.KindInvalid, "not a text")
	_, err = s.Get(t.Context(), ref(t, "vault://secret/shapes#deep"), "")
	wants(t, "an object", err, rekey.KindInvalid, "not a text")
	_, err = s.Get(t.Context(), ref(t, "vault://secret/shapes"), "")
	wants(t, "a missing field", err, rekey.KindNotFound, `no field "token"`, "its fields are deep, newline, number:")
	got, err := s.Get(t.Context(), ref(t, "vault://secret/shapes#newline"), "")
	if j := secretstore.Judge(got.Value); err != nil || !j.Mended || !strings.Contains(j.Problem, "newline") {
		t.Errorf("a newline: %+v, %v, want it told", j, err)
	}
}

func mounts(t *testing.T, v *secretstoretest.VaultServer) {
	s := open(t, options(v.URL, byToken(v.Root)))
	v.Do(t, "POST", "sys/mounts/team/deep/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	v.Do(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	write(t, s, ref(t, "vault://team/deep/kv/ci/runner"))
	var raw struct {
		Data struct{ Data map[string]string }
	}
	v.Do(t, "GET", "team/deep/kv/data/ci/runner", nil, &raw)
	if raw.Data.Data["token"] != secretstoretest.Token(1).Reveal() {
		t.Errorf("a mount of several parts: got fields %d", len(raw.Data.Data))
	}
	_, err := s.Get(t.Context(), ref(t, "vault://transit/keys/x"), "")
	wants(t, "a mount of another kind", err, rekey.KindInvalid, "of type transit")
	_, err = s.Get(t.Context(), ref(t, "vault://nowhere/x"), "")
	if rekey.KindOf(err) != rekey.KindNotFound && rekey.KindOf(err) != rekey.KindDenied {
		t.Errorf("no such mount: %v", err)
	}
}

// answers: what is not Vault's answer to the question is no answer about the secret.
func answers(t *testing.T, v *secretstoretest.VaultServer) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	line := secretstoretest.NewLine(t, v.URL, nil)
	o := options(line.URL, byToken(v.Root))
	s := open(t, o)
	r := ref(t, "vault://secret/answers?kv=2")
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		text   string
	}{
		{"throttled", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"errors":["CANARY quota"]}`, http.StatusTooManyRequests)
		}, "limits the rate"},
		{"html", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>CANARY", http.StatusBadGateway) }, "Bad Gateway"},
		{"redirected", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, "redirects elsewhere"},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be reached"},
	} {
		line.Instead(c.answer)
		_, err := s.Get(t.Context(), r, "")
		wants(t, c.name, err, rekey.KindUnavailable, c.text)
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed, with the token")
	}
	line.Instead(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	o.Patience = 50 * time.Millisecond
	_, err := open(t, o).Get(t.Context(), r, "")
	wants(t, "silent", err, rekey.KindUnavailable, "in time")
	closed := options("http://127.0.0.1:1", byToken("x"))
	_, err = open(t, closed).Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
	wants(t, "closed", err, rekey.KindUnavailable, "cannot be reached")
	if secretstore.OutcomeUnknown(err) {
		t.Error("a write that no server got is called unknown")
	}
}

// A version that is not there is no secret that is not there: the hint names the way
// to those that are.
func TestMissingVersions(t *testing.T) {
	t.Parallel()
	answer := map[string]string{
		"9":   `{"errors":[]}`,
		"2":   `{"data":{"data":null,"metadata":{"version":2,"destroyed":true,"deletion_time":""}}}`,
		"old": "",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, answer[req.URL.Query().Get("version")])
	}))
	defer server.Close()
	r := ref(t, "vault://secret/versions?kv=2")
	s := open(t, options(server.URL, byToken("x")))
	for version := range answer {
		_, err := s.Get(t.Context(), r, secretstore.Version(version))
		wants(t, "version "+version, err, rekey.KindNotFound, version, "rekey secret list "+r.String()+" --versions")
		if strings.Contains(rekey.HintOf(err), "put") {
			t.Errorf("version %s: the hint is %q, want nothing about writing", version, rekey.HintOf(err))
		}
	}
	_, err := s.Get(t.Context(), r, "")
	wants(t, "no secret", err, rekey.KindNotFound, "no such secret", "rekey secret put")
}

// noRepetition: a write that fails without an answer that settles it is sent once,
// and called unknown.
func noRepetition(t *testing.T, v *secretstoretest.VaultServer) {
	var writes atomic.Int32
	line := secretstoretest.NewLine(t, v.URL, nil)
	r := ref(t, "vault://secret/once?kv=2")
	s := open(t, options(line.URL, byToken(v.Root)))
	write(t, s, r)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if secretstoretest.Write(req) {
			writes.Add(1)
			http.Error(w, `{"errors":["internal error"]}`, http.StatusInternalServerError)
			return
		}
		line.ServeHTTP(w, req)
	}))
	defer front.Close()
	_, err := open(t, options(front.URL, byToken(v.Root))).Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{})
	wants(t, "a write that failed", err, rekey.KindUnavailable, "whether it was written is not known", "rekey secret get")
	if n := strings.Count(err.Error(), r.String()); n != 1 {
		t.Errorf("the error names the secret %d times, want once: %v", n, err)
	}
	if !secretstore.OutcomeUnknown(err) || writes.Load() != 1 {
		t.Errorf("unknown = %v after %d writes, want true after 1", secretstore.OutcomeUnknown(err), writes.Load())
	}
}

func namespace(t *testing.T, v *secretstoretest.VaultServer) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Vault-Namespace"))
		http.Error(w, `{"errors":[]}`, http.StatusNotFound)
	}))
	defer server.Close()
	o := options(server.URL, byToken("CANARY"))
	o.Namespace = "org"
	s := open(t, o)
	_, _ = s.Get(t.Context(), ref(t, "vault://secret/x?kv=2"), "")
	_, _ = s.Get(t.Context(), ref(t, "vault://secret/x?kv=2&namespace=org%2Fteam"), "")
	if strings.Join(seen, " ") != "org org/team" {
		t.Errorf("namespaces %q, want org and org/team", seen)
	}
}

// sealed: nothing is known, and nothing is written.
func sealed(t *testing.T, v *secretstoretest.VaultServer) {
	s := open(t, options(v.URL, byToken(v.Root)))
	r := ref(t, "vault://secret/sealed")
	write(t, s, r)
	v.Do(t, "PUT", "sys/seal", nil, nil)
	_, err := s.Get(t.Context(), r, "")
	wants(t, "Get of a sealed Vault", err, rekey.KindUnavailable, "Vault is sealed", "vault operator unseal")
	_, err = s.Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{})
	wants(t, "Put to a sealed Vault", err, rekey.KindUnavailable, "Vault is sealed")
	if secretstore.OutcomeUnknown(err) {
		t.Error("a sealed Vault says that it did nothing; the write is called unknown")
	}
	v.Unseal(t)
	for t.Context().Err() == nil { // it becomes active a moment after
		got, err := s.Get(t.Context(), r, "")
		if err != nil {
			continue
		}
		if got.Value != secretstoretest.Token(1) {
			t.Errorf("after unsealing: %v, want what was there", got.Value)
		}
		return
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	_, err := vault.New(vault.Options{Now: time.Now})
	wants(t, "no address", err, rekey.KindInvalid, "VAULT_ADDR")
	for _, c := range []struct {
		auth vault.Auth
		kind rekey.Kind
		text string
	}{
		{vault.Auth{Method: vault.ByToken}, rekey.KindDenied, "VAULT_TOKEN"},
		{vault.Auth{Method: vault.ByToken, TokenFile: "/nonexistent"}, rekey.KindDenied, "vault login"},
		{vault.Auth{Method: vault.ByAppRole}, rekey.KindInvalid, "VAULT_ROLE_ID"},
		{vault.Auth{Method: vault.ByJWT, Role: "x"}, rekey.KindDenied, "REKEY_VAULT_JWT_FILE"},
		{vault.Auth{Method: "ldap"}, rekey.KindInvalid, "token, approle, kubernetes, jwt, agent"},
	} {
		_, err := open(t, options("http://127.0.0.1:1", c.auth)).Get(t.Context(), ref(t, "vault://secret/x"), "")
		wants(t, string(c.auth.Method), err, c.kind, c.text)
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env    map[string]string
		method vault.Method
	}{
		{map[string]string{"VAULT_TOKEN": "x"}, vault.ByToken},
		{map[string]string{}, vault.ByToken},
		{map[string]string{"VAULT_ROLE_ID": "x"}, vault.ByAppRole},
		{map[string]string{"VAULT_AGENT_ADDR": "http://x"}, vault.ByAgent},
		{map[string]string{"VAULT_TOKEN": "x", "REKEY_VAULT_AUTH": "kubernetes"}, vault.ByKubernetes},
	} {
		if o := vault.FromEnvironment(func(name string) string { return c.env[name] }, "/home/x"); o.Auth.Method != c.method {
			t.Errorf("%v: %s, want %s", c.env, o.Auth.Method, c.method)
		}
	}
}
