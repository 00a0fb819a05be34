package lab

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"rekey/internal/lazyregexp"
)

// pageJobsRow lists jobs of every project where the user is Reporter or more.
var pageJobsRow = route{method: get, pattern: "jobs", from: fromSource, params: scopeParams, handle: getVisibleJobs}

func getVisibleJobs(c *call) (answer, error) {
	where, args := c.reporterOnly("1=1", nil)
	return c.jobPage(where, args...)
}

type jobsView struct {
	Jobs     []jobEntity
	Scope    string
	Statuses []string
	Turns    turns
}

func showJobs(p *visit) error {
	query, header := p.asked("scope", "page"), http.Header{}
	found, err := askRow[[]jobEntity](p, &pageJobsRow, nil, query, header)
	if err != nil {
		return err
	}
	p.show(http.StatusOK, "jobs", pageView{Title: "Jobs", Body: jobsView{found, query.Get("scope"), jobStatuses, p.turns(header)}})
	return nil
}

// tracePart is the part of a log from a byte on.
type tracePart struct {
	Text   string `json:"text"`
	From   int    `json:"from"` // where Text begins; less than asked for where the log was erased
	Size   int    `json:"size"` // where the next part begins
	Status string `json:"status"`
	Live   bool   `json:"live"` // more may come
}

type jobView struct {
	Job   jobEntity
	Trace tracePart
}

func showJobPage(p *visit) error {
	j, part, err := p.jobAndTrace(0)
	if err != nil {
		return err
	}
	p.show(http.StatusOK, "job", pageView{Title: "Job #" + formatInt(j.ID), Refresh: part.Live, Body: jobView{j, part}})
	return nil
}

func serveTracePart(p *visit) error {
	from, _ := strconv.Atoi(p.r.URL.Query().Get("from"))
	_, part, err := p.jobAndTrace(from)
	if err != nil {
		return err
	}
	sendJSON(p.w, http.StatusOK, part)
	return nil
}

// jobAndTrace reads a job and its log from a byte on, and tells the runner that
// somebody looks. The status is read first: a log after a final one is whole.
func (p *visit) jobAndTrace(from int) (jobEntity, tracePart, error) {
	path := "projects/" + url.PathEscape(p.r.PathValue("project")) + "/jobs/" + url.PathEscape(p.r.PathValue("job"))
	j, err := ask[jobEntity](p, path, nil)
	if err != nil {
		return j, tracePart{}, err
	}
	raw, err := ask[[]byte](p, path+"/trace", nil)
	if err != nil {
		return j, tracePart{}, err
	}
	part := tracePart{Status: j.Status, Live: slices.Contains([]string{"created", "pending", "running", "canceling", "waiting_for_resource", "preparing"}, j.Status)}
	if part.Live {
		p.Watch(j.ID)
	}
	if from >= 0 && from <= len(raw) {
		part.From = from
	}
	fresh := raw[part.From:]
	if part.Live {
		fresh = fresh[:settled(fresh)]
	}
	part.Size, part.Text = part.From+len(fresh), readable(fresh)
	return j, part, nil
}

var (
	escapeCode  = lazyregexp.New("\x1b\\[[0-9;?]*[A-Za-z]")
	sectionMark = lazyregexp.New("section_(?:start|end):[0-9]+:[^\r\n]*\r(?:\x1b\\[0K)?")
	openEscape  = lazyregexp.New("(?:\x1b(?:\\[[0-9;?]*)?|section_[^\r\n]*|\r)$")
)

// settled is how much of a growing log may be shown: not half a character, half a
// colour or half a section mark.
func settled(raw []byte) int {
	end := len(raw)
	for back := 1; back <= min(utf8.UTFMax, len(raw)); back++ {
		if at := len(raw) - back; utf8.RuneStart(raw[at]) {
			if !utf8.FullRune(raw[at:]) {
				end = at
			}
			break
		}
	}
	if open := openEscape.FindIndex(raw[:end]); open != nil {
		end = open[0]
	}
	return end
}

// readable is a log as text: without colours and section marks, every line on its
// own.
func readable(raw []byte) string {
	text := strings.ToValidUTF8(string(raw), "�")
	text = sectionMark.ReplaceAllString(text, "")
	text = escapeCode.ReplaceAllString(text, "")
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// redirectToJob leads from the address that the API gives a job to its page.
func (p *visit) redirectToJob(project, job string) error {
	found, err := ask[projectEntity](p, "projects/"+url.PathEscape(project), nil)
	if err != nil {
		return err
	}
	return p.goTo("projects/" + formatInt(found.ID) + "/jobs/" + url.PathEscape(job))
}
