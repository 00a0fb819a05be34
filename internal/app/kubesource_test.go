package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/diagnose"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

// TestDoctorLooksIntoACluster reads the Secrets of releases and the logs of their
// pods, and judges the tokens at a lab.
func TestDoctorLooksIntoACluster(t *testing.T) {
	t.Parallel()
	lab := labtest.Start(t, labtest.Options{Version: "18.11"})
	good, old := lab.Runner("instance", 0, labtest.M{"run_untagged": true}), lab.Runner("instance", 0, labtest.M{"run_untagged": true})
	gone := lab.Runner("instance", 0, labtest.M{"run_untagged": true})
	lab.Must(204, "DELETE", "runners", labtest.M{"token": gone.Token}, nil)

	kubetest.Each(t, func(t *testing.T, s kubetest.Server, namespace string) {
		for release, data := range map[string]map[string]string{
			"good":     {"runner-token": good.Token + "\n", "runner-registration-token": ""},
			"gone":     {"runner-token": gone.Token},
			"legacy":   {"runner-registration-token": "GR1348941CANARY0123456789"},
			"misplace": {"runner-registration-token": old.Token},
			"nothing":  nil,
		} {
			kubetest.Chart(t, s, namespace, release, lab.URL, data)
		}
		kubetest.RunningPod(t, s, namespace, "good", "good-1")
		s.Log(t, namespace, "good-1", "2026-01-01T00:00:00Z ERROR: Checking for jobs... forbidden                runner=CANARY000\n")
		r := cluster(t, s.User(t, namespace, kubetest.Enough...), "k8s://"+namespace)
		verdicts := map[string]string{}
		for _, section := range r.Sections {
			what := string(section.Verdict)
			for _, f := range section.Findings {
				what += " " + string(f.Cause)
			}
			verdicts[section.Name] = what
			if section.Line != 0 || strings.Contains(section.Config, "CANARY") {
				t.Errorf("section %s of %s has line %d, want none: there is no file", section.Name, section.Config, section.Line)
			}
		}
		for name, want := range map[string]string{
			"good":     "valid reload-missed", // the pod is older than the Secret
			"legacy":   "invalid registration-token-in-config",
			"misplace": "valid runner-token-in-legacy-field",
		} {
			if got := verdicts[name]; !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if got := verdicts["gone"]; !strings.HasPrefix(got, "invalid") {
			t.Errorf("gone: got %q, want invalid", got)
		}
		if !slices.ContainsFunc(places(r), func(p string) bool {
			return strings.HasPrefix(p, "k8s://"+namespace+"/nothing/secret/nothing-gitlab-runner#runner-token: ") && strings.Contains(p, "secrets nothing-gitlab-runner does not exist")
		}) {
			t.Errorf("got the configs %q, want one that says that its Secret does not exist", places(r))
		}

		r = cluster(t, s.User(t, namespace, kubetest.Without("secrets")...), "k8s://"+namespace+"/good")
		if got := places(r); len(got) != 1 || !strings.Contains(got[0], `the right secrets "get" in namespace `+namespace+" is missing") || strings.Contains(got[0], "CANARY") {
			t.Errorf("got %q, want that the right to get Secrets is missing", got)
		}
	})
}

func cluster(t *testing.T, kubeconfig, address string) diagnose.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBECONFIG": path}
	out, err := app.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "test").Doctor(t.Context(), app.DoctorInput{Hosts: app.Hosts{Addresses: []string{address}}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Report
}

func TestAnAddressThatIsNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"k8s://a/b/c", "k8s:///b", "k8s://a?contxt=b", "docker://a?x=y", "podman://a", "docker"} {
		_, err := app.New(func(string) (string, bool) { return "", false }, "test").Doctor(t.Context(), app.DoctorInput{Hosts: app.Hosts{Addresses: []string{address}}})
		if rekey.KindOf(err) != rekey.KindInvalid || rekey.HintOf(err) == "" {
			t.Errorf("%s: got %v (hint %q), want that it is no host and how to write one", address, err, rekey.HintOf(err))
		}
	}
}

// places are the configs of a report, and what is wrong with them.
func places(r diagnose.Report) []string {
	var all []string
	for _, c := range r.Configs {
		place := c.Path
		if c.Error != "" {
			place += ": " + c.Error
		}
		all = append(all, place)
	}
	return all
}
