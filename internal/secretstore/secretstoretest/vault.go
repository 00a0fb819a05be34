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

// VaultServer is a real Vault with storage in memory: KV version 2 at secret/,
// version 1 at kv1/.
type VaultServer struct {
	URL  string
	Root string // the root token
	Key  string // that unseals it
}

// Vault starts the server that VAULT_BIN names, initialised and unsealed, until the
// test ends.
func Vault(t *testing.T) *VaultServer {
	t.Helper()
	path := os.Getenv("VAULT_BIN")
	if path == "" {
		missing(t, "Vault", "name the server's program in VAULT_BIN")
	}
	port := freePort(t)
	v := &VaultServer{URL: "http://127.0.0.1:" + port}
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
