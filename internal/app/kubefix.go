package app

import (
	"context"

	"rekey"
	"rekey/internal/controller"
	"rekey/internal/host/kube"
	"rekey/internal/remedy"
)

// planHosts observes, judges and plans for releases, each by itself.
func (f *Fix) planHosts(ctx context.Context) (rekey.Plan, error) {
	whole := rekey.Plan{Targets: []rekey.Target{}, Left: []rekey.Left{}}
	for _, address := range f.in.Hosts.Addresses {
		c, found, err := f.app.kubeReleases(ctx, address)
		if err != nil {
			return whole, err
		}
		for _, release := range found {
			plan, err := f.planRelease(ctx, c, release)
			if err != nil {
				return whole, err
			}
			whole.Targets, whole.Left = append(whole.Targets, plan.Targets...), append(whole.Left, plan.Left...)
		}
	}
	if !f.given.IsZero() && len(whole.Targets) > 1 {
		return whole, rekey.Errorf(rekey.KindInvalid, "one token was given, but %d releases need one", len(whole.Targets)).WithHint("name one, as --host k8s://NAMESPACE/RELEASE")
	}
	return whole, nil
}

func (f *Fix) planRelease(ctx context.Context, c *kube.Cluster, release *kube.Release) (rekey.Plan, error) {
	facts, err := f.app.observe(ctx, f.net, f.in.DoctorInput, []controller.Source{releaseSource(ctx, release)})
	if err != nil {
		return rekey.Plan{}, err
	}
	if err := firstUnreadable(facts); err != nil {
		return rekey.Plan{}, err
	}
	p, err := f.planner(ctx, facts)
	if err != nil {
		return rekey.Plan{}, err
	}
	name := releaseName(release)
	p.Generated = func(string) string { return "" } // the Secret's keeper decides
	place, err := release.Place(release.Configs[0].Path)
	if err != nil {
		p.Release = &remedy.Release{Address: releaseAddress(c, release), Refused: err.Error(), Next: rekey.HintOf(err)}
	} else if p.Release, err = releaseOf(ctx, c, release, place, f.in.PatchManaged); err != nil {
		return rekey.Plan{}, err
	}
	p.Host = plannedRelease{ctx: ctx, release: release, name: name, place: place}
	return p.Plan(ctx)
}
