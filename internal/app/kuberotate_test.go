package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

// released is a release on the real API server whose runner is the lab's. Its
// controllers and kubelet are played.
type released struct {
	*labtest.Lab
	kubetest.Cluster
	t         *testing.T
	namespace string
	control   *kubetest.Control
	record    labtest.Issued
	state     string
}

func newReleased(t *testing.T, owned string) *released {
	t.Helper()
	cluster, namespace := kubetest.Real(t)
	r := &released{Lab: labtest.Start(t, labtest.Options{Version: "18.11"}), Cluster: cluster, t: t, namespace: namespace, state: filepath.Join(t.TempDir(), "state")}
	r.record = r.Runner("instance", 0, labtest.M{"tag_list": []string{"deploy"}, "description": "cluster"})
	kubetest.Chart(t, cluster, namespace, "main", r.URL, map[string]string{"runner-token": r.record.Token, "runner-registration-token": ""})
	if owned == "" { // the chart's own Secret is Helm's; one of one's own has no such mark
		r.Patch(t, r.secretPath(), `{"metadata":{"labels":null}}`)
	} else {
		r.Patch(t, r.secretPath(), `{"metadata":`+owned+`}`)
	}
	r.Patch(t, r.deploymentPath(), `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":3600}}}}`)
	r.control = &kubetest.Control{Cluster: cluster, Namespace: namespace, Release: "main", Runs: func(token, systemID string) {
		r.Call("POST", "jobs/request", "", labtest.M{"token": token, "system_id": systemID, "info": labtest.M{"name": "gitlab-runner"}})
	}}
	r.control.Start(t)
	r.eventually("a pod runs", func() bool { return strings.Contains(r.pods(), `"ready":true`) })
	return r
}

func (r *released) secretPath() string {
	return "/api/v1/namespaces/" + r.namespace + "/secrets/main-gitlab-runner"
}

func (r *released) deploymentPath() string {
	return "/apis/apps/v1/namespaces/" + r.namespace + "/deployments/main-gitlab-runner"
}

func (r *released) pods() string {
	_, said := r.Cluster.Do("GET", "/api/v1/namespaces/"+r.namespace+"/pods", "", "")
	return said
}

func (r *released) eventually(what string, is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-r.t.Context().Done():
			r.t.Fatalf("it never came that %s", what)
		case <-tick.C:
		}
	}
}

// token is what the Secret holds.
func (r *released) token() string {
	r.t.Helper()
	var s struct {
		Metadata struct{ Annotations map[string]string }
		Data     map[string][]byte
	}
	r.Get(r.t, r.secretPath(), &s)
	if len(s.Metadata.Annotations) != 0 && s.Metadata.Annotations["meta.helm.sh/release-name"] == "" {
		r.t.Errorf("the Secret has the annotations %v, want none added", s.Metadata.Annotations)
	}
	if _, ok := s.Data["runner-registration-token"]; !ok || len(s.Data) != 2 {
		r.t.Errorf("the Secret has %d keys, want both", len(s.Data))
	}
	return string(s.Data["runner-token"])
}

// rotation opens a rotation as a user with these rights.
func (r *released) rotation(change func(*app.RotateInput), rights ...kubetest.Right) *app.Rotation {
	r.t.Helper()
	env := map[string]string{"KUBECONFIG": kubetest.File(r.t, r.Cluster.User(r.t, r.namespace, rights...)), "GITLAB_TOKEN": r.Admin, "GITLAB_HOST": r.URL}
	in := app.RotateInput{Hosts: []string{"k8s://" + r.namespace + "/main"}, State: app.StateInput{Dir: r.state}, DrainTimeout: time.Minute, RolloutWait: time.Minute,
		Proof: app.ProofInput{Wait: time.Minute}}
	if change != nil {
		change(&in)
	}
	rotation, err := app.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "test").Rotate(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(rotation.Close)
	return rotation
}

func (r *released) plan(rotation *app.Rotation) rekey.Plan {
	r.t.Helper()
	plan, err := rotation.Plan(r.t.Context())
	if err != nil {
		r.t.Fatalf("%v (%s)", err, rekey.HintOf(err))
	}
	return plan
}

func TestRotateARelease(t *testing.T) {
	t.Parallel()
	r := newReleased(t, "")
	var looks atomic.Int32
	r.control.Ends = func() bool { return looks.Add(1) > 5 } // its job takes a while
	rotation := r.rotation(nil, kubetest.Rotating...)
	plan := r.plan(rotation)
	if len(plan.Targets) != 1 || plan.Targets[0].Remedy != rekey.RemedyRollout || plan.Targets[0].Host != "k8s://"+r.namespace+"/main?context=test" {
		t.Fatalf("got %+v, want a rollout of the release", plan)
	}
	results, err := rotation.Apply(t.Context(), plan)
	if err != nil || len(results) != 1 || results[0].Status != rekey.StatusVerified || results[0].Proof.Level != rekey.ProofOnline {
		t.Fatalf("got %+v (%v), want verified, a pod seen", results, err)
	}
	if token := r.token(); token == r.record.Token || !strings.HasPrefix(token, "glrt-") {
		t.Errorf("the Secret holds the old token still: %t, want a new one", token == r.record.Token)
	}
	var all []struct {
		ID          int64    `json:"id"`
		Description string   `json:"description"`
		TagList     []string `json:"tag_list"`
		Paused      bool     `json:"paused"`
	}
	r.Must(200, "GET", "runners/all", nil, &all)
	if len(all) != 1 || all[0].ID == r.record.ID || all[0].Description != "cluster" || all[0].Paused {
		t.Errorf("the records are %+v, want one new one as the old one was", all)
	}
	if pods := r.pods(); strings.Count(pods, `"kind":"Pod"`) > 1 || !strings.Contains(pods, `"rekey/rollout":"`+string(results[0].Operation)) {
		t.Errorf("the pods are %s, want those of the rollout alone", pods)
	}
}

func TestRotateLeavesASecretToItsKeeper(t *testing.T) {
	t.Parallel()
	r := newReleased(t, `{"annotations":{"meta.helm.sh/release-name":"main"}}`)
	plan := r.plan(r.rotation(nil, kubetest.Rotating...))
	if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, "Helm") || !strings.Contains(plan.Left[0].Next, "runners.secret") {
		t.Fatalf("got %+v, want the release left to Helm, with the value to change", plan)
	}
	r.state += "2"
	plan = r.plan(r.rotation(func(in *app.RotateInput) { in.PatchManaged = true }, kubetest.Rotating...))
	if len(plan.Targets) != 1 || !strings.Contains(strings.Join(plan.Targets[0].Notes, "\n"), "Helm") {
		t.Errorf("got %+v, want a target with a note of Helm", plan)
	}
}

// TestRotateNamesAMissingRight looks before anything is made in GitLab.
func TestRotateNamesAMissingRight(t *testing.T) {
	t.Parallel()
	r := newReleased(t, "")
	for i, lacking := range []struct{ resource, verb, want string }{
		{"secrets", "patch", `the right secrets "patch"`},
		{"deployments", "patch", `the right deployments.apps "patch"`},
	} {
		var rights []kubetest.Right
		for _, right := range kubetest.Rotating {
			var verbs []string
			for _, v := range right.Verbs {
				if right.Resource != lacking.resource || v != lacking.verb {
					verbs = append(verbs, v)
				}
			}
			if len(verbs) > 0 {
				rights = append(rights, kubetest.Right{Group: right.Group, Resource: right.Resource, Verbs: verbs})
			}
		}
		r.state += fmt.Sprint(i)
		plan := r.plan(r.rotation(nil, rights...))
		if len(plan.Targets) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Reason, lacking.want) || !strings.Contains(plan.Left[0].Next, "verbs: [") {
			t.Errorf("without %s: got %+v, want it left with the right that is missing, and the line that gives it", lacking.want, plan)
		}
	}
}

// TestRotateWaitsForPodsThatNeverComeOnlySoLong leaves the old record serving, and
// goes on once the pods come.
func TestRotateWaitsForPodsThatNeverComeOnlySoLong(t *testing.T) {
	t.Parallel()
	r := newReleased(t, "")
	var ready atomic.Bool
	r.control.Ready = ready.Load
	rotation := r.rotation(func(in *app.RotateInput) { in.RolloutWait = time.Millisecond }, kubetest.Rotating...)
	results, err := rotation.Apply(t.Context(), r.plan(rotation))
	if err != nil || results[0].Status != rekey.StatusOpen || !strings.Contains(results[0].Reason, "not ready") {
		t.Fatalf("got %+v (%v), want open: the pods are not ready", results, err)
	}
	rotation.Close()
	ready.Store(true)
	again := r.rotation(nil, kubetest.Rotating...)
	results, err = again.Resume(t.Context())
	if err != nil || len(results) != 1 || results[0].Status != rekey.StatusVerified {
		t.Errorf("got %+v (%v), want verified", results, err)
	}
}
