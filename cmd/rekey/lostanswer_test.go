package main_test

import (
	"bytes"
	"net/http"
	"regexp"
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

// cut promises the whole body, sends n bytes and closes the connection.
func cut(w http.ResponseWriter, r *recorded, n int) {
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
