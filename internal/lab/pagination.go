package lab

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// countLimit is the number of rows above which GitLab leaves totals out.
const countLimit = 10000

var pageParams = []param{may("page", integer), may("per_page", integer)}

// page reads one page of a list and sets the X-… and Link headers. from is
// everything between FROM and ORDER BY.
func page[T any](c *call, scan func(scanner) (T, error), columns, from, order string, args ...any) ([]T, error) {
	number, size, err := c.pageWanted()
	if err != nil {
		return nil, err
	}
	var total int64
	// counted around the rows, for from may group them
	if err := c.value(&total, "SELECT count(*) FROM (SELECT 1 FROM "+from+")", args...); err != nil {
		return nil, err
	}
	c.setPageHeaders(number, size, total, total <= countLimit && !c.uncounted)
	return rows(c.tx, scan, "SELECT "+columns+" FROM "+from+" ORDER BY "+order+" LIMIT ? OFFSET ?", append(args, size, (number-1)*size)...)
}

func (c *call) pageWanted() (number, size int64, err error) {
	valid, err := takes(pageParams...).validate(c.in.values)
	if err != nil {
		return 0, 0, err
	}
	number, given := valid.number("page")
	if !given {
		number = 1
	}
	size, given = valid.number("per_page")
	if !given {
		size = 20
	}
	switch {
	case number < 1 || number > 1<<40:
		return 0, 0, grape(http.StatusBadRequest, "page does not have a valid value")
	case size < 1:
		return 0, 0, grape(http.StatusBadRequest, "per_page does not have a valid value")
	}
	return number, min(size, 100), nil
}

func (c *call) setPageHeaders(number, size, total int64, counted bool) {
	pages := max(1, (total+size-1)/size)
	next, prev := "", ""
	if number < pages {
		next = strconv.FormatInt(number+1, 10)
	}
	if number > 1 {
		prev = strconv.FormatInt(number-1, 10)
	}
	c.header.Set("X-Next-Page", next)
	c.header.Set("X-Page", formatInt(number))
	c.header.Set("X-Per-Page", formatInt(size))
	c.header.Set("X-Prev-Page", prev)
	if counted {
		c.header.Set("X-Total", formatInt(total))
		c.header.Set("X-Total-Pages", formatInt(pages))
	}
	links := []string{}
	add := func(rel, number string) {
		if number != "" {
			links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, c.pageURL(number, size), rel))
		}
	}
	add("prev", prev)
	add("next", next)
	add("first", "1")
	if counted {
		add("last", formatInt(pages))
	}
	c.header.Set("Link", strings.Join(links, ", "))
}

// pageURL repeats the query with another page; never the credential.
func (c *call) pageURL(number string, size int64) string {
	query := url.Values{}
	for k, values := range c.r.URL.Query() {
		query[k] = values
	}
	query.Del("private_token")
	query.Set("page", number)
	query.Set("per_page", formatInt(size))
	return c.baseURL(c.r) + c.r.URL.EscapedPath() + "?" + query.Encode()
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// each maps a list; the result is never nil, so that JSON shows [].
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, one := range in {
		out = append(out, f(one))
	}
	return out
}

func nonNil[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
