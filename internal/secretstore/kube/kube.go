// Package kube keeps tokens in Secrets of Kubernetes, as the GitLab Runner Helm chart
// reads them. It owns the shape of such a Secret: the chart mounts the key
// runner-registration-token as well, so that key is kept, empty, beside runner-token.
// It refuses to touch another key, and to write without the resourceVersion that it
// read.
package kube

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"rekey"
	"rekey/internal/secretstore"
)

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// The keys that the chart's projected volume names.
const (
	runnerToken       = "runner-token"
	registrationToken = "runner-registration-token"
)

// annotation holds the metadata of one key.
const annotation = "rekey/"

// Options of a store.
type Options struct {
	Getenv   func(name string) string // required
	Home     string                   // of the user, for ~/.kube/config
	Patience time.Duration            // of one request; 0: 10 s
	Pause    time.Duration            // before a watch that ended is opened again; 0: 5 s
}

// Store is one kubeconfig, in any of its contexts.
type Store struct {
	opts Options

	mu       sync.Mutex
	clusters map[string]dynamic.Interface // by context
}

// New returns the store; nothing is read or sent yet.
func New(o Options) *Store {
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 5 * time.Second
	}
	return &Store{opts: o, clusters: map[string]dynamic.Interface{}}
}

// Features says what a Secret has.
func (s *Store) Features(context.Context, secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Write: true, Swap: secretstore.SwapAtomic, List: true, Delete: true, Watch: true, Metadata: true}, nil
}

func (s *Store) in(ref secretstore.Ref) (dynamic.ResourceInterface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := ref.Option("context")
	api := s.clusters[name]
	if api == nil {
		var err error
		if api, err = connect(s.opts, name); err != nil {
			return nil, err
		}
		s.clusters[name] = api
	}
	return api.Resource(secrets).Namespace(ref.Place), nil
}

// read returns the object, nil when there is none.
func (s *Store) read(ctx context.Context, ref secretstore.Ref) (*unstructured.Unstructured, error) {
	api, err := s.in(ref)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	object, err := api.Get(ctx, ref.Name, v1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(ref, "get", err)
	}
	return object, nil
}

// field is one key of a Secret, decoded.
func field(ref secretstore.Ref, object *unstructured.Unstructured, key string) (value rekey.Token, there bool, err error) {
	data, _, _ := unstructured.NestedMap(object.Object, "data")
	raw, there := data[key]
	if !there {
		return rekey.Token{}, false, nil
	}
	text, ok := raw.(string)
	plain, decodeErr := base64.StdEncoding.DecodeString(text)
	if !ok || decodeErr != nil {
		return rekey.Token{}, true, rekey.Errorf(rekey.KindInvalid, "%s: the key is not base64", ref)
	}
	return rekey.NewToken(string(plain)), true, nil
}

// Get reads the key. A resourceVersion is the version: it changes with any change to
// the Secret.
func (s *Store) Get(ctx context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	object, err := s.read(ctx, ref)
	if err != nil {
		return secretstore.Secret{}, err
	}
	if object == nil {
		return secretstore.Secret{}, secretstore.Missing(ref, "there is no such Secret in the namespace "+ref.Place)
	}
	value, there, err := field(ref, object, ref.Key)
	switch {
	case err != nil:
		return secretstore.Secret{}, err
	case !there:
		return secretstore.Secret{}, rekey.Errorf(rekey.KindNotFound, "%s: the Secret has no key %q", ref, ref.Key).WithHint("its keys are %s: name one after the #", keys(object))
	case value.IsZero():
		return secretstore.Secret{}, rekey.Errorf(rekey.KindNotFound, "%s: the key is empty", ref).WithHint("write it: `rekey secret put %s`", ref)
	case version != "" && string(version) != object.GetResourceVersion():
		return secretstore.Secret{}, secretstore.NoEarlier(ref, "Kubernetes keeps no earlier values of a Secret")
	}
	return secretstore.Secret{Value: value, Version: secretstore.Version(object.GetResourceVersion()), Meta: secretstore.ParseMetadata(object.GetAnnotations()[annotation+ref.Key])}, nil
}

func keys(object *unstructured.Unstructured) string {
	data, _, _ := unstructured.NestedMap(object.Object, "data")
	if len(data) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(data)), ", ")
}

// mostTries bounds how often a write begins anew because somebody else was faster.
const mostTries = 5

// Put makes the Secret or changes the key, by the resourceVersion that was read.
func (s *Store) Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	for try := 1; ; try++ {
		written, err := s.put(ctx, ref, value, p)
		switch {
		case err == nil:
			return secretstore.Version(written.GetResourceVersion()), nil
		case isMoved(err) && p.If.Any() && try < mostTries:
			continue
		case isMoved(err):
			return "", secretstore.Moved(ref, "somebody else changed the Secret")
		case isLost(err):
			return secretstore.Settle(ctx, s, ref, value, fail(ref, "update", err))
		}
		return "", fail(ref, "update", err)
	}
}

func (s *Store) put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (*unstructured.Unstructured, error) {
	object, err := s.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	fresh := object == nil
	if fresh {
		object = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata": map[string]any{"name": ref.Name, "namespace": ref.Place, "labels": map[string]any{"app.kubernetes.io/managed-by": "rekey"}}}}
	}
	old, there, _ := field(ref, object, ref.Key) // what is not base64 is written over
	if err := p.If.Check(ref, secretstore.Version(object.GetResourceVersion()), there && !old.IsZero()); err != nil {
		return nil, err
	}
	if immutable, _, _ := unstructured.NestedBool(object.Object, "immutable"); immutable {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s: the Secret is immutable", ref).WithHint("keep the token in another Secret, or delete this one and make it anew without immutable: true")
	}
	set(object, ref, value, p.Meta)
	api, err := s.in(ref)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	if fresh {
		written, err := api.Create(ctx, object, v1.CreateOptions{FieldManager: "rekey"})
		if apierrors.IsForbidden(err) {
			err = fail(ref, "create", err)
		}
		return written, err
	}
	return api.Update(ctx, object, v1.UpdateOptions{FieldManager: "rekey"})
}

// set writes the key, the metadata, and the empty key that the chart's volume wants.
func set(object *unstructured.Unstructured, ref secretstore.Ref, value rekey.Token, meta secretstore.Metadata) {
	data, _, _ := unstructured.NestedMap(object.Object, "data")
	if data == nil {
		data = map[string]any{}
	}
	data[ref.Key] = base64.StdEncoding.EncodeToString([]byte(value.Reveal()))
	if _, there := data[registrationToken]; ref.Key == runnerToken && !there {
		data[registrationToken] = ""
	}
	object.Object["data"] = data
	notes := object.GetAnnotations()
	if text := meta.Over(secretstore.ParseMetadata(notes[annotation+ref.Key])).Text(); text != "" {
		if notes == nil {
			notes = map[string]string{}
		}
		notes[annotation+ref.Key] = text
		object.SetAnnotations(notes)
	}
}

// Versions fails.
func (s *Store) Versions(_ context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	return nil, secretstore.Cannot(ref, "Kubernetes keeps no earlier values of a Secret")
}

// List names the keys of the namespace's Secrets that hold something. A list of
// Secrets tells their values, and RBAC knows it: the right is worth as much as get.
func (s *Store) List(ctx context.Context, place secretstore.Ref) ([]secretstore.Entry, error) {
	api, err := s.in(place)
	if err != nil {
		return nil, err
	}
	var list []secretstore.Entry
	options := v1.ListOptions{Limit: 500, FieldSelector: "type=Opaque"}
	for {
		bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
		page, err := api.List(bounded, options)
		stop()
		if err != nil {
			return nil, fail(place, "list", err)
		}
		for _, object := range page.Items {
			list = append(list, entries(place, &object)...)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return list, nil
		}
	}
}

func entries(place secretstore.Ref, object *unstructured.Unstructured) []secretstore.Entry {
	var list []secretstore.Entry
	data, _, _ := unstructured.NestedMap(object.Object, "data")
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if data[key] != "" {
			list = append(list, secretstore.Entry{Ref: place.With(object.GetName(), key), Meta: secretstore.ParseMetadata(object.GetAnnotations()[annotation+key])})
		}
	}
	return list
}

// Delete takes the key out of the Secret, or deletes the Secret when nothing else is
// in it.
func (s *Store) Delete(ctx context.Context, ref secretstore.Ref) error {
	object, err := s.read(ctx, ref)
	if err != nil {
		return err
	}
	var data map[string]any
	if object != nil {
		data, _, _ = unstructured.NestedMap(object.Object, "data")
	}
	if raw, there := data[ref.Key]; !there || raw == "" {
		return secretstore.Missing(ref, "there is no such Secret or key")
	}
	delete(data, ref.Key)
	left := slices.ContainsFunc(slices.Collect(maps.Values(data)), func(raw any) bool { return raw != "" })
	api, err := s.in(ref)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	if !left {
		version := object.GetResourceVersion()
		err = api.Delete(ctx, ref.Name, v1.DeleteOptions{Preconditions: &v1.Preconditions{ResourceVersion: &version}})
		return deleted(ref, "delete", err)
	}
	notes := object.GetAnnotations()
	delete(notes, annotation+ref.Key)
	object.SetAnnotations(notes)
	if ref.Key == runnerToken {
		data[runnerToken] = "" // the chart's volume names it
	}
	object.Object["data"] = data
	_, err = api.Update(ctx, object, v1.UpdateOptions{FieldManager: "rekey"})
	return deleted(ref, "update", err)
}

func deleted(ref secretstore.Ref, verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case isMoved(err):
		return secretstore.Moved(ref, "somebody else changed the Secret")
	case isLost(err):
		return secretstore.Unknown(ref, fail(ref, verb, err))
	}
	return fail(ref, verb, err)
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// isMoved reports a failed comparison.
func isMoved(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// isLost reports a write that may have been made.
func isLost(err error) bool {
	var own *rekey.Error
	var status apierrors.APIStatus
	switch {
	case err == nil, errors.As(err, &own), apierrors.IsTooManyRequests(err):
		return false
	case errors.As(err, &status):
		return status.Status().Code >= 500
	}
	return !secretstore.NeverSent(err)
}

// fail words what stood in the way of a request.
func fail(ref secretstore.Ref, verb string, err error) error {
	var own *rekey.Error
	name := fmt.Sprintf("%s %s", verb, ref)
	switch {
	case errors.As(err, &own):
		return err
	case apierrors.IsForbidden(err):
		return rekey.Errorf(rekey.KindDenied, "%s: the right to %s Secrets in the namespace %s is missing", name, verb, ref.Place).
			WithHint(`the line of a Role that gives it: {apiGroups: [""], resources: ["secrets"], verbs: [%q]}; "kubectl auth can-i %s secrets -n %s" says whether`, verb, verb, ref.Place)
	case apierrors.IsUnauthorized(err):
		return rekey.Errorf(rekey.KindDenied, "%s: the cluster does not take the credentials (401)", name).WithHint("log in again as for kubectl; `kubectl auth whoami` must answer")
	case apierrors.IsNotFound(err):
		return secretstore.Missing(ref, "there is no such Secret or namespace")
	case apierrors.IsTooManyRequests(err):
		return rekey.Errorf(rekey.KindUnavailable, "%s: the API server limits the rate of requests", name).WithHint("try again later")
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return rekey.Errorf(rekey.KindInvalid, "%s: Kubernetes refused: %s", name, said(err)).WithHint("a Secret's name has lower-case letters, digits, dashes and dots; a key also capitals and underscores")
	case errors.Is(err, context.DeadlineExceeded):
		return rekey.Errorf(rekey.KindUnavailable, "%s: the API server did not answer in time", name).WithHint("see whether `kubectl get --raw /readyz` answers")
	case errors.Is(err, context.Canceled):
		return rekey.Errorf(rekey.KindUnavailable, "%s: interrupted: %w", name, context.Canceled)
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s: %s", name, said(err)).WithHint("see whether `kubectl get --raw /readyz` answers")
}
