package remedy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/lab/labtest"
	"rekey/internal/remedy"
)

const ownSystem = rekey.SystemID("s_0123456789ab")

// world is one host, one config and one lab, with the faults a test plants.
type world struct {
	*labtest.Lab
	t         *testing.T
	config    string
	state     string
	offline   bool            // no user token is at hand
	lose      map[string]bool // calls that are carried out and whose answer is lost
	deny      map[string]bool // calls that are refused for certain
	down      map[string]bool // calls that do not reach GitLab
	forget    string          // an attribute that GitLab does not keep
	calls     map[string]int
	onWrite   func()        // after the config was replaced
	onReload  func()        // gitlab-runner is told to load it
	noReplace bool          // the config cannot be written
	failing   bool          // the disk fails behind an exchange
	unread    bool          // and then the config cannot be read
	nameless  bool          // the host has no system id
	unnamed   bool          // GitLab names no managers (before 17.1)
	issuedAt  time.Time     // by GitLab's clock, of a token that is issued
	unasked   *rekey.Answer // what comes of a question about a runner token
	mu        sync.Mutex
	clock     *clock
	locked    map[string]bool
	mute      bool         // GitLab answers no question about a runner token
	lag       bool         // GitLab refuses every runner token
	jobs      []remedy.Job // of a canary pipeline
	onJobs    func()       // when they are asked for
	kill      *killer      // ends the process at an act
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	return &world{Lab: labtest.Start(t, labtest.Options{Version: "18.7"}), t: t, config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state"),
		lose: map[string]bool{}, deny: map[string]bool{}, down: map[string]bool{}, calls: map[string]int{}, clock: &clock{now: time.Now()}, locked: map[string]bool{}}
}

// fresh is another host of the same lab, all of whose records are gone: a lab
// takes longer to start than a test to run.
func (w *world) fresh() *world {
	w.t.Helper()
	for _, r := range w.records("runners/all") {
		w.Must(http.StatusNoContent, "DELETE", fmt.Sprintf("runners/%d", r.ID), nil, nil)
	}
	dir := w.t.TempDir()
	return &world{Lab: w.Lab, t: w.t, config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state"),
		lose: map[string]bool{}, deny: map[string]bool{}, down: map[string]bool{}, calls: map[string]int{}, clock: &clock{now: time.Now()}, locked: map[string]bool{}}
}

// section is one section of the world's config.
type section struct {
	name, token string
	id          int64
}

func (w *world) write(sections ...section) {
	w.t.Helper()
	text := "concurrent = 1\n"
	for _, s := range sections {
		text += fmt.Sprintf("\n[[runners]]\n  name = %q\n  url = %q\n  id = %d\n  token = %q\n  executor = \"shell\"\n", s.name, w.URL, s.id, s.token)
	}
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sections() []configtoml.Section { return w.sectionsOf(w.config) }

func (w *world) sectionsOf(path string) []configtoml.Section {
	w.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	doc, err := configtoml.Parse(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return doc.Sections()
}

// engine is a new process: it knows what the state directory holds.
func (w *world) engine() *remedy.Engine {
	w.t.Helper()
	store, err := remedy.OpenStore(w.state, w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	return &remedy.Engine{
		Store: store, Host: host{w}, Clock: w.clock, Probe: w.probe, ParseIssued: parseIssued,
		OutcomeUnknown: func(err error) bool { return errors.Is(err, errLost) },
		GitLab: func(string) remedy.GitLab {
			if w.offline {
				return nil
			}
			return gitLab{w}
		},
		Options: remedy.Options{ProofWait: time.Second, Settling: time.Second},
	}
}

func (w *world) target(index int, r rekey.Remedy) rekey.Target {
	w.t.Helper()
	s := w.sections()[index]
	t := rekey.Target{Config: w.config, Index: index, Name: s.Name, URL: s.URL, GitLab: w.URL, RunnerID: s.ID, Before: s.Token.Fingerprint(), Remedy: r}
	if r == rekey.RemedyCreate || r == rekey.RemedyReset {
		t.Attributes = &rekey.Attributes{Scope: rekey.ScopeInstance, Description: s.Name, Tags: []string{"deploy"}}
	}
	return t
}

func (w *world) apply(targets ...rekey.Target) []rekey.Result {
	w.t.Helper()
	results, err := w.engine().Apply(w.t.Context(), rekey.Plan{Targets: targets})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

func (w *world) resume() []rekey.Result {
	w.t.Helper()
	results, err := w.engine().Resume(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

// accepted reports whether the lab takes the token.
func (w *world) accepted(token rekey.Token) bool {
	return w.probe(w.t.Context(), remedy.Question{URL: w.URL, Token: token, SystemID: ownSystem}).Kind == rekey.AnswerAccepted
}

// marked returns how many records wear a marker tag.
func (w *world) marked() int {
	w.t.Helper()
	n := 0
	for _, r := range w.records("runners/all") {
		for _, tag := range r.Tags {
			if strings.HasPrefix(tag, "rekey-") {
				n++
			}
		}
	}
	return n
}

func (w *world) records(path string) []rekey.Runner {
	w.t.Helper()
	var listed []struct {
		ID int64 `json:"id"`
	}
	w.Must(http.StatusOK, "GET", path, nil, &listed)
	var records []rekey.Runner
	for _, l := range listed {
		r, err := gitLab{w}.Runner(w.t.Context(), rekey.RunnerID(l.ID))
		if err != nil {
			w.t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func (w *world) probe(ctx context.Context, q remedy.Question) rekey.Answer {
	if ctx.Err() != nil {
		return rekey.Answer{Kind: rekey.AnswerNotAsked, Message: "interrupted before it was asked"}
	}
	if w.unasked != nil {
		return *w.unasked
	}
	if w.lag {
		return rekey.Answer{Kind: rekey.AnswerRefused, Message: "403 Forbidden"}
	}
	if w.mute {
		return rekey.Answer{Kind: rekey.AnswerUnreachable, Message: "nothing there"}
	}
	a := w.Call("POST", "runners/verify", "", labtest.M{"token": q.Token.Reveal(), "system_id": string(q.SystemID)})
	switch a.Status {
	case http.StatusOK:
		var body labtest.Issued
		a.Decode(w.t, &body)
		return rekey.Answer{Kind: rekey.AnswerAccepted, RunnerID: rekey.RunnerID(body.ID), At: w.clock.Now()}
	case http.StatusForbidden:
		return rekey.Answer{Kind: rekey.AnswerRefused, Message: "403 Forbidden", At: w.clock.Now()}
	}
	return rekey.Answer{Kind: rekey.AnswerUnexpected, Message: a.Body}
}

// clock moves only when somebody waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep ends at once, but moves the time.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	return ctx.Err()
}

// host is remedy.Host on a directory of the test's.
type host struct{ w *world }

func (h host) Read(path string) ([]byte, error) {
	if h.w != nil && h.w.unread {
		return nil, rekey.Errorf(rekey.KindUnavailable, "the disk fails")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindNotFound, "%w", err)
	}
	return data, nil
}

func (h host) SystemID(path string) rekey.SystemID {
	if h.w.nameless {
		return ""
	}
	return systemOf(path)
}

// systemOf gives the configs named host0.toml and so on a host of their own.
func systemOf(path string) rekey.SystemID {
	if n, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(path), ".toml"), "host"); ok {
		return rekey.SystemID("s_0000000000a" + n)
	}
	return ownSystem
}

func (host) CheckWritable(string) error { return nil }

func (h host) Replace(path string, expect, next []byte) (string, error) {
	data, err := h.Read(path)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(data, expect) {
		return "", rekey.Errorf(rekey.KindConflict, "changed meanwhile")
	}
	if h.w.noReplace {
		return "", rekey.Errorf(rekey.KindUnavailable, "no room")
	}
	if err := os.WriteFile(path, next, 0o600); err != nil {
		return "", err
	}
	if h.w.onWrite != nil {
		h.w.onWrite()
	}
	if h.w.failing {
		return "", rekey.Errorf(rekey.KindUnavailable, "the disk failed")
	}
	return "exchange", nil
}

func (host) Create(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }

func (h host) Reload(context.Context, string) (string, error) {
	if h.w != nil && h.w.onReload != nil {
		h.w.onReload()
	}
	return "", nil
}

func (h host) Lock(path string) (func(), error) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if h.w.locked[path] {
		return nil, rekey.Errorf(rekey.KindConflict, "another rekey works there")
	}
	h.w.locked[path] = true
	return func() {
		h.w.mu.Lock()
		defer h.w.mu.Unlock()
		delete(h.w.locked, path)
	}, nil
}

var errLost = errors.New("the answer was lost")

// gitLab is remedy.GitLab on the lab, with the administrator's token.
type gitLab struct{ w *world }

func parseIssued(raw []byte) (rekey.Issued, error) {
	var body labtest.Issued
	if json.Unmarshal(raw, &body) != nil || body.Token == "" {
		return rekey.Issued{}, errors.New("no token")
	}
	return rekey.Issued{ID: rekey.RunnerID(body.ID), Token: rekey.NewToken(body.Token)}, nil
}

// call carries out a request, unless it is denied, and loses its answer if so
// planted.
func (g gitLab) call(name, method, path string, body, out any) (string, error) {
	g.w.mu.Lock()
	g.w.calls[name]++
	lose, deny, down := g.w.lose[name], g.w.deny[name], g.w.down[name]
	g.w.mu.Unlock()
	if down {
		return "", rekey.Errorf(rekey.KindUnavailable, "%s: connection refused", name)
	}
	if deny {
		return "", rekey.Errorf(rekey.KindDenied, "%s: denied", name)
	}
	if method != http.MethodGet && g.w.dies(name, false) {
		return "", errDead
	}
	a := g.w.Call(method, path, g.w.Admin, body)
	switch {
	case method != http.MethodGet && g.w.dies(name, true):
		return "", errDead
	case lose:
		return "", rekey.Errorf(rekey.KindUnavailable, "%s: %w", name, errLost)
	case a.Status == http.StatusNotFound:
		return "", rekey.Errorf(rekey.KindNotFound, "%s: %s", name, a.Body)
	case a.Status >= 300:
		return "", rekey.Errorf(rekey.KindInvalid, "%s: %d %s", name, a.Status, a.Body)
	}
	if out != nil {
		a.Decode(g.w.t, out)
	}
	return a.Body, nil
}

func (g gitLab) issue(name, path string, body any, seal func([]byte) error) (rekey.Issued, error) {
	raw, err := g.call(name, "POST", path, body, nil)
	if err != nil {
		return rekey.Issued{}, err
	}
	if err := seal([]byte(raw)); err != nil {
		return rekey.Issued{}, fmt.Errorf("%w: %w", errLost, err)
	}
	issued, err := parseIssued([]byte(raw))
	issued.ObtainedAt = g.w.issuedAt
	return issued, err
}

func (g gitLab) CreateRunner(_ context.Context, n rekey.NewRunner, seal func([]byte) error) (rekey.Issued, error) {
	body := labtest.M{"runner_type": n.Scope.RunnerType(), "description": n.Description, "tag_list": n.Tags, "run_untagged": n.RunUntagged}
	if n.Owner != 0 {
		body[string(n.Scope)+"_id"] = n.Owner
	}
	if n.MaximumTimeout != 0 {
		body["maximum_timeout"] = n.MaximumTimeout / time.Second
	}
	if n.MaintenanceNote != "" {
		body["maintenance_note"] = n.MaintenanceNote
	}
	delete(body, g.w.forget)
	return g.issue("create", "user/runners", body, seal)
}

func (g gitLab) ResetRunner(_ context.Context, id rekey.RunnerID, seal func([]byte) error) (rekey.Issued, error) {
	return g.issue("reset", fmt.Sprintf("runners/%d/reset_authentication_token", id), nil, seal)
}

type wire struct {
	ID          rekey.RunnerID `json:"id"`
	RunnerType  string         `json:"runner_type"`
	Description string         `json:"description"`
	TagList     []string       `json:"tag_list"`
	RunUntagged bool           `json:"run_untagged"`
	Paused      bool           `json:"paused"`
	Locked      bool           `json:"locked"`
	AccessLevel string         `json:"access_level"`
	Timeout     time.Duration  `json:"maximum_timeout"`
	Note        string         `json:"maintenance_note"`
	Online      *bool          `json:"online"`
	Execution   string         `json:"job_execution_status"`
	ContactedAt time.Time      `json:"contacted_at"`
	Projects    []struct {
		ID   int64  `json:"id"`
		Path string `json:"path_with_namespace"`
	} `json:"projects"`
}

func (r wire) runner() rekey.Runner {
	scope, _ := rekey.ParseScope(r.RunnerType)
	found := rekey.Runner{ID: r.ID, Scope: scope, Description: r.Description, Tags: r.TagList, RunUntagged: r.RunUntagged, Paused: r.Paused, Locked: r.Locked,
		AccessLevel: r.AccessLevel, MaximumTimeout: r.Timeout * time.Second, MaintenanceNote: r.Note, Online: r.Online, ContactedAt: r.ContactedAt}
	if r.Execution != "" {
		busy := r.Execution == "active"
		found.Busy = &busy
	}
	for _, p := range r.Projects {
		found.Projects = append(found.Projects, rekey.Ref{ID: p.ID, Path: p.Path})
	}
	return found
}

func (g gitLab) Runner(_ context.Context, id rekey.RunnerID) (rekey.Runner, error) {
	var r wire
	_, err := g.call("runner", "GET", fmt.Sprintf("runners/%d", id), nil, &r)
	return r.runner(), err
}

func (g gitLab) Managers(_ context.Context, id rekey.RunnerID) ([]rekey.Manager, bool, error) {
	var found []struct {
		SystemID    rekey.SystemID `json:"system_id"`
		Status      string         `json:"status"`
		ContactedAt time.Time      `json:"contacted_at"`
	}
	_, err := g.call("managers", "GET", fmt.Sprintf("runners/%d/managers", id), nil, &found)
	if g.w.unnamed {
		return nil, false, nil
	}
	var managers []rekey.Manager
	for _, m := range found {
		managers = append(managers, rekey.Manager{SystemID: m.SystemID, Status: m.Status, ContactedAt: m.ContactedAt})
	}
	return managers, err == nil, err
}

func (g gitLab) FindByTag(ctx context.Context, tag string) ([]rekey.Runner, error) {
	if _, err := g.call("list", "GET", "runners/all?tag_list="+url.QueryEscape(tag), nil, nil); err != nil {
		return nil, err
	}
	return g.w.records("runners/all?tag_list=" + url.QueryEscape(tag)), nil
}

func (g gitLab) UpdateRunner(_ context.Context, id rekey.RunnerID, edit rekey.RunnerEdit) (rekey.Runner, error) {
	body := labtest.M{}
	if edit.Tags != nil {
		body["tag_list"] = *edit.Tags
	}
	if edit.RunUntagged != nil {
		body["run_untagged"] = *edit.RunUntagged
	}
	if edit.Locked != nil {
		body["locked"] = *edit.Locked
	}
	if edit.AccessLevel != nil {
		body["access_level"] = *edit.AccessLevel
	}
	if edit.Paused != nil {
		body["paused"] = *edit.Paused
	}
	if edit.Description != nil {
		body["description"] = *edit.Description
	}
	delete(body, g.w.forget)
	var r wire
	_, err := g.call("update", "PUT", fmt.Sprintf("runners/%d", id), body, &r)
	return r.runner(), err
}

func (g gitLab) DeleteRunner(_ context.Context, id rekey.RunnerID) error {
	_, err := g.call("delete", "DELETE", fmt.Sprintf("runners/%d", id), nil, nil)
	return err
}

func (g gitLab) RunningJobs(_ context.Context, id rekey.RunnerID) (int, bool, error) {
	var jobs []struct{}
	_, err := g.call("jobs", "GET", fmt.Sprintf("runners/%d/jobs?status=running", id), nil, &jobs)
	return len(jobs), err == nil, err
}

func (g gitLab) AssignProject(_ context.Context, project string, id rekey.RunnerID) error {
	_, err := g.call("assign", "POST", "projects/"+url.PathEscape(project)+"/runners", labtest.M{"runner_id": id}, nil)
	return err
}

func (g gitLab) Project(_ context.Context, name string) (remedy.Project, error) {
	if g.w.deny["project"] {
		return remedy.Project{}, rekey.Errorf(rekey.KindNotFound, "there is no project %s", name)
	}
	return remedy.Project{ID: 1, Path: name, DefaultBranch: "main"}, nil
}

func (g gitLab) Group(_ context.Context, name string) (rekey.Ref, error) {
	return rekey.Ref{ID: 1, Path: name}, nil
}

func (g gitLab) CreatePipeline(context.Context, int64, string, map[string]string) (remedy.Pipeline, error) {
	return remedy.Pipeline{ID: 1}, nil
}

func (g gitLab) PipelineJobs(context.Context, int64, int64) ([]remedy.Job, error) {
	if g.w.onJobs != nil {
		g.w.onJobs()
	}
	return g.w.jobs, nil
}

func (g gitLab) CancelPipeline(context.Context, int64, int64) error { return nil }

// cutJournals makes every journal end with the last record that keep chooses, as
// a kill behind it does.
func (w *world) cutJournals(keep func(rekey.Record) bool) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.state, "operations", "*.journal"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		var end, at int
		for line := range bytes.Lines(data) {
			at += len(line)
			var r rekey.Record
			if err := json.Unmarshal(line, &r); err != nil {
				w.t.Fatal(err)
			}
			if keep(r) {
				end = at
			}
		}
		if err := os.WriteFile(file, data[:end], 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func itoa(n int64) string { return fmt.Sprint(n) }
