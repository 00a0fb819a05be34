package secretstoretest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/secretstoretest"
	"rekey/internal/secretstore/vault"
)

// kubeUser is one user of a cluster, out of a kubeconfig.
type kubeUser struct{ server, ca, token string }

func userOf(t *testing.T, kubeconfig string) kubeUser {
	t.Helper()
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `json:"certificate-authority"`
			}
		}
		Users []struct{ User struct{ Token string } }
	}
	if err := json.Unmarshal([]byte(kubeconfig), &config); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(config.Clusters[0].Cluster.CA)
	if err != nil {
		t.Fatal(err)
	}
	return kubeUser{config.Clusters[0].Cluster.Server, string(ca), config.Users[0].User.Token}
}

// podToken asks the cluster for the token that a pod of the service account has.
func (u kubeUser) podToken(t *testing.T, namespace, account string) string {
	t.Helper()
	body := bytes.NewBufferString(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":600}}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.server+"/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	var made struct{ Status struct{ Token string } }
	if err != nil || json.Unmarshal(raw, &made) != nil || made.Status.Token == "" {
		t.Fatalf("no token: %d %s", resp.StatusCode, raw)
	}
	return made.Status.Token
}

// TestKubernetesLogin: a pod's token, which a real cluster issued and reviews, opens a
// real Vault.
func TestKubernetesLogin(t *testing.T) {
	t.Parallel()
	v := secretstoretest.Vault(t)
	onRealCluster(t, func(t *testing.T, server kubetest.Server, namespace string) {
		server.Put(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts", `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"rekey"}}`)
		user := userOf(t, server.User(t, "", kubetest.Right{Group: "authentication.k8s.io", Resource: "tokenreviews", Verbs: []string{"create"}},
			kubetest.Right{Resource: "serviceaccounts/token", Verbs: []string{"create"}}))
		v.Do(t, "POST", "sys/auth/kubernetes", map[string]string{"type": "kubernetes"}, nil)
		v.Do(t, "POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": user.server, "kubernetes_ca_cert": user.ca, "token_reviewer_jwt": user.token, "disable_local_ca_jwt": true}, nil)
		v.Policy(t, "pods", `path "secret/*" { capabilities = ["create", "read", "update"] }`)
		v.Do(t, "POST", "auth/kubernetes/role/rekey", map[string]any{"bound_service_account_names": "rekey", "bound_service_account_namespaces": namespace, "token_policies": "pods"}, nil)
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(user.podToken(t, namespace, "rekey")), 0o600); err != nil {
			t.Fatal(err)
		}
		open := func(role string) secretstore.Store {
			s, err := vault.New(vault.Options{Address: v.URL, Now: time.Now, Auth: vault.Auth{Method: vault.ByKubernetes, Role: role, JWTFile: path}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		r := ref(t, "vault://secret/pods/runner")
		mustPut(t, open("rekey"), r, secretstoretest.Token(1), secretstore.Metadata{})
		_, err := open("other").Get(t.Context(), r, "")
		wants(t, "a role that is not there", err, rekey.KindDenied, "log in")
	})
}
