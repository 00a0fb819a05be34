package kube

import (
	"context"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"rekey/internal/secretstore"
)

// longest is how many times the first pause the last one is.
const longest = 64

// Watch waits for a change to the Secret, by the API's own watch. API servers end each
// after half an hour or an hour, and proxies sooner; it is opened again after a pause,
// which grows while they end without having lasted.
func (s *Store) Watch(ctx context.Context, ref secretstore.Ref, since secretstore.Version) error {
	for pause := s.opts.Pause; ; pause = min(2*pause, longest*s.opts.Pause) {
		lasting := time.NewTimer(4 * pause)
		changed, err := s.follow(ctx, ref, since)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case changed, err != nil:
			return err
		}
		select {
		case <-lasting.C:
			pause = s.opts.Pause
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause + rand.N(pause)): //nolint:gosec // a spread, no secret: a restarted API server ends all watches at once
		}
	}
}

// follow watches until the Secret has another version than since, or the stream ends,
// which is neither a change nor an error.
//
// The stream is opened first and the Secret read after, so that no change falls between
// the two. It begins at resourceVersion 0: the Secret's own is unknown to an API server
// (410 Gone) that has been started or has seen some hundred other Secrets since. What it
// tells first is the Secret as its cache has it, which may be older than what was read:
// hence each event of another version is only the cause to read again.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch
func (s *Store) follow(ctx context.Context, ref secretstore.Ref, since secretstore.Version) (changed bool, err error) {
	stream, stop, err := s.stream(ctx, ref)
	if err != nil {
		return false, err
	}
	defer stop()
	if changed, err := s.differs(ctx, ref, since); changed || err != nil {
		return changed, err
	}
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case event, open := <-stream.ResultChan():
			if !open || isExpired(event) {
				return false, nil
			}
			if changed, err := s.heard(ctx, ref, since, event); changed || err != nil {
				return changed, err
			}
		}
	}
}

// stream opens a watch: there is patience for the server to accept it, and no bound to
// how long it lasts.
func (s *Store) stream(ctx context.Context, ref secretstore.Ref) (w watch.Interface, stop func(), err error) {
	api, err := s.in(ref)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(s.opts.Patience, cancel)
	w, err = api.Watch(ctx, v1.ListOptions{FieldSelector: "metadata.name=" + ref.Name, ResourceVersion: "0"})
	if !late.Stop() {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return nil, nil, fail(ref, "watch", err)
	}
	return w, func() { w.Stop(); cancel() }, nil
}

// differs reads the Secret.
func (s *Store) differs(ctx context.Context, ref secretstore.Ref, since secretstore.Version) (bool, error) {
	now, err := s.read(ctx, ref)
	if err != nil || now == nil {
		return err == nil && since != "", err
	}
	return now.GetResourceVersion() != string(since), nil
}

// heard reports whether an event is of a change.
func (s *Store) heard(ctx context.Context, ref secretstore.Ref, since secretstore.Version, event watch.Event) (bool, error) {
	switch event.Type {
	case watch.Error:
		return false, fail(ref, "watch", apierrors.FromObject(event.Object))
	case watch.Added, watch.Modified:
		object, err := meta.Accessor(event.Object)
		if err == nil && object.GetResourceVersion() == string(since) {
			return false, nil
		}
	case watch.Bookmark:
		return false, nil
	}
	return s.differs(ctx, ref, since)
}

// isExpired reports an event that says 410: the server knows no longer where the watch
// had begun, or has no memory for a slow one.
func isExpired(event watch.Event) bool {
	if event.Type != watch.Error {
		return false
	}
	err := apierrors.FromObject(event.Object)
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
