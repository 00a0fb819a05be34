package explain

import (
	"slices"
	"strconv"
	"strings"

	"rekey"
	"rekey/internal/lazyregexp"
)

// form is how gitlab-runner built the status= of a line, which tells who answered.
type form int

const (
	noForm     form = iota
	gitlabForm      // "POST <url>: 403 Forbidden (…)": the body was GitLab's JSON
	bareForm        // "403 Forbidden": the body was not
	localForm       // no answer: transport, TLS, URL, header
)

// status is a parsed status=.
type status struct {
	form    form
	code    int
	method  string
	url     string
	message string // in brackets; differs from "403 Forbidden" when there
	bracket bool   // the brackets were there, perhaps empty
	text    string // all of it, plain
}

var (
	jsonStatus = lazyregexp.New(`\b(GET|POST|PUT|PATCH|DELETE|HEAD) (\S+): ([1-5][0-9]{2})(?: ([A-Za-z' -]+?))?(?: \((.*)\))?$`)
	// lentStatus is a status that somebody cut short: brackets come only from
	// GitLab's JSON.
	lentStatus = lazyregexp.New(`^([1-5][0-9]{2}) [A-Z][A-Za-z' -]*? \((.*)\)$`)
	bareStatus = lazyregexp.New(`^"?([1-5][0-9]{2})(?: [A-Z][A-Za-z' -]*)?"?$`)
)

// parseStatus reads a status=; the zero status stands for none.
func parseStatus(text string) status {
	text = strings.TrimSpace(text)
	if text == "" {
		return status{}
	}
	s := status{form: localForm, text: plain(text)}
	if m := jsonStatus.FindStringSubmatch(text); m != nil {
		s.form, s.method, s.url, s.message, s.bracket = gitlabForm, m[1], m[2], plain(m[5]), strings.HasSuffix(text, ")")
		s.code, _ = strconv.Atoi(m[3])
	} else if m := lentStatus.FindStringSubmatch(text); m != nil {
		s.form, s.message, s.bracket = gitlabForm, plain(m[2]), true
		s.code, _ = strconv.Atoi(m[1])
	} else if m := bareStatus.FindStringSubmatch(text); m != nil {
		s.form = bareForm
		s.code, _ = strconv.Atoi(m[1])
	}
	return s
}

// answer is one kind of status=, and what it makes of the line.
type answer struct {
	number  int // the row of the catalogue where the line itself is `register` or bare
	own     bool
	id      string
	form    form  // noForm: any
	codes   []int // none: any
	says    []string
	empty   bool   // the brackets are there and empty
	lines   string // only for lines whose id begins so
	means   string
	causes  []rekey.Cause
	bearing Bearing
	remedy  string
	next    string
}

// matches reports whether the status of a line of that id is of this kind.
func (a answer) matches(s status, says []pattern, id string) bool {
	switch {
	case s.form == noForm,
		a.form != noForm && a.form != s.form,
		len(a.codes) > 0 && !slices.Contains(a.codes, s.code),
		a.empty && (!s.bracket || s.message != ""),
		len(says) > 0 && !anyIn(says, s.text):
		return false
	}
	return strings.HasPrefix(id, a.lines)
}
