package kube_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/kube"
	"rekey/internal/host/kube/kubetest"
)

func TestAReleaseOfTheChart(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		kubetest.Chart(t, s, namespace, "ci", "https://gitlab.test/", map[string]string{"runner-token": "glrt-CANARY0123456789abcd\n", "runner-registration-token": ""})
		s.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"certs"},"stringData":{"own.crt":"a certificate\n"}}`)
		kubetest.RunningPod(t, s, namespace, "ci", "ci-gitlab-runner-1")
		s.Log(t, namespace, "ci-gitlab-runner-1", "Registration attempt 1 of 30\nCreated missing unique system ID                  \x1b[0;m  system_id\x1b[0;m=r_CANARYsystem\nERROR: Checking for jobs... forbidden\n")
		c := connect(t, s.User(t, namespace, kubetest.Enough...))
		all := releases(t, c, namespace, "")
		if len(all) != 1 {
			t.Fatalf("got %d releases, want 1", len(all))
		}
		r := all[0]
		if r.Name != "ci" || r.Namespace != namespace || r.URL != "https://gitlab.test/" || r.Workload != "deployment/ci-gitlab-runner" || r.Made != "the GitLab Runner chart (gitlab-runner-0.70.0, release ci)" || len(r.Notes) != 0 {
			t.Errorf("got %+v, want release ci of the chart", r)
		}
		want := `[[runners]]
  name = "ci"
  url = "https://gitlab.test/"
  token = "glrt-CANARY0123456789abcd"
  executor = "kubernetes"
  tls-ca-file = "/home/gitlab-runner/.gitlab-runner/certs/own.crt"
  [runners.feature_flags]
    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true
`
		if got := one(t, r); string(got.Data) != want || got.Path != "/secret/ci-gitlab-runner#runner-token" || got.LegacyField != "" || !got.AtStart || !got.ChangedAt.After(r.Pods[0].Started) {
			t.Errorf("got config %s (legacy %q, changed %s):\n%s\nwant:\n%s", got.Path, got.LegacyField, got.ChangedAt, got.Data, want)
		}
		if len(r.Pods) != 1 || !r.Pods[0].Running || r.Pods[0].Restarts != 3 || r.Pods[0].Started.Format(time.RFC3339) != "2020-01-02T03:04:05Z" {
			t.Errorf("got pods %+v (%s), want the one that runs", r.Pods, r.PodsProblem)
		}
		if id, problem := r.SystemID(t.Context()); id != "r_CANARYsystem" {
			t.Errorf("got system id %q (%s), want that of the pod's log", id, problem)
		}
		for previous, want := range map[bool]string{false: "Registration attempt", true: "previous: Registration attempt"} {
			if got := podLog(t, r, previous); !strings.HasPrefix(got, want) || !strings.Contains(got, "forbidden") {
				t.Errorf("got the log %q, want one that begins with %q", got, want)
			}
		}
		if data, err := r.File(t.Context(), "/home/gitlab-runner/.gitlab-runner/certs/own.crt"); string(data) != "a certificate\n" {
			t.Errorf("got the CA file %q, %v; want that of Secret certs", data, err)
		}
		if _, err := r.File(t.Context(), "/home/gitlab-runner/.gitlab-runner/certs/other.crt"); rekey.KindOf(err) != rekey.KindNotFound {
			t.Errorf("got %v for a file that is not there, want not found", err)
		}
	})
}

func podLog(t *testing.T, r *kube.Release, previous bool) string {
	t.Helper()
	in, err := r.Log(t.Context(), r.Pods[0], previous)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func one(t *testing.T, r *kube.Release) kube.Config {
	t.Helper()
	if len(r.Configs) != 1 {
		t.Fatalf("got %d configs, want 1: %+v", len(r.Configs), r.Configs)
	}
	return r.Configs[0]
}

func TestWhichTokenOfASecretCounts(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		for release, tt := range map[string]struct {
			data   map[string]string
			path   string
			token  string
			legacy bool
		}{
			"both":     {map[string]string{"runner-token": "glrt-CANARYboth", "runner-registration-token": "GR1348941CANARY"}, "#runner-token", `"glrt-CANARYboth"`, false},
			"old":      {map[string]string{"runner-token": "", "runner-registration-token": "GR1348941CANARYold"}, "#runner-registration-token", `"GR1348941CANARYold"`, true},
			"misplace": {map[string]string{"runner-registration-token": "glrt-CANARYmisplaced"}, "#runner-registration-token", `"glrt-CANARYmisplaced"`, true},
			"newlines": {map[string]string{"runner-token": "glrt-CANARY\r\n\n"}, "#runner-token", `"glrt-CANARY\u000D"`, false},
			"quotes":   {map[string]string{"runner-token": `"glrt-CANARY"`}, "#runner-token", `"\"glrt-CANARY\""`, false},
			"empty":    {map[string]string{"runner-token": "", "runner-registration-token": ""}, "#runner-token", `""`, false},
		} {
			kubetest.Chart(t, s, namespace, release, "https://gitlab.test/", tt.data)
			r := releases(t, connect(t, s.User(t, namespace, kubetest.Enough...)), namespace, release)[0]
			got := one(t, r)
			if got.Path != "/secret/"+release+"-gitlab-runner"+tt.path || !strings.Contains(string(got.Data), "token = "+tt.token+"\n") || (got.LegacyField != "") != tt.legacy {
				t.Errorf("%s: got %s, legacy field %q, %v:\n%s\nwant %s with the token %s", release, got.Path, got.LegacyField, got.Err, got.Data, tt.path, tt.token)
			}
		}
	})
}

func TestARunnerOfTheOperator(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		s.KnowRunners(t)
		s.Put(t, "/apis/apps.gitlab.com/v1beta2/namespaces/"+namespace+"/runners", `{"apiVersion":"apps.gitlab.com/v1beta2","kind":"Runner","metadata":{"name":"dev"},"spec":{"gitlabUrl":"https://operated.test","token":"dev-secret","tags":"openshift"}}`)
		s.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"dev-secret"},"stringData":{"runner-registration-token":"GR1348941CANARYop"}}`)
		s.Put(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"dev-runner","ownerReferences":[{"apiVersion":"apps.gitlab.com/v1beta2","kind":"Runner","name":"dev","uid":"1"}]},
			"spec":{"selector":{"matchLabels":{"app":"dev"}},"template":{"metadata":{"labels":{"app":"dev"}},"spec":{"containers":[{"name":"runner","image":"registry.test/gitlab-runner-ocp:v17","env":[{"name":"CI_SERVER_URL","value":"https://other.test"}]}]}}}}`)
		all := releases(t, connect(t, s.User(t, namespace, kubetest.Enough...)), namespace, "")
		if len(all) != 1 {
			t.Fatalf("got %d releases, want the operator's runner alone", len(all))
		}
		r := all[0]
		if got := one(t, r); r.Name != "dev" || r.Made != "the GitLab Runner Operator (runner dev)" || r.Workload != "deployment/dev-runner" || got.LegacyField == "" ||
			!strings.Contains(string(got.Data), `url = "https://operated.test"`) || !strings.Contains(string(got.Data), `token = "GR1348941CANARYop"`) {
			t.Errorf("got %+v, want the runner dev with its Secret", r)
		}
		_, notes, err := connect(t, s.User(t, namespace, kubetest.Without("runners")...)).Releases(t.Context(), namespace, "")
		if err != nil || len(notes) != 1 || !strings.Contains(notes[0], `the right runners.apps.gitlab.com "list" in namespace `+namespace+" is missing") {
			t.Errorf("got notes %q, %v; want one that names the missing right", notes, err)
		}
	})
}

func TestADeploymentMadeByHand(t *testing.T) {
	t.Parallel()
	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		s.Put(t, "/api/v1/namespaces/"+namespace+"/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"whole"},"stringData":{"config.toml":"[[runners]]\n  token = \"glrt-CANARYwhole\"\n","token":"glrt-CANARYvariable"}}`)
		deploy := func(name, container, volumes string) {
			s.Put(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"`+name+`"},
				"spec":{"selector":{"matchLabels":{"app":"`+name+`"}},"template":{"metadata":{"labels":{"app":"`+name+`"}},"spec":{"containers":[{"name":"c",`+container+`}],"volumes":[`+volumes+`]}}}}`)
		}
		deploy("whole", `"image":"gitlab/gitlab-runner:v18","volumeMounts":[{"name":"v","mountPath":"/etc/gitlab-runner"}]`, `{"name":"v","secret":{"secretName":"whole"}}`)
		deploy("sub", `"image":"gitlab/gitlab-runner:v18","volumeMounts":[{"name":"v","mountPath":"/etc/gitlab-runner/config.toml","subPath":"config.toml"}]`, `{"name":"v","secret":{"secretName":"whole"}}`)
		deploy("variable", `"image":"gitlab/gitlab-runner:v18","env":[{"name":"CI_SERVER_URL","value":"https://gitlab.test"},{"name":"CI_SERVER_TOKEN","valueFrom":{"secretKeyRef":{"name":"whole","key":"token"}}}]`, ``)
		deploy("bare", `"image":"gitlab/gitlab-runner:v18"`, ``)
		deploy("shop", `"image":"nginx:1"`, ``)
		c := connect(t, s.User(t, namespace, kubetest.Enough...))
		if n := len(releases(t, c, namespace, "")); n != 4 {
			t.Errorf("got %d releases, want the four with gitlab-runner's image", n)
		}
		for name, want := range map[string]struct{ path, token string }{
			"whole":    {"/secret/whole#config.toml", `token = "glrt-CANARYwhole"`},
			"sub":      {"/secret/whole#config.toml", `token = "glrt-CANARYwhole"`},
			"variable": {"/secret/whole#token", `token = "glrt-CANARYvariable"`},
		} {
			got := one(t, releases(t, c, namespace, name)[0])
			if got.Err != nil || got.Path != want.path || !strings.Contains(string(got.Data), want.token) || (got.ReadOnly != "") != (name != "variable") {
				t.Errorf("%s: got %s, %v, read-only %q:\n%s\nwant %s", name, got.Path, got.Err, got.ReadOnly, got.Data, want.path)
			}
		}
		bare := one(t, releases(t, c, namespace, "bare")[0])
		if rekey.KindOf(bare.Err) != rekey.KindNotFound || !strings.Contains(bare.Err.Error(), "deployment/bare mounts no Secret with runner-token") {
			t.Errorf("got %v, want that no token is mounted", bare.Err)
		}
	})
}
