package kubetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekey/internal/testport"
)

// realServer is a kube-apiserver on an etcd, both as they are, with RBAC. A pod's
// log comes from its kubelet, which is the one part that is played here.
type realServer struct {
	once     sync.Once
	problem  string
	dir, url string
	tokens   []string
	client   *http.Client
	kubelet  *httptest.Server
	cmds     []*exec.Cmd

	mu   sync.Mutex
	logs map[string]string
	next int
}

var theReal = &realServer{logs: map[string]string{}}

// RealNamed reports whether the real programs are named.
func RealNamed() bool { return os.Getenv("KUBE_APISERVER") != "" && os.Getenv("ETCD") != "" }

func real(t *testing.T) *realServer {
	t.Helper()
	theReal.once.Do(func() {
		if err := theReal.start(); err != nil {
			theReal.problem = err.Error()
		}
	})
	if theReal.problem != "" {
		t.Fatalf("the real API server does not come up: %s", theReal.problem)
	}
	return theReal
}

const mostUsers = 40

func (s *realServer) start() error {
	var err error
	if s.dir, err = os.MkdirTemp("", "kube"); err != nil {
		return err
	}
	if err := s.write(); err != nil {
		return err
	}
	etcd, peer, api := freePort(), freePort(), freePort()
	at := func(name string) string { return filepath.Join(s.dir, name) }
	s.url = "https://127.0.0.1:" + api
	if err := s.run(os.Getenv("ETCD"), "--data-dir", at("etcd"), "--listen-client-urls", "http://127.0.0.1:"+etcd,
		"--advertise-client-urls", "http://127.0.0.1:"+etcd, "--listen-peer-urls", "http://127.0.0.1:"+peer); err != nil {
		return err
	}
	if err := s.run(os.Getenv("KUBE_APISERVER"), "--etcd-servers=http://127.0.0.1:"+etcd, "--cert-dir="+at("certs"), "--secure-port="+api, "--bind-address=127.0.0.1",
		"--service-account-issuer=https://kubernetes.test", "--service-account-key-file="+at("sa.pem"), "--service-account-signing-key-file="+at("sa.pem"),
		"--authorization-mode=RBAC", "--token-auth-file="+at("tokens.csv"), "--service-cluster-ip-range=10.0.0.0/24",
		"--disable-admission-plugins=ServiceAccount", "--kubelet-preferred-address-types=InternalIP"); err != nil {
		return err
	}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := s.ready(); err != nil {
		return err
	}
	s.playKubelet()
	return nil
}

// write makes the key for service accounts and the users.
func (s *realServer) write() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(filepath.Join(s.dir, "sa.pem"), block, 0o600); err != nil {
		return err
	}
	users := "admin,admin,0,system:masters\n"
	for i := range mostUsers {
		s.tokens = append(s.tokens, "token-"+strconv.Itoa(i))
		users += fmt.Sprintf("token-%d,user-%d,%d\n", i, i, i+1)
	}
	return os.WriteFile(filepath.Join(s.dir, "tokens.csv"), []byte(users), 0o600)
}

func freePort() string {
	port, err := testport.Free()
	if err != nil {
		panic(err)
	}
	return port
}

func (s *realServer) run(path string, args ...string) error {
	log, err := os.Create(filepath.Join(s.dir, filepath.Base(path)+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return nil
}

func (s *realServer) ready() error {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if code, _ := s.do(http.MethodGet, "/readyz", "", ""); code == 200 {
			return nil
		}
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(s.dir, filepath.Base(os.Getenv("KUBE_APISERVER"))+".log"))
			return fmt.Errorf("it is not ready: %s", said[max(0, len(said)-2000):])
		case <-tick.C:
		}
	}
}

// Stop ends the real server, if a test started it.
func Stop() { theReal.stop() }

func (s *realServer) stop() {
	for i := len(s.cmds) - 1; i >= 0; i-- {
		_ = s.cmds[i].Process.Signal(syscall.SIGTERM)
		_ = s.cmds[i].Wait()
	}
	if s.kubelet != nil {
		s.kubelet.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// playKubelet answers for the logs of the node's pods.
func (s *realServer) playKubelet() {
	s.kubelet = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/") // /containerLogs/NAMESPACE/POD/CONTAINER
		if len(parts) != 5 {
			w.WriteHeader(404)
			return
		}
		s.mu.Lock()
		text := s.logs[parts[2]+"/"+parts[3]]
		s.mu.Unlock()
		if r.URL.Query().Get("previous") == "true" {
			text = "previous: " + text
		}
		_, _ = io.WriteString(w, text)
	}))
	_, port, _ := net.SplitHostPort(s.kubelet.Listener.Addr().String())
	node := `{"apiVersion":"v1","kind":"Node","metadata":{"name":"node"}%s}`
	s.do(http.MethodPost, "/api/v1/nodes", "", fmt.Sprintf(node, ""))
	s.do(http.MethodPut, "/api/v1/nodes/node/status", "", fmt.Sprintf(node, `,"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":`+port+`}}}`))
}

// do asks as the administrator.
func (s *realServer) do(method, path, contentType, body string) (int, string) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Authorization", "Bearer admin")
	if contentType == "" {
		contentType = "application/json"
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

func (s *realServer) must(t *testing.T, method, path, contentType, body string) {
	t.Helper()
	if code, said := s.do(method, path, contentType, body); code/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, code, said)
	}
}

func (s *realServer) Put(t *testing.T, collection, object string) {
	t.Helper()
	method := http.MethodPost
	if strings.HasSuffix(collection, "/status") {
		method = http.MethodPut
	}
	s.must(t, method, collection, "", object)
}

func (s *realServer) Log(_ *testing.T, namespace, pod, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs[namespace+"/"+pod] = text
}

// user gives the rights by a Role, or for all namespaces by a ClusterRole.
func (s *realServer) User(t *testing.T, namespace string, rights ...Right) string {
	t.Helper()
	var rules []any
	for _, r := range rights {
		rules = append(rules, map[string]any{"apiGroups": []string{r.Group}, "resources": []string{r.Resource}, "verbs": r.Verbs})
	}
	token, user := s.nextUser(t)
	kind, path := "Role", "/apis/rbac.authorization.k8s.io/v1/namespaces/"+namespace+"/"
	if namespace == "" {
		kind, path = "ClusterRole", "/apis/rbac.authorization.k8s.io/v1/"
	}
	role, _ := json.Marshal(map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": user}, "rules": rules})
	s.must(t, http.MethodPost, path+strings.ToLower(kind)+"s", "", string(role))
	s.bind(t, path, kind, user, user)
	s.granted(t, namespace, user, rights[len(rights)-1])
	return Kubeconfig(s.url, filepath.Join(s.dir, "certs", "apiserver.crt"), token, namespace)
}

// granted waits until the API server has learnt of a user's last Right.
func (s *realServer) granted(t *testing.T, namespace, user string, last Right) {
	t.Helper()
	resource, sub, _ := strings.Cut(last.Resource, "/")
	review, _ := json.Marshal(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": map[string]any{"user": user,
		"resourceAttributes": map[string]any{"namespace": namespace, "verb": last.Verbs[0], "group": last.Group, "resource": resource, "subresource": sub}}})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, said := s.do(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "", string(review))
		if strings.Contains(said, `"allowed":true`) {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the right never came: %s", said)
		case <-tick.C:
		}
	}
}

func (s *realServer) bind(t *testing.T, path, kind, role, user string) {
	t.Helper()
	s.must(t, http.MethodPost, path+strings.ToLower(kind)+"bindings", "", fmt.Sprintf(
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":%q,"metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":%q,"name":%q},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":%q}]}`,
		kind+"Binding", user, kind, role, user))
}

func (s *realServer) nextUser(t *testing.T) (token, user string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == mostUsers {
		t.Fatal("there are no more users: raise mostUsers")
	}
	s.next++
	return s.tokens[s.next-1], "user-" + strconv.Itoa(s.next-1)
}

// remove leaves the namespace itself, which only a controller could finish.
func (s *realServer) Remove(namespace string) {
	for _, collection := range []string{"/apis/apps/v1/namespaces/" + namespace + "/deployments", "/api/v1/namespaces/" + namespace + "/pods", "/api/v1/namespaces/" + namespace + "/secrets"} {
		s.do(http.MethodDelete, collection, "", "")
	}
}

// KnowRunners adds the operator's kind and waits until it is served.
func (s *realServer) KnowRunners(t *testing.T) {
	t.Helper()
	s.Put(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"runners.apps.gitlab.com"},
		"spec":{"group":"apps.gitlab.com","scope":"Namespaced","names":{"plural":"runners","singular":"runner","kind":"Runner","listKind":"RunnerList"},
		"versions":[{"name":"v1beta2","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}}`)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if code, said := s.do("GET", "/apis/apps.gitlab.com/v1beta2/runners", "", ""); code == 200 {
			return
		} else if ctx.Err() != nil {
			t.Fatalf("the kind is not served: %d %s", code, said)
		}
		<-tick.C
	}
}
