package kube

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"rekey"
)

// Options say which cluster is asked, and as whom.
type Options struct {
	Getenv  func(name string) string // required
	Home    string                   // of the user, for ~/.kube/config
	Context string                   // of the kubeconfig; "" for its current one
	// Patience bounds one request; 0: 10 s.
	Patience time.Duration
}

// Cluster is one API server, asked as one user. Its methods may be used
// concurrently.
type Cluster struct {
	config    *rest.Config
	api       dynamic.Interface
	raw       rest.Interface // for what is no object
	context   string         // of the kubeconfig, "" inside a pod
	namespace string         // of the context
	patience  time.Duration
}

// Connect prepares to ask the cluster that kubectl would, or inside a pod its own;
// no request is sent yet.
func Connect(o Options) (*Cluster, error) {
	c := &Cluster{patience: o.Patience}
	if c.patience <= 0 {
		c.patience = 10 * time.Second
	}
	if err := c.configure(o); err != nil {
		return nil, err
	}
	c.config.UserAgent, c.config.QPS, c.config.Burst = "rekey", 50, 100
	c.config.WarningHandler = rest.NoWarnings{}
	var err error
	if c.api, err = dynamic.NewForConfig(c.config); err == nil {
		c.raw, err = rawClient(c.config)
	}
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the credentials of %s cannot be used: %w", c.who(), err).WithHint("see `kubectl config view --minify`, and whether `kubectl get pods` works")
	}
	return c, nil
}

func rawClient(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	v1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // denials are objects
	raw := *config
	raw.APIPath, raw.GroupVersion = "/", &schema.GroupVersion{}
	raw.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.UnversionedRESTClientFor(&raw)
}

func (c *Cluster) configure(o Options) error {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(o.Getenv("KUBECONFIG")), WarnIfAllMissing: false}
	if len(rules.Precedence) == 0 && o.Home != "" {
		rules.Precedence = []string{filepath.Join(o.Home, ".kube", "config")}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	raw, err := loader.RawConfig()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return rekey.Errorf(rekey.KindDenied, "the kubeconfig may not be read by this user: %w", err).WithHint("KUBECONFIG names it; its owner is as a rule the user who set it up, not root")
	case err != nil:
		return rekey.Errorf(rekey.KindInvalid, "the kubeconfig cannot be read: %w", err).WithHint("see `kubectl config view`")
	case len(raw.Clusters) == 0 && len(raw.Contexts) == 0:
		return c.inside(o, rules.Precedence)
	}
	c.context = raw.CurrentContext
	if o.Context != "" {
		c.context = o.Context
	}
	if raw.Contexts[c.context] == nil {
		return rekey.Errorf(rekey.KindNotFound, "the kubeconfig has no context %q", c.context).WithHint("see `kubectl config get-contexts`, and name one: --host 'k8s://?context=NAME'")
	}
	if c.config, err = loader.ClientConfig(); err != nil {
		return rekey.Errorf(rekey.KindInvalid, "the context %s of the kubeconfig cannot be used: %w", c.context, err).WithHint("see `kubectl config view --minify`")
	}
	c.namespace, _, _ = loader.Namespace()
	return nil
}

// inside takes the identity of the pod that rekey runs in.
func (c *Cluster) inside(o Options, looked []string) error {
	if o.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return rekey.Errorf(rekey.KindDenied, "the pod's own identity cannot be used: %w", err).WithHint("let the pod have its service account's token (automountServiceAccountToken)")
		}
		c.config, c.namespace = config, "default"
		if data, err := readFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
			c.namespace = strings.TrimSpace(string(data))
		}
		return nil
	}
	return rekey.Errorf(rekey.KindNotFound, "there is no kubeconfig: %s names no cluster, and rekey does not run in a pod", strings.Join(append(looked, "KUBECONFIG")[:1], "")).
		WithHint("set KUBECONFIG to the file that kubectl uses (under sudo: sudo --preserve-env=KUBECONFIG), or copy it to ~/.kube/config")
}

// String names the cluster for people.
func (c *Cluster) String() string { return c.config.Host }

// who names the credentials.
func (c *Cluster) who() string {
	if c.context == "" {
		return "this pod's service account"
	}
	return "the context " + c.context
}

func (c *Cluster) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.patience)
}

// admitted sends one request where a program of the kubeconfig makes the
// credentials. Such a program may wait for a person at a browser, and client-go
// cannot end it: so the request is left behind when the time is over, and ends with
// the program.
func (c *Cluster) admitted(ctx context.Context) error {
	plugin := c.config.ExecProvider
	if plugin == nil {
		return nil
	}
	bounded, stop := c.bounded(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.raw.Get().AbsPath("/version").DoRaw(bounded)
	}()
	defer stop()
	select {
	case <-done:
		return nil
	case <-bounded.Done():
	}
	if ctx.Err() != nil {
		return c.denied(ctx, request{"get", apiGroups, "", ""}, ctx.Err())
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s, which makes the credentials of %s, did not end within %s", plugin.Command, c.who(), c.patience).
		WithHint("log in with it once, so that `kubectl get pods` answers without a question, and try again")
}

// kind is a kind of object that is asked for.
type kind struct{ group, version, resource string }

// The kinds that are read: the rights of the smallest role.
var (
	deployments = kind{"apps", "v1", "deployments"}
	pods        = kind{"", "v1", "pods"}
	secrets     = kind{"", "v1", "secrets"}
	configMaps  = kind{"", "v1", "configmaps"}
	runners     = kind{"apps.gitlab.com", "v1beta2", "runners"}
	apiGroups   = kind{"", "", "the list of API groups"}
)

func (k kind) of() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.resource}
}

// name is what kubectl calls it.
func (k kind) name() string {
	if k.group == "" {
		return k.resource
	}
	return k.resource + "." + k.group
}

// get reads one object into into.
func (c *Cluster) get(ctx context.Context, k kind, namespace, name string, into any) error {
	bounded, stop := c.bounded(ctx)
	defer stop()
	u, err := c.api.Resource(k.of()).Namespace(namespace).Get(bounded, name, v1.GetOptions{})
	if err != nil {
		return c.denied(ctx, request{"get", k, namespace, name}, err)
	}
	return convert(u.Object, into)
}

// mostObjects bounds a list: a cluster has more Deployments only where it is among
// the largest, and a namespace can be named there.
const mostObjects = 50_000

// list reads all objects of a kind, page by page; namespace "" is all of them.
func list[T any](ctx context.Context, c *Cluster, k kind, namespace, labels string) ([]T, error) {
	var all []T
	options := v1.ListOptions{Limit: 500, LabelSelector: labels}
	for {
		page, err := c.page(ctx, k, namespace, options)
		if err != nil {
			return nil, err
		}
		for _, u := range page.Items {
			var one T
			if err := convert(u.Object, &one); err != nil {
				return nil, err
			}
			all = append(all, one)
		}
		options.Continue = page.GetContinue()
		if options.Continue == "" || len(all) >= mostObjects {
			return all, nil
		}
	}
}

func (c *Cluster) page(ctx context.Context, k kind, namespace string, options v1.ListOptions) (*unstructured.UnstructuredList, error) {
	bounded, stop := c.bounded(ctx)
	defer stop()
	page, err := c.api.Resource(k.of()).Namespace(namespace).List(bounded, options)
	if err != nil {
		return nil, c.denied(ctx, request{"list", k, namespace, ""}, err)
	}
	return page, nil
}

func convert(object map[string]any, into any) error {
	data, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		// The decoder's words may quote a value.
		return rekey.Errorf(rekey.KindInvalid, "an object of the cluster is not of the shape that its kind has")
	}
	return nil
}
