package app

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"rekey"
	"rekey/internal/host/kube"
	"rekey/internal/remedy"
)

// kubeReleases reaches the releases that an address names.
func (a *App) kubeReleases(ctx context.Context, address string) (*kube.Cluster, []*kube.Release, error) {
	rest, query, err := splitAddress(address, "context")
	if err != nil {
		return nil, nil, err
	}
	namespace, name, _ := strings.Cut(rest, "/")
	c, err := kube.Connect(kube.Options{Context: query.Get("context"), Home: a.env("HOME", "USERPROFILE"), Getenv: func(name string) string { return a.env(name) }})
	if err != nil {
		return nil, nil, err
	}
	found, _, err := c.Releases(ctx, namespace, name)
	return c, found, err
}

// releaseName is how the configs of a release are named.
func releaseName(r *kube.Release) string { return "k8s://" + r.Namespace + "/" + r.Name }

// releaseAddress is by what a release is found again, by a later process too whose
// kubeconfig has another current context.
func releaseAddress(c *kube.Cluster, r *kube.Release) string {
	if c.Context() == "" {
		return releaseName(r)
	}
	return releaseName(r) + "?context=" + url.QueryEscape(c.Context())
}

// workload opens what a target in a cluster names.
func (a *App) workload(ctx context.Context, t rekey.Target) (remedy.Workload, error) {
	_, found, err := a.kubeReleases(ctx, t.Host)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if path, ok := strings.CutPrefix(t.Config, releaseName(r)); ok && strings.HasPrefix(path, "/") {
			place, err := r.Place(path)
			return workload{place}, err
		}
	}
	return nil, rekey.Errorf(rekey.KindNotFound, "%s does not hold %s any more", t.Host, t.Config).WithHint("`rekey doctor --host %s` shows what there is; `rekey fix --abort` gives the rotation up", t.Host)
}

// workload is remedy.Workload on a release.
type workload struct{ *kube.Place }

// Rolled says how far a rollout has come.
func (w workload) Rolled(ctx context.Context, mark string) (remedy.Rolled, error) {
	r, err := w.Place.Rolled(ctx, mark)
	return remedy.Rolled(r), err
}

// plannedRelease is remedy.Host of a release, for its planning: it changes nothing.
type plannedRelease struct {
	remedy.Host
	ctx     context.Context
	release *kube.Release
	name    string
	place   *kube.Place
}

// Read returns the config that a pod makes.
func (h plannedRelease) Read(path string) ([]byte, error) {
	for _, c := range h.release.Configs {
		if h.name+c.Path == path {
			return c.Data, c.Err
		}
	}
	return nil, rekey.Errorf(rekey.KindNotFound, "%s is no config of this release", path)
}

// SystemID is that of a pod that runs.
func (h plannedRelease) SystemID(string) rekey.SystemID {
	id, _ := h.release.SystemID(h.ctx)
	return id
}

// CheckWritable has the API server try the changes, and keeps none.
func (h plannedRelease) CheckWritable(string) error { return h.place.Check(h.ctx) }

// releaseOf collects what decides whether and how a release's token is rotated.
func releaseOf(ctx context.Context, c *kube.Cluster, r *kube.Release, place *kube.Place, force bool) (*remedy.Release, error) {
	shape, err := place.Shape(ctx)
	if err != nil {
		return nil, err
	}
	keeper, err := place.Keeper(ctx)
	if err != nil {
		return nil, err
	}
	rel := &remedy.Release{Address: releaseAddress(c, r), Replicas: shape.Replicas, Grace: shape.Grace}
	rel.Systems, rel.Nameless = place.Systems(ctx)
	switch {
	case shape.Paused:
		rel.Refused, rel.Next = fmt.Sprintf("the rollout of %s is paused: no pod would be made anew", r.Workload), fmt.Sprintf("`kubectl rollout resume %s -n %s`, then again", r.Workload, r.Namespace)
	case keeper.Tool != "" && !force:
		rel.Refused, rel.Next = "the Secret is kept by "+keeper.Tool+", which would put the old token back", keeper.Change+". --patch-managed changes it here all the same"
	case keeper.Tool != "":
		rel.Notes = append(rel.Notes, "the Secret is kept by "+keeper.Tool+" and is changed all the same (--patch-managed): "+keeper.Change)
	case keeper.Note != "":
		rel.Notes = append(rel.Notes, keeper.Note)
	}
	if shape.Recreate {
		rel.Notes = append(rel.Notes, "the Deployment's strategy is Recreate: no new pod comes before the old ones have ended their jobs")
	}
	return rel, nil
}

// planHosts plans the rotation of releases, each by itself.
func (r *Rotation) planHosts(ctx context.Context, planner func() *remedy.RotationPlanner) (rekey.Plan, error) {
	whole := rekey.Plan{Targets: []rekey.Target{}, Left: []rekey.Left{}}
	for _, address := range r.Fix.in.Hosts.Addresses {
		c, found, err := r.app.kubeReleases(ctx, address)
		if err != nil {
			return whole, err
		}
		if len(found) > 1 && len(r.in.Runners) == 0 && !r.in.Due {
			return whole, rekey.Errorf(rekey.KindInvalid, "which of %d releases to rotate must be said", len(found)).
				WithHint("name one, as %s", releaseName(found[0]))
		}
		for _, release := range found {
			plan, err := r.planRelease(ctx, planner(), c, release)
			if err != nil {
				return whole, err
			}
			whole.Targets, whole.Left = append(whole.Targets, plan.Targets...), append(whole.Left, plan.Left...)
		}
	}
	return whole, nil
}

func (r *Rotation) planRelease(ctx context.Context, p *remedy.RotationPlanner, c *kube.Cluster, release *kube.Release) (rekey.Plan, error) {
	name := releaseName(release)
	var paths []string
	var place *kube.Place
	for _, config := range release.Configs {
		if config.Err != nil {
			return rekey.Plan{}, config.Err
		}
		one, err := release.Place(config.Path)
		if err != nil {
			return leftAlone(name, config.Path, err), nil
		}
		place, paths = one, append(paths, name+config.Path)
	}
	if len(paths) != 1 {
		return rekey.Plan{}, rekey.Errorf(rekey.KindInvalid, "%s takes tokens from %d Secrets: which one counts cannot be told", name, len(paths)).WithHint("see `rekey doctor --host %s`", name)
	}
	rel, err := releaseOf(ctx, c, release, place, r.in.PatchManaged)
	if err != nil {
		return rekey.Plan{}, err
	}
	p.Release, p.Host = rel, plannedRelease{ctx: ctx, release: release, name: name, place: place}
	p.Generated = func(string) string { return "" } // the Secret's keeper decides
	return p.Plan(ctx, paths)
}

func leftAlone(name, path string, err error) rekey.Plan {
	return rekey.Plan{Left: []rekey.Left{{Config: name + path, Name: name, Causes: []rekey.Cause{}, Severity: rekey.Failing, Reason: err.Error(), Next: rekey.HintOf(err)}}}
}

// reached refuses what is no kind of host whose runners are changed from here.
func reached(address string) error {
	scheme, _, ok := strings.Cut(address, "://")
	if ok && (scheme == "k8s" || scheme == "docker" || scheme == "ssh") {
		return nil
	}
	return rekey.Errorf(rekey.KindInvalid, "%q is no host whose runners are changed from here", address).WithHint("write it as ssh://[user@]host[:port][/path/to/config.toml], docker://CONTAINER or k8s://NAMESPACE/RELEASE")
}
