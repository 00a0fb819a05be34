package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Cluster is the real API server. There is no controller manager and no kubelet
// behind it: Control plays them for one release.
type Cluster struct {
	Server
	real *realServer
}

// Real returns the real API server and a namespace of the test's own. It skips the
// test where the programs are not named.
func Real(t *testing.T) (Cluster, string) {
	t.Helper()
	if !RealNamed() {
		t.Skip("set KUBE_APISERVER and ETCD to the two programs: nothing else answers a PATCH as Kubernetes does")
	}
	s := real(t)
	namespace := "ci-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	namespace = strings.TrimRight(namespace[:min(len(namespace), 60)], "-")
	s.Put(t, "/api/v1/namespaces", fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace))
	t.Cleanup(func() { s.Remove(namespace) })
	return Cluster{s, s}, namespace
}

// Rotating is what a rotation needs beside Enough.
var Rotating = append([]Right{
	{"apps", "deployments", []string{"get", "patch"}},
	{"", "secrets", []string{"patch"}},
}, Enough[:len(Enough)-1]...)

// Do asks as the administrator, and returns the status and the body.
func (c Cluster) Do(method, path, contentType, body string) (int, string) {
	return c.real.do(method, path, contentType, body)
}

// Get reads an object into out.
func (c Cluster) Get(t *testing.T, path string, out any) {
	t.Helper()
	code, said := c.Do(http.MethodGet, path, "", "")
	if code != 200 || json.Unmarshal([]byte(said), out) != nil {
		t.Fatalf("GET %s: %d %s", path, code, said)
	}
}

// Patch is a merge patch.
func (c Cluster) Patch(t *testing.T, path, body string) {
	t.Helper()
	c.real.must(t, http.MethodPatch, path, "application/merge-patch+json", body)
}

// Control plays the Deployment's controllers and the kubelet for a release of Chart,
// until the test ends: when the pod template changes, a pod of it is made; once that
// runs, the old ones are told to end.
type Control struct {
	Cluster
	Namespace, Release string
	// Ready is asked whether a new pod gets ready, Ends whether an old one is done;
	// nil is yes.
	Ready, Ends func() bool
	// Runs is told of each new pod: the token of its Secret and its system id.
	Runs func(token, systemID string)

	made int
}

// Start begins to play.
func (c *Control) Start(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				c.reconcile()
			}
		}
	})
	t.Cleanup(func() { stop(); wait.Wait() })
}

type played struct {
	Metadata struct {
		Name, DeletionTimestamp string
		Annotations             map[string]string
	}
	Status struct{ Phase string }
}

func (c *Control) yes(ask func() bool) bool { return ask == nil || ask() }

func (c *Control) reconcile() {
	var d struct {
		Spec struct {
			Template struct {
				Metadata struct{ Annotations map[string]string }
			}
		}
	}
	var list struct{ Items []played }
	pods := "/api/v1/namespaces/" + c.Namespace + "/pods"
	app := c.Release + "-gitlab-runner"
	if c.read("/apis/apps/v1/namespaces/"+c.Namespace+"/deployments/"+app, &d) != nil || c.read(pods+"?labelSelector=app="+app, &list) != nil {
		return
	}
	want, _ := json.Marshal(d.Spec.Template.Metadata.Annotations)
	current, ready := false, false
	for _, p := range list.Items {
		if have, _ := json.Marshal(p.Metadata.Annotations); string(have) == string(want) && p.Metadata.DeletionTimestamp == "" {
			current, ready = true, p.Status.Phase == "Running"
			if !ready && c.yes(c.Ready) {
				c.run(p.Metadata.Name)
			}
		}
	}
	switch {
	case !current:
		c.make(app, string(want))
	case ready:
		for _, p := range list.Items {
			if have, _ := json.Marshal(p.Metadata.Annotations); string(have) == string(want) {
				continue
			}
			if p.Metadata.DeletionTimestamp == "" {
				c.Do(http.MethodDelete, pods+"/"+p.Metadata.Name+"?gracePeriodSeconds=3600", "", "")
			} else if c.yes(c.Ends) {
				c.Do(http.MethodDelete, pods+"/"+p.Metadata.Name+"?gracePeriodSeconds=0", "", "")
			}
		}
	}
}

func (c *Control) read(path string, out any) error {
	_, said := c.Do(http.MethodGet, path, "", "")
	return json.Unmarshal([]byte(said), out)
}

func (c *Control) make(app, annotations string) {
	c.made++
	c.Do(http.MethodPost, "/api/v1/namespaces/"+c.Namespace+"/pods", "", fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s-%d","labels":{"app":%q},"annotations":%s},
		"spec":{"nodeName":"node","containers":[{"name":%q,"image":"gitlab/gitlab-runner"}]}}`, app, c.made, app, annotations, app))
}

// run makes a pod what it is once its gitlab-runner has started: it took the token
// of the Secret as it then was.
func (c *Control) run(name string) {
	app := c.Release + "-gitlab-runner"
	var secret struct{ Data map[string][]byte }
	if c.read("/api/v1/namespaces/"+c.Namespace+"/secrets/"+app, &secret) != nil {
		return
	}
	system := fmt.Sprintf("r_%012d", c.made)
	c.Log(nil, c.Namespace, name, "Created missing unique system ID  system_id="+system+"\n")
	if c.Runs != nil {
		c.Runs(string(secret.Data["runner-token"]), system)
	}
	c.Do(http.MethodPatch, "/api/v1/namespaces/"+c.Namespace+"/pods/"+name+"/status", "application/merge-patch+json", fmt.Sprintf(`{"status":{"phase":"Running","containerStatuses":[
		{"name":%q,"image":"gitlab/gitlab-runner","imageID":"x","restartCount":0,"ready":true,"state":{"running":{"startedAt":"2020-01-02T03:04:05Z"}}}]}}`, app))
}

// File writes a user's kubeconfig and returns where.
func File(t *testing.T, kubeconfig string) string {
	t.Helper()
	path := t.TempDir() + "/kubeconfig"
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
