// Package kubetest gives tests a Kubernetes API: on every machine a server that
// answers in its shapes, and a real kube-apiserver on etcd where KUBE_APISERVER and
// ETCD name the two programs. What a test says of one must hold of the other.
package kubetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Server is what the tests ask. Its methods fail the test where they cannot do what
// they say.
type Server interface {
	// Put makes an object below a collection, "/api/v1/namespaces/ci/secrets", or
	// below an object's status.
	Put(t *testing.T, collection, object string)
	// Log is what a pod's container has written.
	Log(t *testing.T, namespace, pod, text string)
	// User returns a kubeconfig of a user with these rights alone.
	User(t *testing.T, namespace string, rights ...Right) string
	// Remove takes a namespace of a test away.
	Remove(namespace string)
	// KnowRunners teaches it the operator's kind.
	KnowRunners(t *testing.T)
}

// Right is a line of a Role.
type Right struct {
	Group, Resource string
	Verbs           []string
}

// Enough is the smallest Role of the guide.
var Enough = []Right{
	{"apps", "deployments", []string{"list"}},
	{"", "pods", []string{"list"}},
	{"", "pods/log", []string{"get"}},
	{"", "secrets", []string{"get"}},
	{"", "configmaps", []string{"get"}},
	{"apps.gitlab.com", "runners", []string{"list"}}, // where the operator is
}

// Without is Enough but for one resource.
func Without(resource string) []Right {
	var left []Right
	for _, r := range Enough {
		if r.Resource != resource {
			left = append(left, r)
		}
	}
	return left
}

// Each runs a test on every server there is, in a namespace of its own.
func Each(t *testing.T, test func(t *testing.T, server Server, namespace string)) {
	t.Helper()
	servers := map[string]func(*testing.T) Server{"shapes": func(t *testing.T) Server { return newShapes(t) }}
	if RealNamed() {
		servers["real"] = func(t *testing.T) Server { return real(t) }
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			namespace := "ci-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
			namespace = strings.TrimRight(namespace[:min(len(namespace), 60)], "-")
			s.Put(t, "/api/v1/namespaces", fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace))
			t.Cleanup(func() { s.Remove(namespace) })
			test(t, s, namespace)
		})
	}
}

// Kubeconfig is that of one user of one cluster; ca is a file, "" for none. It is
// JSON, which is YAML.
func Kubeconfig(server, ca, token, namespace string) string {
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

// Chart is what a release of the Helm chart leaves in a namespace, its Secret only
// where there is data for it, as the chart
// 0.58 to 0.8x renders it, without what does not matter here.
func Chart(t *testing.T, s Server, namespace, release, url string, secretData map[string]string) {
	t.Helper()
	labels := fmt.Sprintf(`{"app":"%s-gitlab-runner","chart":"gitlab-runner-0.70.0","release":%q,"heritage":"Helm"}`, release, release)
	name := release + "-gitlab-runner"
	data, _ := json.Marshal(secretData)
	if secretData != nil {
		s.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"labels":%s},"stringData":%s}`, name, labels, data))
	}
	s.Put(t, "/api/v1/namespaces/"+namespace+"/configmaps", fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":%s},"data":{
		"config.toml":"concurrent = 10\n","register-the-runner":"#!/bin/bash\n",
		"config.template.toml":"[[runners]]\n  executor = \"kubernetes\"\n  tls-ca-file = \"/home/gitlab-runner/.gitlab-runner/certs/own.crt\"\n  [runners.feature_flags]\n    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true\n"}}`, name, labels))
	s.Put(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments", fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%q,"labels":%s},"spec":{"replicas":1,
		"selector":{"matchLabels":{"app":%q}},"template":{"metadata":{"labels":{"app":%q}},"spec":{
		"containers":[{"name":%q,"image":"registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v17.5.0","command":["/usr/bin/dumb-init","--","/bin/bash","/configmaps/entrypoint"],
			"env":[{"name":"CI_SERVER_URL","value":%q},{"name":"RUNNER_EXECUTOR","value":"kubernetes"}],
			"volumeMounts":[{"name":"projected-secrets","mountPath":"/secrets"},{"name":"etc-gitlab-runner","mountPath":"/home/gitlab-runner/.gitlab-runner"},
				{"name":"custom-certs","mountPath":"/home/gitlab-runner/.gitlab-runner/certs/"},{"name":"configmaps","mountPath":"/configmaps"}]}],
		"volumes":[{"name":"etc-gitlab-runner","emptyDir":{"medium":"Memory"}},{"name":"custom-certs","secret":{"secretName":"certs"}},
			{"name":"projected-secrets","projected":{"sources":[{"secret":{"name":%q,"items":[{"key":"runner-registration-token","path":"runner-registration-token"},{"key":"runner-token","path":"runner-token"}]}}]}},
			{"name":"configmaps","configMap":{"name":%q}}]}}}}`, name, labels, name, name, name, url, name, name))
}

// RunningPod is a pod of a release's Deployment, as its controllers and its kubelet
// would have it.
func RunningPod(t *testing.T, s Server, namespace, release, pod string) {
	t.Helper()
	app := release + "-gitlab-runner"
	head := fmt.Sprintf(`"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"app":%q}}`, pod, app)
	s.Put(t, "/api/v1/namespaces/"+namespace+"/pods", fmt.Sprintf(`{%s,"spec":{"nodeName":"node","containers":[{"name":%q,"image":"gitlab/gitlab-runner"}]}}`, head, app))
	s.Put(t, "/api/v1/namespaces/"+namespace+"/pods/"+pod+"/status", fmt.Sprintf(`{%s,"status":{"phase":"Running","containerStatuses":[
		{"name":%q,"image":"gitlab/gitlab-runner","imageID":"x","restartCount":3,"ready":true,"state":{"running":{"startedAt":"2020-01-02T03:04:05Z"}}}]}}`, head, app))
}
