package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"rekey"
	"rekey/internal/durable"
)

// Place is the one key of a Secret from which the pods of a release take their token
// at their start: what can be changed. Its methods may be used concurrently.
type Place struct {
	release     *Release
	secret, key string
	deployment  string
}

// Place returns the place of one of the release's Configs. It fails, with what is to
// be done instead, where no single key of a Secret holds the token and nothing else,
// and where the pods are not a Deployment's that may be rolled out.
func (r *Release) Place(path string) (*Place, error) {
	kindOf, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, key, _ := strings.Cut(name, "#")
	deployment, isDeployment := strings.CutPrefix(r.Workload, "deployment/")
	refuse := func(hint, format string, args ...any) (*Place, error) {
		return nil, rekey.Errorf(rekey.KindInvalid, format, args...).WithHint("%s", hint)
	}
	switch {
	case r.operator:
		return refuse("make the new record (`rekey register --help`), put its token into the Secret of spec.token as runner-token, and restart the pods when no job runs",
			"%s is the GitLab Runner Operator's: it makes the Deployment anew and undoes a rollout", r.Name)
	case !isDeployment:
		return refuse("see `kubectl get deployments -n "+r.Namespace+"`", "%s has no Deployment", r.Name)
	case ok && kindOf == "deployment":
		return refuse("move the token into a Secret: `runners.secret` of the chart names it, or valueFrom.secretKeyRef", "the token stands in the Deployment itself, readable to whoever may see it")
	case !ok || kindOf != "secret" || key == "config.toml" || strings.HasSuffix(key, ".toml"):
		return refuse("change it where it is made, then `kubectl rollout restart "+r.Workload+" -n "+r.Namespace+"` when no job runs", "%s is a whole config, not a token", path)
	case key == registrationKey:
		return refuse("put the token into the key "+tokenKey+" and leave "+registrationKey+" empty", "the token stands in %s, which is meant for a registration token", registrationKey)
	}
	return &Place{release: r, secret: name, key: key, deployment: deployment}, nil
}

// Held returns the token that stands there now, the zero one where there is none.
func (p *Place) Held(ctx context.Context) (rekey.Token, error) {
	s, err := p.read(ctx)
	return s.token(p.key), err
}

func (p *Place) read(ctx context.Context) (secret, error) {
	var s secret
	err := p.release.cluster.get(ctx, secrets, p.release.Namespace, p.secret, &s)
	return s, err
}

// token is a key's value as the entrypoint reads it: without newlines at its end.
func (s secret) token(key string) rekey.Token {
	return rekey.NewToken(strings.ToValidUTF8(string(bytes.TrimRight(s.Data[key], "\n")), "\uFFFD"))
}

// giveAttempts bounds how often somebody else may change the Secret in between.
const giveAttempts = 5

// Give puts next in the place of expect, and says how. Every other key, label and
// annotation stays as it is, and none is added: kubectl's note of what was last
// applied would hold the token. It fails with KindConflict where another token
// stands there, or somebody changes the Secret again and again.
func (p *Place) Give(ctx context.Context, expect, next rekey.Token) (how string, err error) {
	for range giveAttempts {
		s, err := p.read(ctx)
		if err != nil {
			return "", err
		}
		if s.token(p.key) != expect {
			return "", rekey.Errorf(rekey.KindConflict, "Secret %s/%s holds another token than before: somebody changed it", p.release.Namespace, p.secret).
				WithHint("`rekey doctor --host k8s://%s/%s` says whether that one is good", p.release.Namespace, p.release.Name)
		}
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": s.Metadata.ResourceVersion},
			"data": map[string]any{p.key: []byte(next.Reveal())}})
		if err != nil {
			return "", rekey.Errorf(rekey.KindInternal, "the token cannot be encoded")
		}
		err = durable.Call("kube.secret", func() error { return p.patch(ctx, secrets, p.secret, body) })
		if err == nil {
			return "patched Secret " + p.release.Namespace + "/" + p.secret, nil
		}
		if !errors.IsConflict(err) {
			return "", p.release.cluster.denied(ctx, request{"patch", secrets, p.release.Namespace, p.secret}, err)
		}
	}
	return "", rekey.Errorf(rekey.KindConflict, "Secret %s/%s was changed by somebody else %d times in between", p.release.Namespace, p.secret, giveAttempts).
		WithHint("find out what writes it (`kubectl get secret %s -n %s -o jsonpath='{.metadata.managedFields[*].manager}'`), then try again", p.secret, p.release.Namespace)
}

func (p *Place) patch(ctx context.Context, k kind, name string, body []byte, dry ...string) error {
	c := p.release.cluster
	bounded, stop := c.bounded(ctx)
	defer stop()
	_, err := c.api.Resource(k.of()).Namespace(p.release.Namespace).Patch(bounded, name, types.MergePatchType, body, v1.PatchOptions{FieldManager: "rekey", DryRun: dry})
	return err
}

// Check fails, with the right that is missing, where Give or Roll would be refused.
// It has the API server try both without keeping anything.
func (p *Place) Check(ctx context.Context) error {
	tried := []byte(`{"metadata":{"annotations":{"rekey/tried":"true"}}}`)
	for _, try := range []struct {
		kind kind
		name string
	}{{secrets, p.secret}, {deployments, p.deployment}} {
		if err := p.patch(ctx, try.kind, try.name, tried, v1.DryRunAll); err != nil {
			return p.release.cluster.denied(ctx, request{"patch", try.kind, p.release.Namespace, try.name}, err)
		}
	}
	_, err := p.Shape(ctx)
	return err
}

// Shape is what of a Deployment decides how a rollout goes.
type Shape struct {
	Replicas int
	Grace    time.Duration // how long a pod that is replaced may end its jobs
	Paused   bool          // no rollout begins
	Recreate bool          // the old pods go before the new ones come
}

// Shape reads it.
func (p *Place) Shape(ctx context.Context) (Shape, error) {
	var d deployment
	if err := p.release.cluster.get(ctx, deployments, p.release.Namespace, p.deployment, &d); err != nil {
		return Shape{}, err
	}
	s := Shape{Replicas: 1, Grace: 30 * time.Second, Paused: d.Spec.Paused, Recreate: d.Spec.Strategy.Type == "Recreate"}
	if d.Spec.Replicas != nil {
		s.Replicas = *d.Spec.Replicas
	}
	if g := d.Spec.Template.Spec.TerminationGracePeriodSeconds; g != nil {
		s.Grace = time.Duration(*g) * time.Second
	}
	return s, nil
}
