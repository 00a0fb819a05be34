package secretstoretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// VaultServer is a real Vault or OpenBao with storage in memory: KV version 2 at
// secret/, version 1 at kv1/.
type VaultServer struct {
	URL  string
	Root string // the root token
	Key  string // that unseals it

	program string
}

// Vault starts the server that VAULT_BIN names, initialised and unsealed, until the
// test ends.
func Vault(t *testing.T) *VaultServer { t.Helper(); return vaultServer(t, "Vault", "VAULT_BIN") }

// OpenBao is Vault with the server that BAO_BIN names.
func OpenBao(t *testing.T) *VaultServer { t.Helper(); return vaultServer(t, "OpenBao", "BAO_BIN") }

func vaultServer(t *testing.T, product, variable string) *VaultServer {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		missing(t, product, "name the server's program in "+variable)
	}
	port := freePort(t)
	v := &VaultServer{URL: "http://127.0.0.1:" + port, program: path}
	config := filepath.Join(t.TempDir(), "vault.hcl")
	text := fmt.Sprintf("storage \"inmem\" {}\nlistener \"tcp\" {\n  address = \"127.0.0.1:%s\"\n  tls_disable = true\n}\ndisable_mlock = true\napi_addr = %q\n", port, v.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, v.URL+"/v1/sys/seal-status", path, "server", "-config", config)
	var made struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	v.Do(t, "PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made)
	v.Key, v.Root = made.Keys[0], made.Root
	v.Unseal(t)
	v.Do(t, "POST", "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	v.Do(t, "POST", "sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}}, nil)
	return v
}

// Unseal unseals the server.
func (v *VaultServer) Unseal(t *testing.T) {
	t.Helper()
	v.Do(t, "PUT", "sys/unseal", map[string]any{"key": v.Key}, nil)
}

// Do sends a request as root and decodes the answer; it fails the test unless that is
// a success.
func (v *VaultServer) Do(t *testing.T, method, path string, body, out any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, v.URL+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	if out != nil && json.Unmarshal(raw, out) != nil {
		t.Fatalf("%s %s: %s", method, path, raw)
	}
}

// AppRole makes a role with a policy and returns its role id and a secret id.
func (v *VaultServer) AppRole(t *testing.T, name, policy string) (roleID, secretID string) {
	t.Helper()
	v.Policy(t, name, policy)
	v.Do(t, "POST", "auth/approle/role/"+name, map[string]any{"token_policies": name, "token_ttl": "1h"}, nil)
	var role, secret struct {
		Data struct {
			RoleID   string `json:"role_id"`
			SecretID string `json:"secret_id"`
		}
	}
	v.Do(t, "GET", "auth/approle/role/"+name+"/role-id", nil, &role)
	v.Do(t, "POST", "auth/approle/role/"+name+"/secret-id", nil, &secret)
	return role.Data.RoleID, secret.Data.SecretID
}

// Policy writes a policy.
func (v *VaultServer) Policy(t *testing.T, name, text string) {
	t.Helper()
	v.Do(t, "PUT", "sys/policies/acl/"+name, map[string]string{"policy": text}, nil)
}

// Token makes a token with one policy.
func (v *VaultServer) Token(t *testing.T, policy string) string {
	t.Helper()
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Do(t, "POST", "auth/token/create", map[string]any{"policies": []string{policy}}, &made)
	return made.Auth.Token
}

// Agent starts a real Vault Agent that logs in by AppRole and adds its token to what
// passes, and returns its address.
func (v *VaultServer) Agent(t *testing.T, roleID, secretID string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	for name, text := range map[string]string{"role": roleID, "secret": secretID} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "agent.hcl")
	text := fmt.Sprintf(`vault { address = %q }
auto_auth {
  method "approle" { config = { role_id_file_path = %q, secret_id_file_path = %q, remove_secret_id_file_after_reading = false } }
}
api_proxy { use_auto_auth_token = true }
listener "tcp" {
  address = "127.0.0.1:%s"
  tls_disable = true
}
`, v.URL, filepath.Join(dir, "role"), filepath.Join(dir, "secret"), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + port
	program(t, url+"/v1/sys/seal-status", v.program, "agent", "-config", config)
	return url
}
