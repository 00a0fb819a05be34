package secretstoretest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// KubeServer is one of several real API servers of a cluster that allows everything.
type KubeServer struct{ URL, Token string }

// Etcd starts an etcd until the test ends, and returns its address.
func Etcd(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ETCD")
	if path == "" {
		missing(t, "kube-apiserver", "set KUBE_APISERVER and ETCD to the two programs")
	}
	url, peer := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t)
	program(t, url+"/health", path, "--data-dir", filepath.Join(t.TempDir(), "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer)
	return url
}

// KubeAPIServer starts the API server that KUBE_APISERVER names on an etcd, until the
// test ends. Its watch caches know nothing of what was written before it started.
func KubeAPIServer(t *testing.T, etcd string) KubeServer {
	t.Helper()
	path := os.Getenv("KUBE_APISERVER")
	if path == "" {
		missing(t, "kube-apiserver", "set KUBE_APISERVER and ETCD to the two programs")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	dir, s := t.TempDir(), KubeServer{"https://127.0.0.1:" + freePort(t), "CANARYadmin"}
	for name, data := range map[string][]byte{
		"sa.pem":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens.csv": []byte(s.Token + ",admin,0,system:masters\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	program(t, s.URL+"/readyz", path, "--etcd-servers="+etcd, "--cert-dir="+in("certs"), "--secure-port="+s.URL[len("https://127.0.0.1:"):], "--bind-address=127.0.0.1",
		"--service-account-issuer=https://kubernetes.test", "--service-account-key-file="+in("sa.pem"), "--service-account-signing-key-file="+in("sa.pem"),
		"--authorization-mode=RBAC", "--token-auth-file="+in("tokens.csv"), "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount")
	return s
}
