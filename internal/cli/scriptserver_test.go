package cli_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// recorder notes each request as "METHOD PATH[ user][ runner]", the latter two
// where it carried a user token or a runner token, and holds some back.
type recorder struct {
	mu    sync.Mutex
	lines []string
	held  *regexp.Regexp
	gate  chan struct{}
}

func newRecorder() *recorder { return &recorder{gate: make(chan struct{})} }

func (r *recorder) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if line, held, gate := r.note(req); held {
			select {
			case <-gate:
			case <-req.Context().Done():
				return
			}
			_ = line
		}
		next.ServeHTTP(w, req)
	})
}

func (r *recorder) note(req *http.Request) (line string, held bool, gate chan struct{}) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	line = req.Method + " " + req.URL.RequestURI()
	if req.Header.Get("Private-Token") != "" || req.Header.Get("Authorization") != "" {
		line += " user"
	}
	if req.Header.Get("Runner-Token") != "" || bytes.Contains(body, []byte(`"token"`)) {
		line += " runner"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return line, r.held != nil && r.held.MatchString(line), r.gate
}

func (r *recorder) matching(pattern *regexp.Regexp) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, line := range r.lines {
		if pattern.MatchString(line) {
			list = append(list, line)
		}
	}
	return list
}

func (w *world) recorder(ts *testscript.TestScript, name string) *recorder {
	r := w.servers[name]
	if r == nil {
		ts.Fatalf("there is no server %s", name)
	}
	return r
}

func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	status := int(number(ts, args[1]))
	var body []byte
	if args[2] != "-" {
		body = []byte(ts.ReadFile(args[2]))
	}
	r := newRecorder()
	s := httptest.NewServer(r.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, pair := range args[3:] {
			key, value, _ := strings.Cut(pair, "=")
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})))
	ts.Defer(s.Close)
	worldOf(ts).servers[args[0]] = r
	ts.Setenv(args[0], s.URL)
}

func cmdDead(ts *testscript.TestScript, _ bool, args []string) {
	r := newRecorder()
	s := httptest.NewServer(r.wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })))
	ts.Defer(s.Close)
	worldOf(ts).servers[args[0]] = r
	ts.Setenv(args[0], s.URL)
}

func cmdClosed(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], "http://"+l.Addr().String())
}

func cmdTLSFront(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	target, err := url.Parse(w.lab(ts, args[1]).URL)
	ts.Check(err)
	r := newRecorder()
	s := httptest.NewUnstartedServer(r.wrap(httputil.NewSingleHostReverseProxy(target)))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate are the point
	s.StartTLS()
	ts.Defer(s.Close)
	w.servers[args[0]] = r
	ts.Setenv(args[0], s.URL)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o600))
}

func cmdAsked(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(strings.Join(args[2:], " "))
	r := worldOf(ts).recorder(ts, args[0])
	got := r.matching(pattern)
	if args[1] == "+" && len(got) > 0 || args[1] == strconv.Itoa(len(got)) {
		return
	}
	ts.Fatalf("%s was asked %d times for %q, want %s; all requests:\n%s", args[0], len(got), pattern, args[1],
		strings.Join(r.matching(regexp.MustCompile("")), "\n"))
}

func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	r := worldOf(ts).recorder(ts, args[0])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = regexp.MustCompile(strings.Join(args[1:], " "))
	ts.Defer(sync.OnceFunc(func() { cmdRelease(ts, false, args[:1]) }))
}

func cmdRelease(ts *testscript.TestScript, _ bool, args []string) {
	r := worldOf(ts).recorder(ts, args[0])
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		r.held = nil
		close(r.gate)
		r.gate = make(chan struct{})
	}
}

func cmdAwaitask(ts *testscript.TestScript, _ bool, args []string) {
	pattern, want := regexp.MustCompile(strings.Join(args[2:], " ")), int(number(ts, args[1]))
	r := worldOf(ts).recorder(ts, args[0])
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for len(r.matching(pattern)) < want {
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("%s was not asked often enough for %q; all requests:\n%s", args[0], pattern, strings.Join(r.matching(regexp.MustCompile("")), "\n"))
		}
	}
}
