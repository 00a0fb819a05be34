package kube

import (
	"cmp"
	"context"
	"strings"
)

// Keeper is who writes a Secret, and so decides what stands in it tomorrow.
type Keeper struct {
	Tool   string // "Helm", "External Secrets", …; "" where nobody is recognised
	Change string // where the token is to be changed instead, as one sentence
	Note   string // of somebody who may undo a change, but is no reason to refuse it
}

// Keeper recognises what keeps the Secret by the marks that tools leave.
func (p *Place) Keeper(ctx context.Context) (Keeper, error) {
	s, err := p.read(ctx)
	if err != nil {
		return Keeper{}, err
	}
	return s.keeper(), nil
}

// operators keep Secrets by an object of their own, which the Secret's owner
// reference names.
var operators = map[string]struct{ tool, change string }{
	"ExternalSecret":    {"External Secrets", "put the new token into the store that ExternalSecret %s reads"},
	"SealedSecret":      {"Sealed Secrets", "seal the new token into SealedSecret %s (`kubeseal`) and apply it"},
	"VaultStaticSecret": {"the Vault Secrets Operator", "put the new token into Vault, where VaultStaticSecret %s reads it"},
	"InfisicalSecret":   {"Infisical", "put the new token into Infisical, where InfisicalSecret %s reads it"},
	"OnePasswordItem":   {"the 1Password operator", "change the item that OnePasswordItem %s names"},
}

func (s secret) keeper() Keeper {
	m := s.Metadata
	if len(m.OwnerReferences) > 0 {
		o := m.OwnerReferences[0]
		if known, ok := operators[o.Kind]; ok {
			return Keeper{Tool: known.tool, Change: strings.Replace(known.change, "%s", o.Name, 1)}
		}
		return Keeper{Tool: o.Kind + " " + o.Name, Change: "change it in " + o.Kind + " " + o.Name + ", which owns the Secret"}
	}
	mark := func(keys ...string) string {
		for _, k := range keys {
			if v := cmp.Or(m.Annotations[k], m.Labels[k]); v != "" {
				return v
			}
		}
		return ""
	}
	switch {
	case mark("reconcile.external-secrets.io/managed", "reconcile.external-secrets.io/data-hash") != "":
		return Keeper{Tool: "External Secrets", Change: "put the new token into the store that its ExternalSecret reads"}
	case mark("secrets-store.csi.k8s.io/managed") != "":
		return Keeper{Tool: "the Secrets Store CSI driver", Change: "put the new token into the store that its SecretProviderClass reads"}
	case mark("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance") != "":
		return Keeper{Tool: "Argo CD", Change: "change it in the repository of the application " + strings.SplitN(mark("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"), ":", 2)[0]}
	case mark("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name") != "":
		return Keeper{Tool: "Flux", Change: "change it in the repository that Flux applies (" + mark("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name") + ")"}
	case mark("meta.helm.sh/release-name") != "" || mark("heritage") == "Helm" || mark("app.kubernetes.io/managed-by") == "Helm":
		return Keeper{Tool: "Helm", Change: "Helm makes it of the value `runnerToken` of release " + cmp.Or(mark("meta.helm.sh/release-name"), mark("release"), m.Name) +
			" and would put the old token back at the next upgrade: name a Secret of your own in `runners.secret`, with the keys runner-token and runner-registration-token (empty), or put the new token into the values"}
	case s.by(isTerraform) != "":
		return Keeper{Tool: "Terraform", Change: "change it in the Terraform configuration that makes the Secret: its next apply would put the old token back"}
	case s.by(isPulumi) != "":
		return Keeper{Tool: "Pulumi", Change: "change it in the Pulumi program that makes the Secret: its next update would put the old token back"}
	case s.Immutable:
		return Keeper{Tool: "nobody: it is immutable", Change: "make a new Secret and name it in `runners.secret`"}
	case m.Annotations["kubectl.kubernetes.io/last-applied-configuration"] != "":
		return Keeper{Note: "the Secret was made with `kubectl apply`: the same manifest applied again puts the old token back, and its annotation kubectl.kubernetes.io/last-applied-configuration goes on holding the old one"}
	}
	if manager := s.by(applies); manager != "" {
		return Keeper{Note: "the Secret is applied by " + manager + " on the server's side: the same manifest applied again, with conflicts forced, puts the old token back"}
	}
	return Keeper{}
}

// by names a manager of the Secret's fields that is of that sort, "" for none. Some
// tools leave no other mark.
func (s secret) by(sort func(managed) bool) string {
	for _, m := range s.Metadata.ManagedFields {
		if sort(m) {
			return m.Manager
		}
	}
	return ""
}

// isTerraform knows the names that its provider gives itself: "Terraform" where it
// applies, "HashiCorp" from its user agent where it updates.
func isTerraform(m managed) bool {
	name := strings.ToLower(m.Manager)
	return strings.HasPrefix(name, "terraform") || strings.HasPrefix(name, "hashicorp") || strings.HasPrefix(name, "opentofu")
}

func isPulumi(m managed) bool { return strings.HasPrefix(strings.ToLower(m.Manager), "pulumi") }

// applies leaves out what rekey itself writes.
func applies(m managed) bool { return m.Operation == "Apply" && m.Manager != "rekey" }
