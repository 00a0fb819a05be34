package secretstoretest

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Line is a line to a server, on which answers can be lost or replaced.
type Line struct {
	URL string

	target string
	next   http.RoundTripper

	mu      sync.Mutex
	lose    func(*http.Request) bool
	instead http.HandlerFunc
	seen    []string
}

// NewLine is a line to the server at target, through next; nil is the plain one.
func NewLine(t *testing.T, target string, next http.RoundTripper) *Line {
	t.Helper()
	if next == nil {
		next = &http.Transport{}
	}
	l := &Line{target: target, next: next}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.URL = server.URL
	return l
}

// NewTLSLine is NewLine for clients that send no token in the clear; ca is the PEM
// file of its authority.
func NewTLSLine(t *testing.T, target string, next http.RoundTripper) (l *Line, ca string) {
	t.Helper()
	l = &Line{target: target, next: next}
	server := httptest.NewTLSServer(l)
	t.Cleanup(server.Close)
	l.URL, ca = server.URL, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return l, ca
}

// LoseNext has the server do the next request that matches, and loses its answer.
func (l *Line) LoseNext(match func(*http.Request) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = match
}

// Instead answers every request from now on in the server's place; nil ends that.
func (l *Line) Instead(answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instead = answer
}

// Seen are the requests so far, "PUT /v1/secret/data/x".
func (l *Line) Seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.seen...)
}

// Write matches requests that change something.
func Write(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodPatch || r.Method == http.MethodDelete
}

// ServeHTTP passes a request on.
func (l *Line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.seen = append(l.seen, r.Method+" "+r.URL.Path)
	instead, lost := l.instead, l.lose != nil && l.lose(r)
	if lost {
		l.lose = nil
	}
	l.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, l.target+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header, out.ContentLength, out.Host = r.Header.Clone(), r.ContentLength, r.Host
	resp, err := l.next.RoundTrip(out)
	if err != nil || lost {
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		panic(http.ErrAbortHandler) // the connection breaks off
	}
	defer func() { _ = resp.Body.Close() }()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	flusher, _ := w.(http.Flusher)
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			_, _ = w.Write(buffer[:n])
			if flusher != nil {
				flusher.Flush()
			}
		}
		if err != nil {
			return
		}
	}
}
