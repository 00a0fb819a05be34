package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/internal/host/kube"
)

// apiServer is what the tests ask: on every machine a server that answers in the
// shapes of the Kubernetes API (shapes_test.go), and a real kube-apiserver on etcd
// where KUBE_APISERVER and ETCD name them (real_test.go). The same tests run on
// both.
type apiServer interface {
	// put makes an object below a collection, "/api/v1/namespaces/ci/secrets", or
	// below an object's status.
	put(t *testing.T, collection, object string)
	// log is what a pod's container has written.
	log(t *testing.T, namespace, pod, text string)
	// user returns a kubeconfig of a user with these rights alone.
	user(t *testing.T, namespace string, rights ...right) string
	// remove takes a namespace of a test away.
	remove(namespace string)
}

// right is a line of a Role.
type right struct {
	group, resource string
	verbs           []string
}

// enough is the smallest Role of the guide.
var enough = []right{
	{"apps", "deployments", []string{"list"}},
	{"", "pods", []string{"list"}},
	{"", "pods/log", []string{"get"}},
	{"", "secrets", []string{"get"}},
	{"", "configmaps", []string{"get"}},
	{"apps.gitlab.com", "runners", []string{"list"}}, // where the operator is
}

func without(resource string) []right {
	var left []right
	for _, r := range enough {
		if r.resource != resource {
			left = append(left, r)
		}
	}
	return left
}

// onEach runs a test on every server there is, in a namespace of its own.
func onEach(t *testing.T, test func(t *testing.T, server apiServer, namespace string)) {
	t.Helper()
	servers := map[string]func(*testing.T) apiServer{"shapes": func(t *testing.T) apiServer { return newShapes(t) }}
	if realNamed() {
		servers["real"] = func(t *testing.T) apiServer { return real(t) }
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			namespace := "ci-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
			namespace = strings.TrimRight(namespace[:min(len(namespace), 60)], "-")
			s.put(t, "/api/v1/namespaces", fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace))
			t.Cleanup(func() { s.remove(namespace) })
			test(t, s, namespace)
		})
	}
}

func connect(t *testing.T, kubeconfig string) *kube.Cluster {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.Connect(kube.Options{Patience: time.Minute, Getenv: func(name string) string {
		return map[string]string{"KUBECONFIG": path}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubeconfig is JSON, which is YAML.
func kubeconfig(server, ca, token, namespace string) string {
	cluster := map[string]any{"server": server}
	if ca != "" {
		cluster["certificate-authority"] = ca
	}
	data, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "test", "user": map[string]any{"token": token}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": "test", "namespace": namespace}}},
	})
	return string(data)
}

// chart is what a release of the Helm chart leaves in a namespace, as the chart
// 0.58 to 0.8x renders it, without what does not matter here.
func chart(t *testing.T, s apiServer, namespace, release string, secretData map[string]string) {
	t.Helper()
	labels := fmt.Sprintf(`{"app":"%s-gitlab-runner","chart":"gitlab-runner-0.70.0","release":%q,"heritage":"Helm"}`, release, release)
	name := release + "-gitlab-runner"
	data, _ := json.Marshal(secretData)
	if secretData != nil {
		s.put(t, "/api/v1/namespaces/"+namespace+"/secrets", fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"labels":%s},"stringData":%s}`, name, labels, data))
	}
	s.put(t, "/api/v1/namespaces/"+namespace+"/configmaps", fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":%s},"data":{
		"config.toml":"concurrent = 10\n","register-the-runner":"#!/bin/bash\n",
		"config.template.toml":"[[runners]]\n  executor = \"kubernetes\"\n  tls-ca-file = \"/home/gitlab-runner/.gitlab-runner/certs/own.crt\"\n  [runners.feature_flags]\n    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true\n"}}`, name, labels))
	s.put(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments", fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%q,"labels":%s},"spec":{"replicas":1,
		"selector":{"matchLabels":{"app":%q}},"template":{"metadata":{"labels":{"app":%q}},"spec":{
		"containers":[{"name":%q,"image":"registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v17.5.0","command":["/usr/bin/dumb-init","--","/bin/bash","/configmaps/entrypoint"],
			"env":[{"name":"CI_SERVER_URL","value":"https://gitlab.test/"},{"name":"RUNNER_EXECUTOR","value":"kubernetes"}],
			"volumeMounts":[{"name":"projected-secrets","mountPath":"/secrets"},{"name":"etc-gitlab-runner","mountPath":"/home/gitlab-runner/.gitlab-runner"},
				{"name":"custom-certs","mountPath":"/home/gitlab-runner/.gitlab-runner/certs/"},{"name":"configmaps","mountPath":"/configmaps"}]}],
		"volumes":[{"name":"etc-gitlab-runner","emptyDir":{"medium":"Memory"}},{"name":"custom-certs","secret":{"secretName":"certs"}},
			{"name":"projected-secrets","projected":{"sources":[{"secret":{"name":%q,"items":[{"key":"runner-registration-token","path":"runner-registration-token"},{"key":"runner-token","path":"runner-token"}]}}]}},
			{"name":"configmaps","configMap":{"name":%q}}]}}}}`, name, labels, name, name, name, name, name))
}

// runningPod is a pod of a release's Deployment, as its controllers and its kubelet
// would have it.
func runningPod(t *testing.T, s apiServer, namespace, release, pod string) {
	t.Helper()
	app := release + "-gitlab-runner"
	head := fmt.Sprintf(`"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"app":%q}}`, pod, app)
	s.put(t, "/api/v1/namespaces/"+namespace+"/pods", fmt.Sprintf(`{%s,"spec":{"nodeName":"node","containers":[{"name":%q,"image":"gitlab/gitlab-runner"}]}}`, head, app))
	s.put(t, "/api/v1/namespaces/"+namespace+"/pods/"+pod+"/status", fmt.Sprintf(`{%s,"status":{"phase":"Running","containerStatuses":[
		{"name":%q,"image":"gitlab/gitlab-runner","imageID":"x","restartCount":3,"ready":true,"state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}}}]}}`, head, app))
}

func releases(t *testing.T, c *kube.Cluster, namespace, name string) []*kube.Release {
	t.Helper()
	all, _, err := c.Releases(context.Background(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
