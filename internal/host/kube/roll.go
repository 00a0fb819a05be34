package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"rekey"
	"rekey/internal/durable"
)

// rolloutMark is the annotation of a pod template, and so of the pods made by it,
// that tells which rollout they came with.
const rolloutMark = "rekey/rollout"

// Roll has every pod made anew, as `kubectl rollout restart` does, and says how. The
// new ones wear mark. The same mark again changes nothing.
func (p *Place) Roll(ctx context.Context, mark string) (how string, err error) {
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{rolloutMark: mark}}}}})
	if err != nil {
		return "", err
	}
	err = durable.Call("kube.rollout", func() error { return p.patch(ctx, deployments, p.deployment, body) })
	if err != nil {
		return "", p.release.cluster.denied(ctx, request{"patch", deployments, p.release.Namespace, p.deployment}, err)
	}
	return fmt.Sprintf("rolled out deployment/%s in namespace %s", p.deployment, p.release.Namespace), nil
}

// Rolled is how far a rollout has come.
type Rolled struct {
	Wanted  int    // replicas of the Deployment
	Ready   int    // pods of this rollout whose gitlab-runner is ready
	Others  int    // pods of before that are still there, those included that end their jobs
	Problem string // why a pod of this rollout does not run, "" for none
}

// Rolled counts the pods.
func (p *Place) Rolled(ctx context.Context, mark string) (Rolled, error) {
	shape, err := p.Shape(ctx)
	if err != nil {
		return Rolled{}, err
	}
	all, err := p.release.listPods(ctx)
	if err != nil {
		return Rolled{}, err
	}
	now := Rolled{Wanted: shape.Replicas}
	for _, one := range all {
		if one.Status.Phase == "Succeeded" || one.Status.Phase == "Failed" {
			continue
		}
		if one.Metadata.Annotations[rolloutMark] != mark {
			now.Others++
			continue
		}
		if one.Metadata.DeletionTimestamp != nil {
			continue
		}
		for _, s := range one.Status.ContainerStatuses {
			switch {
			case s.Name != p.release.container.Name:
			case s.Ready && s.State.Running != nil:
				now.Ready++
			case s.State.Waiting != nil && s.State.Waiting.Reason != "ContainerCreating":
				now.Problem = fmt.Sprintf("pod %s: %s", one.Metadata.Name, s.State.Waiting.Reason)
			}
		}
	}
	return now, nil
}

// Systems returns the system ids of the pods that run, and how many do not tell.
func (p *Place) Systems(ctx context.Context) (ids []rekey.SystemID, nameless int) {
	for _, one := range p.release.Pods {
		if !one.Running {
			continue
		}
		if id, _ := (&Release{Namespace: p.release.Namespace, Pods: []Pod{one}, cluster: p.release.cluster}).SystemID(ctx); id != "" {
			ids = append(ids, id)
			continue
		}
		nameless++
	}
	return ids, nameless
}

// Context is the kubeconfig's context, "" inside a pod.
func (c *Cluster) Context() string { return c.context }
