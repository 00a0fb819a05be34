package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/kube"
)

// server answers for one Secret, and for a watch of it as an API server whose cache is
// younger than the Secret.
type server struct {
	*httptest.Server
	asked  chan string         // each request: "get", "watch"
	events chan string         // what goes into the open stream; "" ends it
	open   func() []string     // the stream's first events
	accept func(*http.Request) // before a watch is accepted

	mu      sync.Mutex
	version int // of the Secret, 0 when there is none
}

func newServer(t *testing.T, version int) *server {
	t.Helper()
	s := &server{asked: make(chan string, 1000), events: make(chan string), version: version, accept: func(*http.Request) {}}
	s.open = func() []string { return []string{event("ADDED", version)} }
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/secrets/runner"):
			s.get(w)
		case r.URL.Query().Get("watch") != "" && r.URL.Query().Get("fieldSelector") == "metadata.name=runner":
			s.watch(w, r)
		default: // a list takes a right that the guide does not ask for
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, status(403, "Forbidden"))
		}
	}))
	t.Cleanup(s.CloseClientConnections) // or Close waits for the open streams
	t.Cleanup(s.Close)
	return s
}

func (s *server) get(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked <- "get"
	if s.version == 0 {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, status(404, "NotFound"))
		return
	}
	_, _ = fmt.Fprint(w, secret(s.version))
}

func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	s.accept(r)
	s.asked <- "watch"
	send := func(text string) {
		_, _ = fmt.Fprintln(w, text)
		w.(http.Flusher).Flush()
	}
	if from := r.URL.Query().Get("resourceVersion"); from != "" && from != "0" {
		send(expired)
		return
	}
	w.(http.Flusher).Flush()
	for _, text := range s.open() {
		if text == "" {
			return
		}
		send(text)
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case text := <-s.events:
			if text == "" {
				return
			}
			send(text)
		}
	}
}

func (s *server) becomes(version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
}

// expired is what a kube-apiserver sends into a stream with status 200.
var expired = `{"type":"ERROR","object":` + status(410, "Expired") + `}`

func status(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"said CANARY","reason":%q,"code":%d}`, reason, code)
}

func secret(version int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"runner","namespace":"ci","resourceVersion":"%d"},"data":{"runner-token":"Z2xydC1DQU5BUlk="}}`, version)
}

func event(kind string, version int) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, secret(version))
}

// watch begins to watch; the channel tells how it ended.
func watch(t *testing.T, s *server, since secretstore.Version, o kube.Options) <-chan error {
	t.Helper()
	return watchIn(t.Context(), t, s, since, o)
}

func watchIn(ctx context.Context, t *testing.T, s *server, since secretstore.Version, o kube.Options) <-chan error {
	t.Helper()
	path := kubetest.File(t, kubetest.Kubeconfig(s.URL, "", "", "ci"))
	o.Getenv = func(name string) string { return map[string]string{"KUBECONFIG": path}[name] }
	r, err := secretstore.Parse("k8s://ci/runner")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	go func() { ended <- kube.New(o).Watch(ctx, r, since) }()
	return ended
}

// expect waits for the next requests, while the watch goes on.
func expect(t *testing.T, s *server, ended <-chan error, want ...string) {
	t.Helper()
	for i, want := range want {
		select {
		case got := <-s.asked:
			if got != want {
				t.Fatalf("request %d is a %s, want a %s", i+1, got, want)
			}
		case err := <-ended:
			t.Fatalf("the watch ended with %v, want it to go on with a %s", err, want)
		}
	}
}

func (s *server) wantSilence(t *testing.T) {
	t.Helper()
	if n := len(s.asked); n > 0 {
		t.Errorf("%d requests more, the first of them a %s; want none", n, <-s.asked)
	}
}

// TestWatchOfAnOldSecret: a version that the API server's cache does not reach back to
// is watched by one stream all the same, opened before the Secret is read.
func TestWatchOfAnOldSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t, 100)
	ended := watch(t, s, "100", kube.Options{})
	expect(t, s, ended, "watch", "get")
	s.becomes(150)
	s.events <- event("MODIFIED", 150)
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v, want nil: the Secret has another version", err)
	}
	expect(t, s, ended, "get")
	s.wantSilence(t)
}

// TestWatchIsToldOldNews: a cache that lags behind tells earlier states first. They are
// no change, nor are bookmarks; that the Secret is gone is one.
func TestWatchIsToldOldNews(t *testing.T) {
	t.Parallel()
	s := newServer(t, 100)
	s.open = func() []string { return []string{event("ADDED", 90), event("MODIFIED", 100), event("BOOKMARK", 120)} }
	ended := watch(t, s, "100", kube.Options{})
	expect(t, s, ended, "watch", "get", "get")
	s.becomes(0)
	s.events <- event("DELETED", 130)
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v, want nil: the Secret is gone", err)
	}
	expect(t, s, ended, "get")
	s.wantSilence(t)
}

// TestWatchOfNothing: the Secret that is not there yet comes.
func TestWatchOfNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, 0)
	s.open = func() []string { return nil }
	ended := watch(t, s, "", kube.Options{})
	expect(t, s, ended, "watch", "get")
	s.becomes(7)
	s.events <- event("ADDED", 7)
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v, want nil: the Secret is there", err)
	}
}

// TestWatchThatEnds: whatever ends the streams, they are opened again with longer and
// longer pauses, and what changed in a pause is found after it.
func TestWatchThatEnds(t *testing.T) {
	t.Parallel()
	for name, first := range map[string][]string{"expired": {expired, ""}, "closed": {event("ADDED", 100), ""}, "closed at once": {""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, 100)
			s.open = func() []string { return first }
			const pause = 20 * time.Millisecond
			begun := time.Now()
			ended := watch(t, s, "100", kube.Options{Pause: pause})
			expect(t, s, ended, "watch", "get", "watch", "get", "watch", "get", "watch", "get", "watch", "get")
			if took, least := time.Since(begun), (1+2+4+8)*pause; took < least {
				t.Errorf("five streams that end at once are opened within %s, want %s at least", took, least)
			}
			s.becomes(101)
			if err := <-ended; err != nil {
				t.Errorf("Watch: %v, want nil: the Secret has another version", err)
			}
		})
	}
}

// TestWatchFails: what stands in the way is said, and is not tried again here.
func TestWatchFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, 100)
	s.open = func() []string { return []string{`{"type":"ERROR","object":` + status(500, "InternalError") + `}`} }
	if err := <-watch(t, s, "100", kube.Options{}); rekey.KindOf(err) != rekey.KindUnavailable || !strings.Contains(err.Error(), "watch k8s://ci/runner") {
		t.Errorf("an error in the stream: %v, want unavailable, and what was watched", err)
	}
	s = newServer(t, 100)
	s.accept = func(r *http.Request) { <-r.Context().Done() }
	if err := <-watch(t, s, "100", kube.Options{Patience: 50 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("a server that does not answer: %v, want it told", err)
	}
	s = newServer(t, 100)
	ctx, stop := context.WithCancel(t.Context())
	s.accept = func(*http.Request) { stop() }
	if err := <-watchIn(ctx, t, s, "100", kube.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: %v, want its error", err)
	}
}
