package lab

import (
	"net/http"
	"net/url"
	"strings"
)

// newRunnerView is the form, with what was entered and what was wrong.
type newRunnerView struct {
	Entered  url.Values
	Types    []string
	Groups   choices
	Projects choices
	Wrong    string
}

// choices are what a list offers; More says that it does not name them all.
type choices struct {
	Items []choice
	More  bool
}

type choice struct{ ID, Name string }

func showNewRunner(p *visit) error {
	entered := p.asked("runner_type", "group_id", "project_id")
	entered.Set("run_untagged", "true")
	return p.newRunnerForm(http.StatusOK, newRunnerView{Entered: entered})
}

func (p *visit) newRunnerForm(status int, view newRunnerView) error {
	var err error
	if view.Groups, err = choicesOf(p, "groups", func(g groupEntity) choice { return choice{formatInt(g.ID), g.FullPath} }); err != nil {
		return err
	}
	if view.Projects, err = choicesOf(p, "projects", func(e projectEntity) choice { return choice{formatInt(e.ID), e.PathWithNamespace} }); err != nil {
		return err
	}
	view.Types = []string{groupType, projectType}
	if p.self.IsAdmin != nil && *p.self.IsAdmin {
		view.Types = []string{instanceType, groupType, projectType}
	}
	p.show(status, "newrunner", pageView{Title: "New runner", Body: view})
	return nil
}

// choicesOf reads the first hundred of an API list.
func choicesOf[T any](p *visit, path string, f func(T) choice) (choices, error) {
	rt, vars, _ := p.routes.find(http.MethodGet, path)
	header := http.Header{}
	found, err := askRow[[]T](p, rt, vars, url.Values{"per_page": {"100"}, "membership": {formatBool(!p.mayAll())}}, header)
	return choices{each(found, f), header.Get("X-Next-Page") != ""}, err
}

func (p *visit) mayAll() bool { return p.self.IsAdmin != nil && *p.self.IsAdmin }

func formatBool(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// createRunnerByForm is POST /user/runners with what the form says. The token goes
// to the next page, once, and into no address.
func createRunnerByForm(p *visit) error {
	form := p.r.PostForm
	body := map[string]any{"locked": form.Has("locked"), "paused": form.Has("paused"), "run_untagged": form.Has("run_untagged")}
	for _, name := range []string{"runner_type", "description", "tag_list", "maximum_timeout", "maintenance_note"} {
		if value := strings.TrimSpace(form.Get(name)); value != "" {
			body[name] = value
		}
	}
	if form.Has("protected") {
		body["access_level"] = refProtected
	}
	switch form.Get("runner_type") {
	case groupType:
		body["group_id"] = form.Get("group_id")
	case projectType:
		body["project_id"] = form.Get("project_id")
	}
	var made given
	if err := p.order(http.MethodPost, "user/runners", body, &made); err != nil {
		status, wrong := p.reason(err)
		return p.newRunnerForm(status, newRunnerView{Entered: form, Wrong: wrong})
	}
	return p.handOver(formatInt(made.ID), made, false)
}
