package lab

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// call is one API request inside its transaction.
type call struct {
	*tx
	params
	caller *caller // nil on public routes
	r      *http.Request
	in     input
	vars   map[string]string
	header http.Header // of the response

	uncounted bool // the list leaves its totals out whatever their number
}

// pathID returns a numeric path parameter; anything else is Grape's 400.
func (c *call) pathID(name string) (int64, error) {
	n, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil {
		return 0, grape(http.StatusBadRequest, strings.TrimPrefix(name, ":")+" is invalid")
	}
	return n, nil
}

// admin reports whether the caller may act as administrator.
func (c *call) admin() bool { return c.caller != nil && c.caller.isAdmin(c.settings()) }

// serveRoute runs one row of the table: parameters, credential, validation,
// handler, commit, and only then the answer.
func (s *Server) serveRoute(w http.ResponseWriter, r *http.Request, rt *route, vars map[string]string) {
	in, err := readInput(w, r, s.bodyLimit(rt))
	defer in.close()
	var a answer
	header := http.Header{}
	if err == nil {
		run := s.read
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			run = s.write
		}
		err = run(r.Context(), func(t *tx) error {
			c := &call{tx: t, r: r, in: in, vars: vars, header: header}
			a, err = c.run(rt)
			return err
		})
	}
	s.reply(w, r, header, a, err)
}

// run checks the credential before the parameters, as before_validation does
// for user routes.
func (c *call) run(rt *route) (answer, error) {
	if err := c.backoff(rt); err != nil {
		return answer{}, err
	}
	if !rt.access.public {
		who, err := c.authenticate(credential(c.r, c.in.values), c.r.Method, rt.access)
		if err != nil {
			return answer{}, err
		}
		c.caller = who
		if err := c.sudo(); err != nil {
			return answer{}, err
		}
	}
	valid, err := rt.params.validate(c.in.values)
	if err != nil {
		return answer{}, err
	}
	c.params = valid
	if err := c.limited(rt); err != nil {
		return answer{}, err
	}
	return rt.handle(c)
}

// reply sends the answer, the refusal, or 500 for anything else.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, header http.Header, a answer, err error) {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		a = answer{status: refused.status, body: refused.body}
		copyHeader(w.Header(), refused.header)
	case err != nil:
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		a = answer{status: http.StatusInternalServerError, body: messageBody{"500 Internal Server Error"}}
	}
	copyHeader(w.Header(), header)
	send(w, a)
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

// bodyLimit is the larger one for artifacts.
func (s *Server) bodyLimit(rt *route) int64 {
	if strings.HasSuffix(rt.pattern, "/artifacts") {
		megabytes, _ := s.settings().number("max_artifacts_size")
		return megabytes<<20 + 1<<20
	}
	return maxBody
}
