package kube_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/kube"
	"rekey/internal/host/kube/kubetest"
)

func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		kubetest.Chart(t, s, namespace, "ci", "https://gitlab.test/", map[string]string{"runner-token": "glrt-CANARYdenied"})
		kubetest.RunningPod(t, s, namespace, "ci", "ci-1")
		s.Log(t, namespace, "ci-1", "a line\n")
		open := func(missing string) (*kube.Release, error) {
			all, _, err := connect(t, s.User(t, namespace, kubetest.Without(missing)...)).Releases(t.Context(), namespace, "ci")
			if err != nil {
				return nil, err
			}
			return all[0], nil
		}
		says := func(what string, err error, text, hint string) {
			t.Helper()
			if err == nil || rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(err.Error(), text) || !strings.Contains(rekey.HintOf(err), hint) {
				t.Errorf("%s: got %v (%s; hint %q), want %q and the hint %q", what, err, rekey.KindOf(err), rekey.HintOf(err), text, hint)
			}
		}
		_, err := open("deployments")
		says("deployments", err, `the right deployments.apps "list" in namespace `+namespace+" is missing", "kubectl auth can-i list deployments.apps -n "+namespace)
		r, err := open("secrets")
		if err != nil {
			t.Fatal(err)
		}
		says("secrets", one(t, r).Err, `the right secrets "get" in namespace `+namespace+" is missing", `{apiGroups: [""], resources: ["secrets"], verbs: ["get"]}`)
		r, err = open("pods/log")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Log(t.Context(), r.Pods[0], false)
		says("pods/log", err, `the right pods/log "get" in namespace `+namespace+" is missing", "kubectl auth can-i get pods/log -n "+namespace)
		r, err = open("pods")
		if err != nil || len(r.Pods) != 0 || !strings.Contains(r.PodsProblem, `the right pods "list" in namespace `+namespace+" is missing") || one(t, r).Err != nil {
			t.Errorf("without pods: got %+v, %v; want the token and what is missing for the pods", r, err)
		}
		r, err = open("configmaps")
		if err != nil || one(t, r).Err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], `the right configmaps "get" in namespace `+namespace+" is missing") {
			t.Errorf("without configmaps: got %+v, %v; want the token and a note", r, err)
		}
	})
}

func TestWhoMayNotLookEverywhereIsShownOneNamespace(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		kubetest.Chart(t, s, namespace, "ci", "https://gitlab.test/", map[string]string{"runner-token": "glrt-CANARYns"})
		all, notes, err := connect(t, s.User(t, namespace, kubetest.Enough...)).Releases(t.Context(), "", "")
		if err != nil || len(all) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "only namespace "+namespace+" was looked at") || !strings.Contains(notes[0], `deployments.apps "list" in all namespaces`) {
			t.Errorf("got %d releases, notes %q, %v; want the one of the context's namespace, and that it is not all", len(all), notes, err)
		}
		all, notes, err = connect(t, s.User(t, "", kubetest.Enough...)).Releases(t.Context(), "", "")
		if err != nil || len(all) == 0 || len(notes) != 0 {
			t.Errorf("with the right for all namespaces: got %d releases, notes %q, %v", len(all), notes, err)
		}
	})
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		kubetest.Chart(t, s, namespace, "ci", "https://gitlab.test/", nil)
		c := connect(t, s.User(t, namespace, kubetest.Enough...))
		r := releases(t, c, namespace, "ci")[0]
		if err := one(t, r).Err; rekey.KindOf(err) != rekey.KindNotFound || !strings.Contains(err.Error(), "secrets ci-gitlab-runner does not exist in namespace "+namespace) {
			t.Errorf("got %v, want that the Secret does not exist", err)
		}
		if id, problem := r.SystemID(t.Context()); id != "" || !strings.Contains(problem, "no pod of deployment/ci-gitlab-runner runs") {
			t.Errorf("got system id %q, problem %q; want that no pod runs", id, problem)
		}
		_, _, err := c.Releases(t.Context(), namespace, "other")
		if rekey.KindOf(err) != rekey.KindNotFound || !strings.Contains(rekey.HintOf(err), namespace+"/ci") {
			t.Errorf("got %v (hint %q), want not found with the release that is there", err, rekey.HintOf(err))
		}
	})
}

func TestExpiredCredentials(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		config := s.User(t, namespace, kubetest.Enough...)
		before, after, _ := strings.Cut(config, `"token":"`)
		_, after, _ = strings.Cut(after, `"`)
		_, _, err := connect(t, before+`"token":"expired"`+after).Releases(t.Context(), namespace, "")
		if rekey.KindOf(err) != rekey.KindDenied || !strings.Contains(err.Error(), "does not take the credentials of the context test (401)") || !strings.Contains(rekey.HintOf(err), "kubectl auth whoami") {
			t.Errorf("got %v (hint %q), want that the credentials have expired", err, rekey.HintOf(err))
		}
	})
}

func TestAServerThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts by the kernel's hand and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for address, tt := range map[string]struct {
		patience time.Duration
		want     string
	}{
		"http://" + l.Addr().String(): {50 * time.Millisecond, "did not answer within 50ms"},
		"http://127.0.0.1:1":          {time.Minute, "http://127.0.0.1:1 cannot be reached"},
	} {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(kubetest.Kubeconfig(address, "", "t", "ci")), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := kube.Connect(kube.Options{Patience: tt.patience, Getenv: func(name string) string {
			return map[string]string{"KUBECONFIG": path}[name]
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Releases(t.Context(), "ci", "")
		if rekey.KindOf(err) != rekey.KindUnavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", address, err, tt.want)
		}
	}
}

func TestAKubeconfigThatIsMissingOrOdd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name    string
		path    string
		context string
		kind    rekey.Kind
		text    string
	}{
		{"none", filepath.Join(dir, "nowhere"), "", rekey.KindNotFound, "there is no kubeconfig: " + filepath.Join(dir, "nowhere") + " names no cluster"},
		{"garbage", put("garbage", "\x00\x01"), "", rekey.KindInvalid, "the kubeconfig cannot be read"},
		{"no such context", put("config", kubetest.Kubeconfig("https://k.test", "", "t", "ci")), "prod", rekey.KindNotFound, `the kubeconfig has no context "prod"`},
		{"a CA that is gone", put("ca", kubetest.Kubeconfig("https://k.test", "/nowhere/ca.crt", "t", "ci")), "", rekey.KindInvalid, "the context test of the kubeconfig cannot be used"},
	} {
		_, err := kube.Connect(kube.Options{Context: tt.context, Getenv: func(name string) string {
			return map[string]string{"KUBECONFIG": tt.path}[name]
		}})
		if err == nil || rekey.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) || rekey.HintOf(err) == "" {
			t.Errorf("%s: got %v (%s; hint %q), want %q of kind %s and a hint", tt.name, err, rekey.KindOf(err), rekey.HintOf(err), tt.text, tt.kind)
		}
	}
}
