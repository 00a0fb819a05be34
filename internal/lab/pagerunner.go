package lab

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"rekey"
)

// Rows that only the page asks: lists with more in them than the API's entities,
// by the same handlers and so with the same rights.
var (
	pageRunnerRow   = route{method: get, pattern: "runners/:id", from: fromSource, access: runnerManagement, handle: getRunner}
	pageManagersRow = route{method: get, pattern: "runners/:id/managers", from: fromSource, access: runnerManagement, handle: getManagers}
	pageRunnersRow  = route{method: get, pattern: "runners", from: fromSource, params: listParams, handle: getRunnersInFull}
)

// getRunnersInFull is GET /runners with the attributes of GET /runners/:id.
func getRunnersInFull(c *call) (answer, error) {
	listed, err := getRunners(c)
	if err != nil {
		return answer{}, err
	}
	briefs, _ := listed.body.([]runnerEntity)
	return eachOK(briefs, func(e runnerEntity) (runnerDetail, error) {
		r, err := c.runnerByID(e.ID)
		if err != nil {
			return runnerDetail{}, err
		}
		return c.runnerDetail(r)
	})
}

type runnersView struct {
	Runners               []runnerDetail
	Status, Type, Tags    string
	Statuses, RunnerTypes []string
	Turns                 turns
}

func showRunners(p *visit) error {
	query := p.asked("status", "type", "tag_list", "page")
	header := http.Header{}
	found, err := askRow[[]runnerDetail](p, &pageRunnersRow, nil, query, header)
	if err != nil {
		return err
	}
	p.show(http.StatusOK, "runners", pageView{Title: "Runners", Body: runnersView{Runners: found, Turns: p.turns(header),
		Status: query.Get("status"), Type: query.Get("type"), Tags: query.Get("tag_list"),
		Statuses: runnerStatuses, RunnerTypes: []string{instanceType, groupType, projectType}}})
	return nil
}

type runnerView struct {
	Runner   runnerDetail
	Managers []managerEntity
	Jobs     []jobEntity
	JobsWhy  string // why there are none to see
}

func showRunner(p *visit) error {
	vars := map[string]string{"id": p.r.PathValue("id")}
	view := runnerView{}
	var err error
	if view.Runner, err = askRow[runnerDetail](p, &pageRunnerRow, vars, nil, nil); err != nil {
		return err
	}
	if view.Managers, err = askRow[[]managerEntity](p, &pageManagersRow, vars, nil, nil); err != nil {
		return err
	}
	if view.Jobs, err = ask[[]jobEntity](p, "runners/"+url.PathEscape(vars["id"])+"/jobs", url.Values{"per_page": {"10"}}); err != nil {
		_, view.JobsWhy = p.reason(err)
	}
	p.show(http.StatusOK, "runner", pageView{Title: "Runner #" + formatInt(view.Runner.ID), Body: view})
	return nil
}

func (p *visit) runnerPath() string { return "runners/" + url.PathEscape(p.r.PathValue("id")) }

func (p *visit) goTo(path string) error {
	http.Redirect(p.w, p.r, pagePrefix+"/"+path, http.StatusSeeOther)
	return nil
}

func pauseRunner(p *visit) error {
	if err := p.order(http.MethodPut, p.runnerPath(), map[string]any{"paused": p.r.PostForm.Get("paused")}, nil); err != nil {
		return err
	}
	return p.goTo(p.runnerPath())
}

func deleteRunnerByForm(p *visit) error {
	if err := p.order(http.MethodDelete, p.runnerPath(), nil, nil); err != nil {
		return err
	}
	return p.goTo("runners")
}

// given is a token as the API answers it, once.
type given struct {
	ID        int64      `json:"id"`
	Token     heldToken  `json:"token"`
	ExpiresAt *time.Time `json:"token_expires_at"`
}

// heldToken decodes straight into what cannot be printed by accident.
type heldToken struct{ rekey.Token }

// UnmarshalText takes the value.
func (t *heldToken) UnmarshalText(raw []byte) error {
	t.Token = rekey.NewToken(string(raw))
	return nil
}

func resetRunnerToken(p *visit) error {
	var made given
	if err := p.order(http.MethodPost, p.runnerPath()+"/reset_authentication_token", nil, &made); err != nil {
		return err
	}
	return p.handOver(p.r.PathValue("id"), made, true)
}

// onceFor is how long a token waits to be looked at.
const onceFor = 5 * time.Minute

// onceTokens are the tokens between the form and the page that shows them, in
// memory alone. The zero value is ready; safe for concurrent use.
type onceTokens struct {
	mu   sync.Mutex
	held map[onceKey]onceToken
}

// onceKey binds a token to the browser that ordered it.
type onceKey struct{ session, runner string }

type onceToken struct {
	given
	reset bool
	until time.Time
}

func (o *onceTokens) put(key onceKey, token onceToken, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil {
		o.held = map[onceKey]onceToken{}
	}
	for old, waiting := range o.held {
		if now.After(waiting.until) {
			delete(o.held, old)
		}
	}
	o.held[key] = token
}

// take returns the token and forgets it.
func (o *onceTokens) take(key onceKey, now time.Time) (onceToken, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	token, there := o.held[key]
	delete(o.held, key)
	return token, there && !now.After(token.until)
}

func (p *visit) onceKey(runner string) onceKey {
	key := onceKey{runner: runner}
	if cookie, err := p.r.Cookie(p.cookieName()); err == nil {
		key.session = string(p.secrets.digest(sessionKind, cookie.Value))
	}
	return key
}

// handOver leads to the page that shows the token, so that a reload asks nothing
// of the API again.
func (p *visit) handOver(runner string, made given, reset bool) error {
	p.once.put(p.onceKey(runner), onceToken{made, reset, p.now().Add(onceFor)}, p.now())
	return p.goTo("runners/" + url.PathEscape(runner) + "/token")
}

type tokenView struct {
	Runner  runnerDetail
	Token   string // "" once it was shown
	URL     string
	Reset   bool
	Expires stamp
}

func showTokenOnce(p *visit) error {
	runner, err := askRow[runnerDetail](p, &pageRunnerRow, map[string]string{"id": p.r.PathValue("id")}, nil, nil)
	if err != nil || p.r.Method != http.MethodGet { // a HEAD would spend it unseen
		return err
	}
	view := tokenView{Runner: runner, URL: p.baseURL(p.r)}
	if made, there := p.once.take(p.onceKey(p.r.PathValue("id")), p.now()); there {
		view.Token, view.Reset = made.Token.Reveal(), made.reset
		if made.ExpiresAt != nil {
			view.Expires = at(*made.ExpiresAt)
		}
	}
	p.show(http.StatusOK, "token", pageView{Title: "Token of runner #" + formatInt(runner.ID), Body: view})
	return nil
}
