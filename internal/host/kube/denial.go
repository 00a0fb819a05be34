package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"rekey"
)

// request is what was asked, as RBAC sees it.
type request struct {
	verb      string
	kind      kind
	namespace string // "" for all
	name      string // "" for a list
}

func (r request) String() string {
	text := fmt.Sprintf("%s %q", r.kind.name(), r.verb)
	if r.namespace != "" {
		return text + " in namespace " + r.namespace
	}
	return text + " in all namespaces"
}

// right is how the right is checked, and the line of a Role that gives it.
func (r request) right() string {
	where := "-n " + r.namespace
	if r.namespace == "" {
		where = "--all-namespaces"
	}
	return fmt.Sprintf("`kubectl auth can-i %s %s %s` says whether; the line of a Role that gives it: {apiGroups: [%q], resources: [%q], verbs: [%q]}",
		r.verb, r.kind.name(), where, r.kind.group, r.kind.resource, r.verb)
}

// denied words what stood in the way of a request, and what would open it.
func (c *Cluster) denied(ctx context.Context, r request, err error) error {
	switch {
	case ctx.Err() != nil && context.Cause(ctx) == context.Canceled:
		return rekey.Errorf(rekey.KindUnavailable, "interrupted: %w", ctx.Err())
	case apierrors.IsForbidden(err):
		return rekey.Errorf(rekey.KindDenied, "the right %s is missing: %s", r, said(err)).WithHint("%s", r.right())
	case apierrors.IsUnauthorized(err):
		return rekey.Errorf(rekey.KindDenied, "%s does not take the credentials of %s (401): they have expired, or are another cluster's", c, c.who()).
			WithHint("renew them as for kubectl (log in again, `aws eks update-kubeconfig`, `gcloud container clusters get-credentials`), and see whether `kubectl auth whoami` answers")
	case apierrors.IsNotFound(err):
		return rekey.Errorf(rekey.KindNotFound, "%s %s does not exist in namespace %s", r.kind.name(), r.name, r.namespace).WithHint("see `kubectl get %s -n %s`", r.kind.name(), r.namespace)
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err), apierrors.IsTimeout(err):
		return rekey.Errorf(rekey.KindUnavailable, "%s did not answer within %s", c, c.patience).WithHint("see whether `kubectl get --raw /readyz` answers; a VPN or a proxy may be missing")
	case isDial(err):
		return rekey.Errorf(rekey.KindUnavailable, "%s cannot be reached: %s", c, said(err)).WithHint("check the server of %s: `kubectl config view --minify`; a VPN or a proxy may be missing", c.who())
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s failed to answer: %s", c, said(err)).WithHint("see whether `kubectl get %s` works", r.kind.name())
}

func isDial(err error) bool {
	var network *net.OpError
	return errors.As(err, &network)
}

// said is what the server said, in one line of bounded length.
func said(err error) string {
	const most = 300
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
