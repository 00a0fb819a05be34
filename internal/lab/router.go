package lab

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rekey"
)

// route is one row of the API: who may call it from which version on.
type route struct {
	method  string
	pattern string // below /api/v4; ":name" takes one segment, decoded
	since   rekey.Version
	until   rekey.Version // zero: it is still there
	from    provenance
	access  access
	params  paramSet
	limit   string // the setting of the application limiter, "" for none
	handle  func(*call) (answer, error)
}

// id names the row, for conformance cases.
func (r *route) id() string { return r.method + " " + r.pattern }

// router finds routes by their number of segments. Unlike http.ServeMux it
// never redirects or cleans a path, and answers 404 and 405 as GitLab does.
type router struct{ bySize map[int][]*routeMatch }

type routeMatch struct {
	*route
	segments []string
	wild     int
}

// newRouter keeps the rows that the version has.
func newRouter(table []route, version rekey.Version) *router {
	r := &router{map[int][]*routeMatch{}}
	for i := range table {
		row := &table[i]
		if !within(version, row.since, row.until) {
			continue
		}
		m := &routeMatch{route: row, segments: strings.Split(strings.Trim(row.pattern, "/"), "/")}
		for _, s := range m.segments {
			if strings.HasPrefix(s, ":") {
				m.wild++
			}
		}
		r.bySize[len(m.segments)] = append(r.bySize[len(m.segments)], m)
	}
	for _, all := range r.bySize {
		// runners/all before runners/:id
		slices.SortStableFunc(all, func(a, b *routeMatch) int { return cmp.Compare(a.wild, b.wild) })
	}
	return r
}

// find returns the row and its path parameters, or the methods that the path
// has, or neither.
func (r *router) find(method, escaped string) (*route, map[string]string, []string) {
	segments := strings.Split(strings.Trim(escaped, "/"), "/")
	var allowed []string
	for _, m := range r.bySize[len(segments)] {
		vars, fits := m.match(segments)
		if !fits {
			continue
		}
		if m.method == method || method == http.MethodHead && m.method == http.MethodGet {
			return m.route, vars, nil
		}
		allowed = append(allowed, m.method)
	}
	return nil, nil, allowed
}

func (m *routeMatch) match(segments []string) (map[string]string, bool) {
	var vars map[string]string
	for i, want := range m.segments {
		if name, isVar := strings.CutPrefix(want, ":"); isVar {
			value, err := url.PathUnescape(segments[i])
			if err != nil || value == "" {
				return nil, false
			}
			if vars == nil {
				vars = make(map[string]string, m.wild)
			}
			vars[name] = value
		} else if want != segments[i] {
			return nil, false
		}
	}
	return vars, true
}
