package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"rekey"
	"rekey/internal/host"
)

// Release is one Deployment that runs gitlab-runner, or a runner of the operator.
type Release struct {
	Namespace string
	Name      string // the Helm release's, the operator's runner's, else the Deployment's
	Made      string // what makes it, "the GitLab Runner chart gitlab-runner-0.70.0 (release ci)"; "" by hand
	Workload  string // "deployment/gitlab-runner", "" where the operator has made none yet
	URL       string // that the pods are given, "" for none
	Configs   []Config
	Pods      []Pod
	// PodsProblem says why there may be more pods, "" when the list is whole.
	PodsProblem string
	Notes       []string // what else could not be read, for people

	cluster   *Cluster
	container containerSpec
	volumes   []volume
	selector  map[string]string
	operator  bool
}

// Releases returns the releases of a namespace, "" for all that may be listed, with
// their tokens and pods. name, unless "", is a release's, a Deployment's or an
// operator's runner's. notes say what was not looked at. No release is an error.
func (c *Cluster) Releases(ctx context.Context, namespace, name string) (found []*Release, notes []string, err error) {
	if err := c.admitted(ctx); err != nil {
		return nil, nil, err
	}
	all, namespace, notes, err := c.deployments(ctx, namespace, name)
	if err != nil {
		return nil, notes, err
	}
	owned, problem := c.operated(ctx, namespace)
	if problem != nil && len(all) == 0 {
		return nil, notes, problem
	}
	if problem != nil {
		notes = append(notes, "runners of the GitLab Runner Operator were not looked at: "+problem.Error()+" ("+rekey.HintOf(problem)+")")
	}
	for _, r := range owned {
		found = append(found, c.ofOperator(r, all))
	}
	for _, d := range all {
		if d.isRunner() && !d.operated(owned) {
			found = append(found, c.ofDeployment(d))
		}
	}
	found = slices.DeleteFunc(found, func(r *Release) bool {
		return name != "" && r.Name != name && r.Workload != "deployment/"+name
	})
	if len(found) == 0 {
		return nil, notes, nothing(namespace, name, all)
	}
	distinguish(found)
	readAll(ctx, found)
	return found, notes, nil
}

// atOnce is how many releases are read at a time.
const atOnce = 8

func readAll(ctx context.Context, all []*Release) {
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for _, r := range all {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			r.findPods(ctx)
			r.findConfigs(ctx)
		})
	}
	wait.Wait()
}

// deployments lists them. Who may not look everywhere is shown the namespace of the
// context, and who may only get one, that one.
func (c *Cluster) deployments(ctx context.Context, namespace, name string) (all []deployment, in string, notes []string, err error) {
	all, err = list[deployment](ctx, c, deployments, namespace, "")
	if rekey.KindOf(err) != rekey.KindDenied || err == nil {
		return all, namespace, nil, err
	}
	if namespace == "" && c.namespace != "" {
		notes = append(notes, "only namespace "+c.namespace+" was looked at: "+err.Error())
		namespace = c.namespace
		var inner error
		if all, inner = list[deployment](ctx, c, deployments, namespace, ""); inner == nil {
			return all, namespace, notes, nil
		}
		return nil, namespace, nil, err
	}
	if namespace != "" && name != "" {
		var one deployment
		if c.get(ctx, deployments, namespace, name, &one) == nil {
			return []deployment{one}, namespace, nil, nil
		}
	}
	return nil, namespace, nil, err
}

// operated lists the operator's runners, where the cluster knows such objects:
// asking for a kind that is not there is answered as a missing right.
func (c *Cluster) operated(ctx context.Context, namespace string) ([]runner, error) {
	bounded, stop := c.bounded(ctx)
	defer stop()
	data, err := c.raw.Get().AbsPath("/apis").DoRaw(bounded)
	if err != nil {
		return nil, c.denied(ctx, request{"get", apiGroups, "", ""}, err)
	}
	var groups struct{ Groups []struct{ Name string } }
	if err := json.Unmarshal(data, &groups); err != nil {
		return nil, rekey.Errorf(rekey.KindUnavailable, "%s does not answer as a Kubernetes API server", c).WithHint("check the server of %s", c.who())
	}
	for _, g := range groups.Groups {
		if g.Name == runners.group {
			return list[runner](ctx, c, runners, namespace, "")
		}
	}
	return nil, nil
}

func nothing(namespace, name string, all []deployment) error {
	where := "in any namespace"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	if name == "" {
		return rekey.Errorf(rekey.KindNotFound, "none of %d Deployments %s runs gitlab-runner", len(all), where).
			WithHint("name it, k8s://NAMESPACE/NAME; `kubectl get deployments -A` lists them, `kubectl config get-contexts` the clusters")
	}
	var others []string
	for _, d := range all {
		if d.isRunner() {
			others = append(others, d.Metadata.Namespace+"/"+d.release())
		}
	}
	e := rekey.Errorf(rekey.KindNotFound, "no release, Deployment or runner %q that runs gitlab-runner is %s", name, where)
	if len(others) == 0 {
		return e.WithHint("none runs gitlab-runner there; `kubectl get deployments -A` lists all")
	}
	const most = 10
	return e.WithHint("those that do: %s", strings.Join(others[:min(most, len(others))], ", "))
}

// isRunner recognises the chart by its labels, and any other by its image.
func (d deployment) isRunner() bool {
	return d.chart() != "" || slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c containerSpec) bool { return host.RunnerImage(c.Image) })
}

// chart is the chart with its version, "gitlab-runner-0.70.0", "" for none. The
// chart has its own old labels; the others are what Helm recommends.
func (d deployment) chart() string {
	for _, label := range []string{"chart", "helm.sh/chart"} {
		if v := d.Metadata.Labels[label]; strings.HasPrefix(v, "gitlab-runner-") && !strings.HasPrefix(v, "gitlab-runner-operator-") {
			return v
		}
	}
	return ""
}

func (d deployment) release() string {
	return cmp.Or(d.Metadata.Labels["release"], d.Metadata.Labels["app.kubernetes.io/instance"], d.Metadata.Name)
}

// operated reports whether the operator made it for one of its runners.
func (d deployment) operated(owners []runner) bool {
	return slices.ContainsFunc(owners, func(r runner) bool { return d.ownedBy(r) })
}

func (d deployment) ownedBy(r runner) bool {
	for _, o := range d.Metadata.OwnerReferences {
		if o.Kind == "Runner" && o.Name == r.Metadata.Name && strings.HasPrefix(o.APIVersion, runners.group+"/") {
			return d.Metadata.Namespace == r.Metadata.Namespace
		}
	}
	return false
}

// ofDeployment is the release of a Deployment that the chart or a person made.
func (c *Cluster) ofDeployment(d deployment) *Release {
	r := &Release{Namespace: d.Metadata.Namespace, Name: d.release(), cluster: c}
	if chart := d.chart(); chart != "" {
		r.Made = "the GitLab Runner chart (" + chart + ", release " + r.Name + ")"
	}
	r.workload(d)
	return r
}

// ofOperator is the release of an operator's runner.
func (c *Cluster) ofOperator(o runner, all []deployment) *Release {
	r := &Release{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, cluster: c,
		Made: "the GitLab Runner Operator (runner " + o.Metadata.Name + ")", operator: true}
	for _, d := range all {
		if d.ownedBy(o) {
			r.workload(d)
		}
	}
	r.URL = cmp.Or(o.Spec.GitlabURL, r.URL)
	if o.Spec.Token != "" { // the runner names the Secret; the Deployment follows it
		r.volumes = append([]volume{tokenVolume(o.Spec.Token)}, withoutTokens(r.volumes)...)
	}
	return r
}

func (r *Release) workload(d deployment) {
	r.Workload = "deployment/" + d.Metadata.Name
	r.volumes, r.selector = d.Spec.Template.Spec.Volumes, d.Spec.Selector.MatchLabels
	containers := d.Spec.Template.Spec.Containers
	i := slices.IndexFunc(containers, func(c containerSpec) bool { return host.RunnerImage(c.Image) })
	if len(containers) > 0 {
		r.container = containers[max(i, 0)]
	}
	r.URL, _ = r.plain("CI_SERVER_URL")
}

// plain is a variable's value where the Deployment itself holds it.
func (r *Release) plain(name string) (string, bool) {
	for _, v := range slices.Backward(r.container.Env) {
		if v.Name == name && v.ValueFrom == nil {
			return v.Value, true
		}
	}
	return "", false
}

// distinguish gives releases that share a name in a namespace those of their
// Deployments.
func distinguish(all []*Release) {
	count := map[string]int{}
	for _, r := range all {
		count[r.Namespace+"/"+r.Name]++
	}
	for _, r := range all {
		if count[r.Namespace+"/"+r.Name] > 1 && r.Workload != "" {
			r.Name = strings.TrimPrefix(r.Workload, "deployment/")
		}
	}
}
