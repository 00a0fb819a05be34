package main_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// recorded is an answer of the lab that did not go out yet.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the map that the answer goes out with.
func (r *recorded) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorded) WriteHeader(status int) { r.status = status }

// Write keeps the body.
func (r *recorded) Write(data []byte) (int, error) { return r.body.Write(data) }

// The ways in which an answer is lost after the lab has committed.
var lostAnswers = map[string]func(http.ResponseWriter, *recorded){
	"dropped": func(http.ResponseWriter, *recorded) { panic(http.ErrAbortHandler) },
	"truncated": func(w http.ResponseWriter, r *recorded) {
		cut(w, r, r.body.Len()/2)
	},
	"truncated in the last byte": func(w http.ResponseWriter, r *recorded) {
		cut(w, r, r.body.Len()-1)
	},
	"headers only": func(w http.ResponseWriter, r *recorded) { cut(w, r, 0) },
	"502": func(w http.ResponseWriter, r *recorded) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><head><title>502 Bad Gateway</title></head></html>"))
	},
	"504 from a cache": func(w http.ResponseWriter, r *recorded) {
		w.WriteHeader(http.StatusGatewayTimeout)
	},
	"200 with a login page": func(w http.ResponseWriter, r *recorded) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>Sign in</html>"))
	},
	"201 without a body": func(w http.ResponseWriter, r *recorded) { w.WriteHeader(http.StatusCreated) },
}

// cut promises the whole body, sends n bytes and closes the connection. An answer
// without a body is lost as a whole.
func cut(w http.ResponseWriter, r *recorded, n int) {
	if r.body.Len() == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Length", strconv.Itoa(r.body.Len()))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()[:n])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestLostAnswers loses the one answer that holds a token, after the lab has
// acted on the request: the repair ends as if nothing had happened.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario scenario
		path     *regexp.Regexp
	}{{createDeleted, createPath}, {resetRotated, resetPath}, {register, createPath}} {
		t.Run(c.scenario.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.scenario.version)
			w.binary = binary // nobody is killed here
			for name, how := range lostAnswers {
				s := c.scenario
				s.lose = func() *loss { return &loss{path: c.path, how: how} }
				a := attempt{scenario: s, world: w, what: name}
				a.begin()
				a.settle(w.run(s.bare, 0, "", a.args()...))
				if !w.front.lose.done {
					t.Errorf("%s: no answer was lost", name)
				}
			}
		})
	}
}

// TestLostAnswerToEveryRequest loses the answer to each request of a command in
// turn, in one of the ways outside of make crash: whatever the request did, the
// command comes to the same end.
func TestLostAnswerToEveryRequest(t *testing.T) {
	t.Parallel()
	ways := slices.Sorted(maps.Keys(lostAnswers))
	every := os.Getenv("REKEY_CRASH_EVERY") != ""
	for _, s := range []scenario{overlap, overlapProjects, overlapTwin, inPlaceTwin, createDeleted, resetRotated} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s.version)
			w.binary = binary // nobody is killed here
			n := requestsOf(t, s, w)
			tried := 0
			for nth := 1; nth <= n; nth++ {
				for i, name := range ways {
					if every || i == nth%len(ways) {
						loseNth(s, w, nth, name)
						tried++
					}
				}
			}
			t.Logf("%-28s %3d requests, %4d answers lost, %4d converged", s.name, n, tried, tried)
		})
	}
}

func loseNth(s scenario, w *world, nth int, way string) {
	s.lose = func() *loss { return &loss{nth: nth, how: lostAnswers[way]} }
	a := attempt{scenario: s, world: w, what: fmt.Sprintf("request %d %s", nth, way)}
	a.begin()
	a.settle(w.run(s.bare, 0, "", a.args()...))
}

func requestsOf(t *testing.T, s scenario, w *world) int {
	t.Helper()
	a := attempt{scenario: s, world: w, what: "undisturbed"}
	a.begin()
	a.settle(w.run(s.bare, 0, "", a.args()...))
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	if w.front.asked < 3 {
		t.Fatalf("%s: %d requests were counted", s.name, w.front.asked)
	}
	return w.front.asked
}
