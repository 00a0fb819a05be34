package explain

import (
	"regexp"
	"slices"
	"strings"
)

// Catalogue knows the lines. It is made once and safe for concurrent use.
type Catalogue struct {
	rows     []row
	says     [][]pattern // of rows
	answers  [][]pattern // of answers
	prefixes []*regexp.Regexp
}

// New returns the catalogue of gitlab-runner 14.10 to 19.x.
func New() *Catalogue {
	// The order is that of the search: a line that holds another's words comes first.
	c := &Catalogue{prefixes: prefixes(), rows: slices.Concat(rotateRows, registerRows, verifyRows, pollRows, hostRows, jobRows)}
	for _, r := range c.rows {
		c.says = append(c.says, patterns(r.says))
	}
	for _, a := range answers {
		c.answers = append(c.answers, patterns(a.says))
	}
	return c
}

// Explain says what one line means; false when it is not in the catalogue. The
// line may be of any length and hold any bytes.
func (c *Catalogue) Explain(line string) (Explanation, bool) {
	if len(line) > longestLine {
		line = line[:longestLine]
	}
	e, _, ok := c.explain(c.parse(line))
	e.Count = 1
	return e, ok
}

// explain returns the row too, nil for a bare status.
func (c *Catalogue) explain(r record) (Explanation, *row, bool) {
	text := plain(r.text())
	for i := range c.rows {
		if c.rows[i].level != "" && r.level != "" && c.rows[i].level != r.level {
			continue
		}
		if anyIn(c.says[i], text) {
			return c.fromRow(r, &c.rows[i]), &c.rows[i], true
		}
	}
	e, ok := c.bare(r)
	return e, nil, ok
}

func (c *Catalogue) fromRow(r record, line *row) Explanation {
	e := Explanation{
		ID: line.id, Row: line.number, Line: r.shown(), Versions: line.versions, Means: line.means, Causes: slices.Clone(line.causes),
		Bearing: line.bearing, Remedy: line.remedy, Next: line.next, Summarises: len(line.after) > 0, Fields: r.shownFields(),
	}
	if !line.answered {
		return e
	}
	s := parseStatus(r.statusText())
	a := c.answerTo(s, line.id)
	if a == nil || a.id == "unexpected" && line.bearing != Unclear {
		return e
	}
	// Each answer to a registration is a row of its own in the catalogue.
	if a.own || a.number != 0 && strings.HasPrefix(line.id, "register-") {
		e.Row = a.number
	}
	e.refine(a)
	return e
}

func (e *Explanation) refine(a *answer) {
	e.ID += "/" + a.id
	e.Means, e.Causes, e.Bearing, e.Remedy, e.Next = a.means, slices.Clone(a.causes), a.bearing, a.remedy, a.next
}

// answerTo returns the kind of answer that the status is, nil where the line says
// it all: no status, or the plain refusal.
func (c *Catalogue) answerTo(s status, id string) *answer {
	if s.form == gitlabForm && s.code == 403 && !s.bracket {
		return nil
	}
	for i := range answers {
		if answers[i].matches(s, c.answers[i], id) {
			return &answers[i]
		}
	}
	return nil
}

// bareStarts begin a status that somebody pasted without its line.
var bareStarts = patterns([]string{
	"^couldn't execute ", "^execute json request", "^x509: ", "^tls: ", "^lookup ", "^dial tcp", "^connection refused", "^proxyconnect", "^proxy authentication required",
	"^http: server gave", "^unexpected eof", "^i/o timeout", "^net/http: invalid header", "^invalid header field", "^only http or https", `^parse "`, "^no such host",
	"^server should return application/json", "^response is not application/json", `^post "http`, `^get "http`, `^put "http`, `^delete "http`,
	"^post http", "^put http", "^delete http", "^410 gone", "^403 forbidden", "^400 bad request", "^404 not found", "^422 unprocessable", "^429 too many",
	"^401 unauthorized", "^405 method not allowed", "^500 internal server error", "^502 bad gateway", "^503 service unavailable", "^504 gateway timeout",
	"^runner_namespaces.base", "^runner_projects.base", "…runner registration disallowed", "…maximum number of ci registered",
})

// bare explains a status without its line. The endpoint, where it is there, tells
// which line it was.
func (c *Catalogue) bare(r record) (Explanation, bool) {
	text := strings.TrimLeft(r.text(), ".… ")
	// The message may be missing, or its beginning: "… failed status=404 Not Found".
	given := r.statusText() != "" && slices.Contains([]string{"", "failed", "forbidden", "error", "client error"}, strings.Trim(r.message, ".… "))
	if given {
		text = r.statusText()
	}
	if !given && !anyIn(bareStarts, plain(text)) {
		return Explanation{}, false
	}
	s := parseStatus(text)
	if s.form == gitlabForm && s.code == 403 && !s.bracket {
		if line := c.lineOf(s.url); line != nil {
			e := c.fromRow(r, line)
			e.Fields.Status, e.Fields.URL = scrub(text), address(s.url)
			return e, true
		}
	}
	a := c.answerTo(s, "status")
	if a == nil || a.id == "unexpected" && s.form == localForm {
		return Explanation{}, false
	}
	e := Explanation{ID: "status", Row: a.number, Line: r.shown(), Versions: "all", Fields: r.shownFields()}
	e.Fields.Status, e.Fields.URL = scrub(text), address(s.url)
	e.refine(a)
	return e, true
}

// lineOf returns the row of a refusal at that endpoint.
func (c *Catalogue) lineOf(url string) *row {
	id := ""
	switch {
	case strings.HasSuffix(url, "/jobs/request"):
		id = "poll-forbidden"
	case strings.HasSuffix(url, "/runners/verify"):
		id = "verify-removed"
	case strings.HasSuffix(url, "/reset_authentication_token"):
		id = "reset-forbidden"
	case strings.HasSuffix(url, "/runners"):
		id = "register-forbidden"
	}
	if i := slices.IndexFunc(c.rows, func(r row) bool { return r.id == id }); i >= 0 {
		return &c.rows[i]
	}
	return nil
}

// statusText is status=, or error= where a command has only that.
func (r record) statusText() string { return r.get("status", "error") }

func (r record) shownFields() Fields {
	f := Fields{Level: r.level, Runner: scrub(r.get("runner")), RunnerName: scrub(r.get("runner_name")), Status: scrub(r.statusText()),
		CorrelationID: scrub(r.get("correlation_id"))}
	url := r.get("url", "URL")
	if s := parseStatus(r.statusText()); url == "" && s.form == gitlabForm {
		url = s.url
	}
	f.URL = address(url)
	return f
}
