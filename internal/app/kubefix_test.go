package app_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

// repair opens a fix of the release.
func (r *released) repair(change func(*app.FixInput)) *app.Fix {
	r.t.Helper()
	env := map[string]string{"KUBECONFIG": kubetest.File(r.t, r.Cluster.User(r.t, r.namespace, kubetest.Rotating...)), "GITLAB_TOKEN": r.Admin, "GITLAB_HOST": r.URL}
	in := app.FixInput{DoctorInput: app.DoctorInput{Hosts: app.Hosts{Addresses: []string{"k8s://" + r.namespace + "/main"}}}, State: app.StateInput{Dir: r.state}, RolloutWait: time.Minute,
		Proof: app.ProofInput{Wait: time.Minute}, Record: app.RecordInput{Scope: rekey.ScopeInstance, Tags: []string{"deploy"}}}
	change(&in)
	f, err := app.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "test").Fix(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(f.Close)
	return f
}

func (r *released) repaired(f *app.Fix, want rekey.Remedy) rekey.Result {
	r.t.Helper()
	plan, err := f.Plan(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if len(plan.Targets) != 1 || plan.Targets[0].Remedy != want {
		r.t.Fatalf("got %+v, want the release repaired by %s", plan, want)
	}
	results, err := f.Apply(r.t.Context(), plan)
	if err != nil || len(results) != 1 {
		r.t.Fatalf("got %+v (%v)", results, err)
	}
	return results[0]
}

// TestFixARelease repairs one whose record is gone: by a new record, and by a token
// that somebody else made.
func TestFixARelease(t *testing.T) {
	t.Parallel()
	r := newReleased(t, "")
	r.Must(204, "DELETE", "runners", labtest.M{"token": r.record.Token}, nil)
	got := r.repaired(r.repair(func(in *app.FixInput) { in.SeparateRecord = true }), rekey.RemedyCreate)
	if got.Status != rekey.StatusVerified || got.Proof.Level != rekey.ProofOnline || r.token() == r.record.Token {
		t.Errorf("got %+v, want verified, a pod seen", got)
	}

	r.Must(204, "DELETE", "runners", labtest.M{"token": r.token()}, nil)
	given := r.Runner("instance", 0, labtest.M{"run_untagged": true})
	r.state += "2"
	got = r.repaired(r.repair(func(in *app.FixInput) {
		in.TokenFile, in.Stdin = "-", strings.NewReader(given.Token+"\n")
	}), rekey.RemedyGiven)
	if got.Status != rekey.StatusVerified || r.token() != given.Token {
		t.Errorf("got %+v, want the given token in the Secret, and verified", got)
	}
}

func TestNothingIsChangedOnHostsThatAreNotReached(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]struct {
		kind rekey.Kind
		hint string
	}{
		"ssh://no-such-host.invalid": {rekey.KindUnavailable, "ssh no-such-host.invalid"},
		"podman://x":                 {rekey.KindInvalid, "k8s://NAMESPACE/RELEASE"},
	} {
		_, err := app.New(func(string) (string, bool) { return "", false }, "test").Rotate(t.Context(), app.RotateInput{Hosts: []string{address}, State: app.StateInput{Dir: t.TempDir()}})
		if rekey.KindOf(err) != want.kind || !strings.Contains(rekey.HintOf(err), want.hint) {
			t.Errorf("%s: got %v (%v, %s), want %v with %q", address, err, rekey.KindOf(err), rekey.HintOf(err), want.kind, want.hint)
		}
	}
}
