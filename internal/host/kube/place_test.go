package kube_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/host/kube"
	"rekey/internal/host/kube/kubetest"
)

func place(t *testing.T, c *kube.Cluster, namespace string) *kube.Place {
	t.Helper()
	r := releases(t, c, namespace, "main")[0]
	p, err := r.Place(r.Configs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGiveChangesOneKey looks at the Secret behind it: nothing else changed.
func TestGiveChangesOneKey(t *testing.T) {
	t.Parallel()
	s, namespace := kubetest.Real(t)
	kubetest.Chart(t, s, namespace, "main", "https://gitlab.example", map[string]string{"runner-token": "glrt-CANARYold\n", "runner-registration-token": "", "other": "kept"})
	path := "/api/v1/namespaces/" + namespace + "/secrets/main-gitlab-runner"
	p := place(t, connect(t, s.User(t, namespace, kubetest.Rotating...)), namespace)
	old, next := rekey.NewToken("glrt-CANARYold"), rekey.NewToken("glrt-CANARYnew")
	if held, err := p.Held(t.Context()); err != nil || held != old {
		t.Fatalf("got %v (%v), want the token without its newline", held, err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("got %v, want all rights there", err)
	}
	s.Patch(t, path, `{"metadata":{"labels":{"somebody":"else"}}}`) // another version of the object, the same token
	if how, err := p.Give(t.Context(), old, next); err != nil || strings.Contains(how, "CANARY") {
		t.Fatalf("got %q, %v", how, err)
	}
	var now struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Data     map[string][]byte
	}
	s.Get(t, path, &now)
	if len(now.Data) != 3 || string(now.Data["runner-token"]) != "glrt-CANARYnew" || string(now.Data["other"]) != "kept" || len(now.Metadata.Annotations) != 0 || now.Metadata.Labels["somebody"] != "else" || now.Metadata.Labels["chart"] == "" {
		t.Errorf("the Secret is %+v, want one key changed and nothing added", now)
	}
	_, err := p.Give(t.Context(), old, next)
	if rekey.KindOf(err) != rekey.KindConflict || strings.Contains(err.Error(), "CANARY") || rekey.HintOf(err) == "" {
		t.Errorf("got %v, want that another token stands there, and not which", err)
	}
	text := string(now.Data["runner-token"])
	if _, said := s.Do("GET", path, "", ""); strings.Count(said, base64.StdEncoding.EncodeToString([]byte(text))) != 1 {
		t.Errorf("the new token stands there more than once")
	}
}

// TestRollTwiceIsOneRollout: a rollout whose answer was lost is asked for again.
func TestRollTwiceIsOneRollout(t *testing.T) {
	t.Parallel()
	s, namespace := kubetest.Real(t)
	kubetest.Chart(t, s, namespace, "main", "https://gitlab.example", map[string]string{"runner-token": "glrt-CANARYold"})
	p := place(t, connect(t, s.User(t, namespace, kubetest.Rotating...)), namespace)
	generation := func() int {
		var d struct{ Metadata struct{ Generation int } }
		s.Get(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments/main-gitlab-runner", &d)
		return d.Metadata.Generation
	}
	before := generation()
	for range 2 {
		if _, err := p.Roll(t.Context(), "run-1.1"); err != nil {
			t.Fatal(err)
		}
	}
	if after := generation(); after != before+1 {
		t.Errorf("the Deployment went from generation %d to %d, want one further", before, after)
	}
	if now, err := p.Rolled(t.Context(), "run-1.1"); err != nil || now.Wanted != 1 || now.Ready != 0 {
		t.Errorf("got %+v (%v), want that no pod is ready", now, err)
	}
}

func TestWhoKeepsASecret(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		for name, c := range map[string]struct{ meta, tool, change string }{
			"own":      {``, "", ""},
			"helm":     {`,"annotations":{"meta.helm.sh/release-name":"ci","meta.helm.sh/release-namespace":"x"}`, "Helm", "runners.secret"},
			"external": {`,"ownerReferences":[{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","name":"runner","uid":"00000000-0000-0000-0000-000000000001"}]`, "External Secrets", "ExternalSecret runner"},
			"sealed":   {`,"ownerReferences":[{"apiVersion":"bitnami.com/v1alpha1","kind":"SealedSecret","name":"runner","uid":"00000000-0000-0000-0000-000000000002"}]`, "Sealed Secrets", "kubeseal"},
			"unknown":  {`,"ownerReferences":[{"apiVersion":"x.example/v1","kind":"Keeper","name":"runner","uid":"00000000-0000-0000-0000-000000000003"}]`, "Keeper runner", "Keeper runner"},
			"argo":     {`,"annotations":{"argocd.argoproj.io/tracking-id":"ci:/Secret:x/argo"}`, "Argo CD", "application ci"},
			"flux":     {`,"labels":{"kustomize.toolkit.fluxcd.io/name":"apps"}`, "Flux", "(apps)"},
		} {
			s.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s-gitlab-runner"%s},"stringData":{"runner-token":"glrt-CANARY"}}`, name, c.meta))
			kubetest.Chart(t, s, namespace, name, "https://gitlab.example", nil)
			r := releases(t, connect(t, s.User(t, namespace, kubetest.Enough...)), namespace, name)[0]
			p, err := r.Place(r.Configs[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			if keeper, err := p.Keeper(t.Context()); err != nil || keeper.Tool != c.tool || !strings.Contains(keeper.Change, c.change) {
				t.Errorf("%s: got %+v (%v), want %q, and %q to change", name, keeper, err, c.tool, c.change)
			}
		}
	})
}
